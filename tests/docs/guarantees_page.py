#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/guarantees.md names is there: sentences of TEST_CASEs, scenarios and programs."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = ["plugins", "kernel", "state", "sdk", "tests", "clients", "cli", "bench", "simulator"]


def sentences():
    """All names of test cases; literals that stand side by side are joined."""
    found = []
    for place in PLACES:
        for path in sorted((ROOT / place).rglob("*.cpp")):
            for case in re.findall(r'TEST_CASE\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)', path.read_text()):
                found.append("".join(re.findall(r'"((?:\\.|[^"\\])*)"', case)))
    return found


def main():
    cases = sentences()
    scenarios = {path.stem for path in (ROOT / "tests/chaos").glob("*.py")}
    cmake = "\n".join(path.read_text() for place in PLACES for path in (ROOT / place).rglob("CMakeLists.txt"))
    problems = []
    for number, line in enumerate((ROOT / "docs/guarantees.md").read_text().splitlines(), 1):
        cells = line.strip().strip("|").split(" | ")
        if not line.startswith("| ") or len(cells) < 2 or cells[1].startswith("checked by"):
            continue
        check = cells[-1]
        for quoted in re.findall(r'"([^"]+)"', check):
            if not any(quoted.removesuffix("...").removeprefix("...").strip() in case for case in cases):
                problems.append(f"docs/guarantees.md:{number}: no test is called '{quoted}'")
        for scenario in re.findall(r"chaos\.py (\w+)", check):
            if scenario not in scenarios:
                problems.append(f"docs/guarantees.md:{number}: tests/chaos has no scenario {scenario}")
        for program in re.findall(r"`((?:zookeeper_\w+|integration_\w+|\w+_test))`", check):
            stem = re.sub(r"^(zookeeper|integration)_|_test$", "", program)
            if program not in cmake and not re.search(rf"\b{re.escape(stem)}\b", cmake):
                problems.append(f"docs/guarantees.md:{number}: there is no {program}")
        if not re.search(r'"|chaos\.py|`', check):
            problems.append(f"docs/guarantees.md:{number}: a promise without a test")
    print("\n".join(problems) or "every test that the page names is there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
