#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Taste as a test: rooms, pure cores, banned calls and the shape of files, over the whole tree.

    tests/layering/layering.py [ROOT]

Prints each violation as file:line: rule: what, and exits with 1 if there is one. A line may be excused
by a comment on it or before it: `// layering: allow(<rule>): <reason>`.
"""
import os
import re
import sys
from pathlib import Path

from rooms import check_include, read_table
from words import banned_calls, planted_bugs, plugin_names, unordered_names, unordered_walks

LICENCE = "SPDX-License-Identifier: Apache-2.0"
LINES_MAX = 500
COLUMNS_MAX = {".cpp": 110, ".h": 110, ".capnp": 110, ".py": 120}
SOURCES = (".cpp", ".h", ".capnp")
SCRIPTS = (".py",)


def files_of(root):
    """Every file that we wrote, as paths relative to root; build folders are left out."""
    for folder, folders, names in os.walk(root):
        at = Path(folder).relative_to(root)
        folders[:] = sorted(name for name in folders
                            if not name.startswith((".", "build")) and name != "__pycache__")
        for name in sorted(names):
            yield (at / name).as_posix()


def shape(path, text):
    """Yields (line, rule, what): licence, purpose, length, width."""
    lines = text.splitlines()
    first = 1 if lines and lines[0].startswith("#!") else 0
    head = lines[first:first + 2] + ["", ""]
    mark = "//" if path.endswith((".cpp", ".h")) else "#"
    if head[0] != f"{mark} {LICENCE}":
        yield first + 1, "licence", f"the first line is not '{mark} {LICENCE}'"
    if path.endswith(".capnp") and head[1].startswith("@0x"):
        head[1] = lines[first + 2] if len(lines) > first + 2 else ""
    comment = r"//\s?\S" if mark == "//" else r'#\s?\S|"""\S'
    if not re.match(comment, head[1]):
        yield first + 2, "purpose", "the second line does not say what lives here"
    if len(lines) > LINES_MAX:
        yield len(lines), "length", f"{len(lines)} lines; the limit is {LINES_MAX}"
    columns = COLUMNS_MAX[Path(path).suffix]
    for number, line in enumerate(lines, 1):
        if len(line) > columns:
            yield number, "width", f"{len(line)} columns; the limit is {columns}"


def includes(path, text, files):
    """Yields (line, what is included from the root, angled)."""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not found:
            continue
        beside = (Path(path).parent / found.group(2)).as_posix()
        yield number, beside if found.group(1) == '"' and beside in files else found.group(2), \
            found.group(1) == "<"


def check(root):
    """Every violation as (path, line, rule, what)."""
    table = read_table((root / "docs/architecture.md").read_text())
    files = list(files_of(root))
    known = set(files)
    plugins = sorted({path.split("/")[2] for path in files
                      if path.startswith("plugins/") and path.count("/") > 2} | {"multi_paxos"})
    texts = {path: (root / path).read_text(errors="replace") for path in files
             if path.endswith(SOURCES + SCRIPTS)}
    hashed = {}
    for path, text in texts.items():
        hashed.setdefault(Path(path).parent, set()).update(unordered_names(text))
    for path, text in texts.items():
        rules = list(shape(path, text))
        if text.startswith("#!") and not os.access(root / path, os.X_OK):
            rules.append((1, "mode", "it begins with #! and cannot be executed: chmod +x"))
        if path.endswith((".cpp", ".h")):
            for number, included, angled in includes(path, text, known):
                why = check_include(path, included, angled, table)
                if why:
                    rules.append((number, "include", why))
            rules += banned_calls(path, text)
            rules += unordered_walks(path, text, hashed[Path(path).parent])
            rules += plugin_names(path, text, plugins)
        for number, rule, what in rules:
            yield path, number, rule, what
    yield from planted_bugs(texts)
    for folder in sorted({"/".join(path.split("/")[:3]) for path in files
                          if path.startswith("plugins/") and path.count("/") > 2}):
        if f"{folder}/README.md" not in known:
            yield folder, 1, "readme", "a plugin's folder has a README.md"


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    count = 0
    for path, number, rule, what in check(root):
        count += 1
        print(f"{path}:{number}: {rule}: {what}")
    print(f"{count} violation{'' if count == 1 else 's'}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
