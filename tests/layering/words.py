# SPDX-License-Identifier: Apache-2.0
"""What code must not say: banned calls, order of hash tables, names of plugins in the kernel."""
import re

from rooms import is_core, is_test

ALLOW = re.compile(r"layering: allow\(([a-z-]+)\): \S+")

BANNED = [
    ("clock", r"::now\s*\(\s*\)(?!\s*const)|\b(?:gettimeofday|clock_gettime|std::time|localtime)\s*\("),
    ("chance", r"\brandom_device\b|\b(?:std::|::)?s?rand\s*\(|\bgetrandom\s*\(|_distribution\s*<"),
    ("thread", r"\bstd::(?:jthread|thread|async)\b|\bkj::Thread\b|\bpthread_create\b"),
    ("sleep", r"\bsleep_(?:for|until)\b|(?<![\w.>])(?:u|nano)?sleep\s*\("),
    ("socket", r"(?<![\w.>:])(?:::)?(?:socket|connect|accept4?|bind|recvfrom|sendto)\s*\(\s*(?:AF_|fd\b)"
               r"|\bsys/socket\.h\b"),
    ("environment", r"\bgetenv\s*\("),
]
FREE = re.compile(r"^(kernel/(system_environment|event_port)|clients/|bench/|cli/)")


def strip(text, keep_strings=False):
    """The code with comments (and what literals say) blanked; lines keep their numbers."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<mark>\w*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)

    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found if keep_strings else re.sub(r"[^\n\"']", " ", found)

    return pattern.sub(blank, text)


def allowed_lines(text):
    """Line number to the rules that a comment on it, or on the line before, allows."""
    allowed = {}
    for number, line in enumerate(text.splitlines(), 1):
        for rule in ALLOW.findall(line):
            allowed.setdefault(number, set()).add(rule)
            allowed.setdefault(number + 1, set()).add(rule)
    return allowed


def banned_calls(path, text):
    """Yields (line, rule, what). Tests may use clocks, chance and threads, but never wait by sleep."""
    if FREE.match(path):
        return
    allowed = allowed_lines(text)
    for number, line in enumerate(strip(text).splitlines(), 1):
        for rule, pattern in BANNED:
            if is_test(path) and rule != "sleep" or rule in allowed.get(number, ()):
                continue
            found = re.search(pattern, line)
            if found:
                yield number, rule, f"'{found.group(0).strip()}' belongs behind sdk::Environment"


def unordered_names(text):
    """Names declared as unordered containers."""
    return set(re.findall(r"\bunordered_(?:multi)?(?:map|set)\s*<[^;(){}]*>\s+(\w+)\s*[;={,)]",
                          strip(text)))


def unordered_walks(path, text, names):
    """Yields (line, rule, what) for each loop over a container whose order is the hash's."""
    if not (is_core(path) or path.startswith("state/")) or is_test(path) or not names:
        return
    allowed = allowed_lines(text)
    either = "|".join(sorted(names))
    loop = re.compile(r"\bfor\s*\([^;()]*:\s*(?:[\w.]+(?:\.|->))?(" + either + r")\s*\)"
                      r"|\b(" + either + r")\.c?begin\s*\(")
    for number, line in enumerate(strip(text).splitlines(), 1):
        found = loop.search(line)
        if found and "unordered" not in allowed.get(number, ()):
            name = found.group(1) or found.group(2)
            yield number, "unordered", f"walks '{name}' in the order of a hash table"


def planted_bugs(texts, table="simulator/mutants.cpp"):
    """Yields (path, line, rule, what) where the rooms and the table of planted bugs name different ones."""
    listed = dict.fromkeys(re.findall(r'^      \{"([^"]+)",', texts.get(table, ""), re.M))
    planted = set()
    for path, text in texts.items():
        if is_test(path) or not path.endswith(".cpp"):
            continue
        for number, line in enumerate(strip(text, keep_strings=True).splitlines(), 1):
            for name in re.findall(r'\bMUTANT\("([^"]+)"\)', line):
                planted.add(name)
                if name not in listed:
                    yield path, number, "mutant", f"'{name}' is not in the table of {table}"
    for name in listed:
        if name not in planted:
            yield table, 1, "mutant", f"'{name}' is planted nowhere"


def plugin_names(path, text, plugins):
    """Yields (line, rule, what) where the kernel's code names a plugin."""
    if not path.startswith("kernel/") or is_test(path):
        return
    allowed = allowed_lines(text)
    plain = {"file", "memory"}  # words of their own: only compared with
    for number, line in enumerate(strip(text, keep_strings=True).splitlines(), 1):
        for name in plugins:
            pattern = rf"(?<![A-Za-z]){re.escape(name)}(?![A-Za-z])"
            if name in plain:
                pattern = rf'[=!]=\s*"{name}"|"{name}"\s*[=!]='
            if re.search(pattern, line) and "plugin-name" not in allowed.get(number, ()):
                yield number, "plugin-name", f"the kernel names the plugin {name}"
