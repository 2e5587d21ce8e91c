#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do bench/compare and bench/observers measure both products? A second of each kind of test; no figure is judged."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
PROGRAM = os.environ.get("POLYQUORUM", str(HERE.parent / "build/bin/polyquorum"))
SHORT = ["--program", PROGRAM, "--seconds", "1", "--warmup", "1", "--rounds", "1"]


def run(script, *arguments):
    return subprocess.run([sys.executable, "-B", HERE / script, *SHORT, *arguments],
                          capture_output=True, text=True, timeout=200)


class Compare(unittest.TestCase):
    def test_every_kind_of_test_gives_figures_of_both_products_and_their_ratio(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("compare", "--tests", "write16,read1,fanout,idle,nodes", "--sessions", "100",
                       "--nodes", "2000", "--json", f"{folder}/found.json")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(pathlib.Path(f"{folder}/found.json").read_text())["median"]
        for product in ("zookeeper", "polyquorum"):
            for test, measure in (("write16", "ops_per_s"), ("write16", "cpu_us_per_op"), ("read1", "p50_us"),
                                  ("fanout", "last_p50_us"), ("idle", "rss_mb"), ("nodes", "restart_s")):
                with self.subTest(product=product, test=test, measure=measure):
                    self.assertGreater(found[product][test][measure], 0)
            self.assertEqual(found[product]["write16"]["errors"], 0)
            self.assertEqual(found[product]["idle"]["lost"], 0)
        ours, theirs = (found[p]["write16"]["ops_per_s"] for p in ("polyquorum", "zookeeper"))
        row = next(line for line in done.stdout.splitlines() if line.startswith("write16   ops_per_s"))
        self.assertIn(f" {ours / theirs:.3f} ", row)

    def test_a_test_that_is_not_there_is_refused_with_the_names_of_those_that_are(self):
        done = run("compare", "--tests", "write2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no test write2; there are write64, write16", done.stderr)


class Observers(unittest.TestCase):
    def test_a_row_for_each_measure_without_and_with_them(self):
        done = run("observers", "--loads", "lone")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split() for line in done.stdout.splitlines() if line.startswith("lone")]
        self.assertEqual(len(rows), 4, done.stdout)
        for row in rows:
            self.assertTrue(any(word.replace(".", "").isdigit() and float(word) > 0 for word in row), row)


if __name__ == "__main__":
    unittest.main()
