#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chaos suite: chaos.py SCENARIO [--size small|big|NUMBER]. Each scenario starts three real servers,
hurts them, and checks a promise. Ends with 0 if the promise held; figures go to the output."""
import argparse
import importlib
import os
import sys
import time

from cluster import PROGRAM, bindable

PORTS = 40  # two clusters: three servers' doors and three for their peers, each in its own ten
SCENARIOS = ["kill9", "rolling", "frozen", "damage", "wiped", "snapshots", "abuse"]


def free_ports():
    """The first of PORTS free ones, below those that the system gives away; two runs at a time do not meet."""
    ranges = [20000 + (os.getpid() + turn) % 300 * PORTS for turn in range(300)]
    return next(first for first in ranges if all(bindable(port) for port in range(first, first + PORTS)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--size", default="small", help="small, big, or a number (rounds, trials, seconds, frames)")
    parser.add_argument("--binary", default=PROGRAM)
    parser.add_argument("--port", type=int, default=0, help=f"the first of {PORTS} ports; else free ones")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--writers", type=int, default=4)
    options = parser.parse_args()
    options.port = options.port or free_ports()
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
