#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chaos suite: chaos.py SCENARIO [--size small|big|NUMBER]. Each scenario starts three real servers,
hurts them, and checks a promise. Ends with 0 if the promise held; figures go to the output."""
import argparse
import importlib
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = ["kill9", "rolling", "frozen", "damage", "wiped", "snapshots", "abuse"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--size", default="small", help="small, big, or a number (rounds, trials, seconds, frames)")
    parser.add_argument("--binary", default=str(ROOT / "build/bin/polyquorum"))
    parser.add_argument("--port", type=int, default=25000, help="the first of 20 ports in use")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--writers", type=int, default=4)
    options = parser.parse_args()
    scenario = importlib.import_module(options.scenario)
    size = {"small": scenario.SMALL, "big": scenario.BIG}.get(options.size) or int(options.size)
    print(f"{options.scenario} size={size} seed={options.seed}", flush=True)
    begun = time.monotonic()
    try:
        scenario.run(options, size)
    except AssertionError as why:
        print(f"FAILED: {why}")
        sys.exit(1)
    print(f"{options.scenario} held, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
