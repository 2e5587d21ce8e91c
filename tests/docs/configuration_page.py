#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/configuration.md, as `polyquorum config explain` tells it; checked by ctest, written by hand.

    tests/docs/configuration_page.py BINARY            compares; exits with 1 if the page is stale
    tests/docs/configuration_page.py BINARY --write    writes the page anew
"""
import difflib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/configuration.md"
KINDS = ["election", "consensus", "storage", "transport", "api"]
FIRST = {"election": "fast_leader", "consensus": "zab", "storage": "file", "transport": "tcp",
         "api": "zookeeper"}
REQUIRED = re.compile(r"^cluster\.name$|^cluster\.servers\[\]\.(id|peer|data|<api>)$"
                      r"|^plugins\.[a-z\[\]]+\.use$")

HEAD = """# Configuration

One YAML file describes a cluster; every server gets the same one. `polyquorum config check FILE` tells all that is
wrong with it, with places; `polyquorum config explain FILE` shows every key with the value in force and where
it came from.
Keys are strict: an unknown one is refused, and the nearest known one is named. This page is made from the program
(`tests/docs/configuration_page.py build/bin/polyquorum --write`) and a test compares the two.

```yaml
{example}```

Times are numbers with `ms`, `s`, `m`, `h` or `d`; sizes are numbers with `KiB`, `MiB`, `GiB` or `TiB`.
Paths are relative to the file.

"""


def explain(binary, uses):
    """Rows of `config explain` for a minimal configuration with these plugins."""
    plugins = "".join(f"  {kind}: {'[' if kind == 'api' else ''}{{ use: {uses[kind]} }}"
                      f"{']' if kind == 'api' else ''}\n" for kind in KINDS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.yaml"
        file.write_text("cluster:\n  name: page\n  servers:\n    - { id: 1, peer: '127.0.0.1:2888', "
                        f"{uses['api']}: '127.0.0.1:2181', data: data }}\nplugins:\n{plugins}")
        answer = subprocess.run([binary, "config", "explain", str(file), "-o", "json"], text=True,
                                capture_output=True, check=False)
        if answer.returncode != 0:
            sys.exit(f"config explain with {uses} failed:\n{answer.stderr}")
        return json.loads(answer.stdout)


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;") or " "


def table(rows):
    lines = ["| key | initial | accepted | meaning |", "|---|---|---|---|"]
    for key, initial, row in rows:
        lines.append(f"| `{key}` | {cell(initial)} | {cell(row['accepted'])} | {cell(row['meaning'])} |")
    return "\n".join(lines) + "\n"


def general(key, api):
    key = re.sub(r"\[\d+\]", "[]", key)
    return f"cluster.servers[].<api>" if key == f"cluster.servers[].{api}" else key


def kernel_rows(rows, api):
    for row in rows:
        key = general(row["key"], api)
        if key.startswith("(") or key.startswith("plugins.") and not key.endswith((".use", "directories")):
            continue
        yield key, "**required**" if REQUIRED.match(key) else row["value"], row


def option_rows(rows, kind):
    prefix = "plugins.api[0]." if kind == "api" else f"plugins.{kind}."
    for row in rows:
        name = row["key"][len(prefix):]
        if row["key"].startswith(prefix) and name != "use":
            yield name, row["value"] + (" (from the kernel's)" if row["origin"] == "as the kernel's" else ""), row


def page(binary):
    example = (ROOT / "configs/zookeeper-like.yaml").read_text()
    out = HEAD.format(example=example)
    base = explain(binary, FIRST)
    out += "## The kernel's keys\n\n" + table(kernel_rows(base, FIRST["api"]))
    for kind in KINDS:
        names = sorted(folder.name for folder in (ROOT / "plugins" / kind).iterdir()
                       if (folder / "README.md").exists())
        for name in names:
            rows = base if FIRST[kind] == name else explain(binary, {**FIRST, kind: name})
            options = list(option_rows(rows, kind))
            out += (f"\n## {kind}: {name}\n\nUnder `plugins.{kind}`, beside `use: {name}`. "
                    f"See [plugins/{kind}/{name}](../plugins/{kind}/{name}/README.md).\n\n")
            out += table(options) if options else "It has no options.\n"
    return out


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    text = page(sys.argv[1])
    if "--write" in sys.argv:
        PAGE.write_text(text)
        return 0
    old = PAGE.read_text() if PAGE.exists() else ""
    if old == text:
        return 0
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), str(PAGE),
                                               "config explain", n=1))
    print(f"\n{PAGE} is stale: run {sys.argv[0]} {sys.argv[1]} --write and commit it")
    return 1


if __name__ == "__main__":
    sys.exit(main())
