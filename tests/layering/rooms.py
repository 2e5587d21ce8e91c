# SPDX-License-Identifier: Apache-2.0
"""Who may include whom: the table "Rooms" of docs/architecture.md, read and enforced."""
import re
from pathlib import PurePosixPath

LAYERS = ["interfaces", "sdk", "state", "kernel"]  # "the kernel and below"
PLANTED = "sdk/mutant.h"  # planted bugs are nothing in a normal build, so every room may have them


class TableError(Exception):
    """The table says something that this test does not understand: teach one of them."""


def read_table(text):
    """Room to the set of rooms it may include; None: everything."""
    rows = {}
    section = text.split("\n## Rooms\n", 1)
    if len(section) != 2:
        raise TableError("docs/architecture.md has no section 'Rooms'")
    for line in section[1].split("\n## ", 1)[0].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 4 or cells[0] in ("folder", "---"):
            continue
        for folder in re.findall(r"`([^`]+?)/`", cells[0]):
            rows[folder.split("/")[0]] = _allowed(cells[3])
    if len(rows) < 8:
        raise TableError(f"the table 'Rooms' has only {sorted(rows)}")
    return rows


def _allowed(cell):
    if cell == "everything":
        return None
    allowed = set()
    for part in (part.strip() for part in cell.split(",")):
        if part in ("nothing of ours", "itself"):
            continue
        if part == "the kernel and below":
            allowed.update(LAYERS)
        elif re.fullmatch(r"`[a-z]+`", part):
            allowed.add(part.strip("`"))
        else:
            raise TableError(f"'{part}' in the table 'Rooms' is not understood")
    return allowed


def is_test(path):
    """Tests lie beside the code: <file>-test.cpp, test_<file>, and folders named test."""
    name = PurePosixPath(path).name
    parts = path.split("/")
    return (parts[0] == "tests" or "test" in parts[:-1] or name.startswith("test_")
            or re.search(r"-test\.(cpp|h)$", name) is not None or name.endswith("_bench.cpp"))


def room_of(path):
    """A plugin's room is its folder, every other room is a folder of the top level."""
    parts = path.split("/")
    return "/".join(parts[:3]) if parts[0] == "plugins" and len(parts) > 3 else parts[0]


def is_core(path):
    """Sources of pure cores: all of an election's or consensus' folder but the plugin's factory."""
    parts = path.split("/")
    return (len(parts) == 4 and parts[0] == "plugins" and parts[1] in ("election", "consensus")
            and parts[3] != "plugin.cpp" and path.endswith((".cpp", ".h")) and not is_test(path))


def check_include(path, included, angled, table):
    """None, or why path may not include this."""
    room = room_of(path)
    if is_core(path):
        return _check_core(room, included, angled)
    if angled:
        return _check_library(path, included)
    if included == PLANTED:
        return None
    target = room_of(included)
    if target == room or is_test(path) and target != "cli":
        return None
    if target.startswith("plugins/"):
        return f"{room} may not include another plugin ({target})"
    allowed = table.get(room.split("/")[0])
    if room.split("/")[0] not in table:
        return f"{room} is not in the table 'Rooms' of docs/architecture.md"
    if allowed is not None and target not in allowed:
        return f"{room} may not include {target} (docs/architecture.md, Rooms)"
    return None


def _check_core(room, included, angled):
    if angled:
        if "/" in included or included.endswith(".h"):
            return f"a pure core may not include <{included}>, only the standard library"
        return None
    if included in ("sdk/core.h", "sdk/batch.h", PLANTED) or room_of(included) == room:
        return None
    return f"a pure core may include sdk/core.h, sdk/batch.h and its own folder, not {included}"


# Libraries that have one home, and what may never come into a room.
HOMES = [
    (r"^boost/dll", r"^kernel/loader"),
    (r"^yaml-cpp/", r"^kernel/config"),
    (r"^CLI/", r"^(cli|bench)/"),
    (r"^boost/asio", r"^(plugins/(api|transport)/|clients/|bench/|cli/|sdk/(asio\.cpp|environment\.h)"
                     r"|kernel/(event_port|system_environment|loader_checks))"),
]
NEVER = [
    (r"^state/", r"^(kj/(async|filesystem|timer|time)|boost/|sys/|unistd\.h|thread|mutex|fstream"
                 r"|filesystem|random|chrono)", "state/ is pure and synchronous"),
    (r"^sdk/core", r"^boost/", "the structs of the cores are plain"),
]


def _check_library(path, included):
    if is_test(path):
        return None
    for library, home in HOMES:
        if re.match(library, included) and not re.match(home, path):
            return f"<{included}> is included outside its home ({home})"
    for folder, library, why in NEVER:
        if re.match(folder, path) and re.match(library, included):
            return f"<{included}>: {why}"
    return None
