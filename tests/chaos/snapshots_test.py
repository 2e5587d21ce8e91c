#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the judge of the snapshots see what it should? Turns and stalls made by hand, no server."""
import pathlib
import tempfile
import unittest

from cluster import Trouble
from disk import DiskProbe
from snapshots import Side, judge


def side(p999_ms, stalled=0.0, quick=600, slow=0):
    made = Side("made by hand", cluster=None)
    made.turns = [{"latency_us": {"p999": p999_ms * 1000}}]
    made.stalled, made.seconds, made.quick = stalled, 600, quick
    made.answered, made.slow = quick * 2000, slow
    return made


def disk(*stalls):
    made = DiskProbe(pathlib.Path("nowhere"))
    made.stalls = list(stalls)
    return made


class Judged(unittest.TestCase):
    def test_a_p999_below_20_ms_holds_whatever_the_disk_did(self):
        judge(side(19), side(5))

    def test_slow_answers_on_a_quick_disk_fail_whatever_happens_without_snapshots(self):
        judge(side(300, stalled=5, quick=400, slow=800), side(300, stalled=5))
        with self.assertRaisesRegex(Trouble, "while the disk is quick"):
            judge(side(300, stalled=5, quick=400, slow=801), side(300, stalled=5))

    def test_a_disk_that_stalls_because_of_snapshots_fails(self):
        judge(side(300, stalled=16.9), side(300, stalled=5))
        with self.assertRaisesRegex(Trouble, "far longer with snapshots"):
            judge(side(300, stalled=17.1), side(300, stalled=5))

    def test_a_disk_that_nearly_always_stalls_tells_nothing(self):
        with self.assertRaisesRegex(Trouble, "CHAOS_FOLDER"):
            judge(side(300, stalled=400, quick=149), side(300, stalled=400))


class Probed(unittest.TestCase):
    def test_a_stall_spoils_the_seconds_it_lies_in_and_those_that_answer_its_backlog(self):
        probe = disk((10.9, 11.2), (15.1, 15.2))
        self.assertAlmostEqual(probe.stalled(10, 11), 0.1)
        self.assertAlmostEqual(probe.stalled(0, 100), 0.4)
        spoiled = [second for second in range(20) if not probe.quick(second, second + 1)]
        self.assertEqual(spoiled, [10, 11, 15])
        self.assertEqual([s for s in range(20) if not disk((10.5, 10.9)).quick(s, s + 1)], [10, 11])

    def test_flushes_of_over_20_ms_are_remembered(self):
        takes, now = [0.001, 0.030, 0.020], [100.0]

        def flush(_):
            now[0] += takes.pop(0)
            if not takes:
                probe.ended.set()

        probe = DiskProbe(pathlib.Path(tempfile.gettempdir()), flush, lambda: now[0])
        with probe:
            probe.thread.join()
        self.assertEqual(len(probe.stalls), 1)
        self.assertAlmostEqual(probe.stalls[0][0], 100.001)
        self.assertAlmostEqual(probe.stalls[0][1], 100.031)
        self.assertFalse(probe.path.exists())


if __name__ == "__main__":
    unittest.main()
