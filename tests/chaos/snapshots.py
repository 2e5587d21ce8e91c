# SPDX-License-Identifier: Apache-2.0
"""A snapshot every 1,000 entries under load: no pause over 20 ms at the client's p99.9, and a restart from each
kept snapshot gives the same state (issue 2). Beside it, in turns, the same load without snapshots, and a probe of
the disk: what the machine does by itself is seen there. A disk that holds a flush for half a second does so to
everybody; then those seconds are judged in which it held none."""
import json
import subprocess

from cluster import Cluster, Trouble, wait_for
from disk import DiskProbe

SMALL, BIG = 6, 600
RATE = 2000
TURNS = 4
SLOW_MS = 20
SLOW_SHARE_MAX = 0.001
QUICK_SHARE_MIN = 0.25  # of all seconds; with less nothing can be said
STALLED_TIMES_MAX = 3  # more bytes make a busy disk stall longer: so many times as long as without them,
STALLED_MORE_MAX = 2  # and seconds on top


class Side:
    """One of the two clusters, and what its turns were like."""

    def __init__(self, name, cluster):
        self.name, self.cluster = name, cluster
        self.turns = []
        self.stalled = 0.0                        # seconds that the disk held a flush of the probe
        self.seconds = self.quick = 0             # of the clock; those without such a flush
        self.answered = self.slow = 0             # in the quick ones

    def load(self, options, probe, seconds):
        """polyquorum bench at a fixed rate; latencies count from when each request was due."""
        servers = ",".join(f"127.0.0.1:{port}" for port in self.cluster.ports())
        command = [options.binary, "-o", "json", "bench", "mix", "--servers", servers,
                   "--mix", "set=90,create=5,delete=5", "--connections", "6", "--depth", "16", "--rate", str(RATE),
                   "--keys", "10000", "--seconds", str(seconds), "--session-ms", "10000",
                   "--timeline", "--slow-ms", str(SLOW_MS)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
        if done.returncode != 0:
            raise Trouble(f"bench: {done.stdout[-500:]} {done.stderr[-500:]}")
        found = json.loads(done.stdout)
        self.turns.append(found)
        begin = found["timeline"]["begin_monotonic_ns"] / 1e9
        self.stalled += probe.stalled(begin, begin + seconds)
        for number, second in enumerate(found["timeline"]["seconds"]):
            self.seconds += 1
            if probe.quick(begin + number, begin + number + 1):
                self.quick += 1
                self.answered += second["ops"]
                self.slow += second["slow"]

    def p999(self):
        """Of the turn in the middle, in ms."""
        return sorted(turn["latency_us"]["p999"] for turn in self.turns)[len(self.turns) // 2] / 1000

    def slow_share(self):
        return self.slow / max(1, self.answered)

    def report(self):
        latencies = [turn["latency_us"] for turn in self.turns]
        print(f"{self.name}: {sum(turn['ops'] for turn in self.turns)} operations, "
              f"p50 {sorted(row['p50'] for row in latencies)[len(latencies) // 2] / 1000:.2f} ms, "
              f"p99.9 {self.p999():.1f} ms in the middle, {max(row['p999'] for row in latencies) / 1000:.1f} ms in "
              f"the worst of {len(latencies)} turns, max {max(row['max'] for row in latencies) / 1000:.0f} ms\n"
              f"  the disk held a flush of the probe over 20 ms for {self.stalled:.2f} s in all; in the "
              f"{self.quick} of {self.seconds} seconds in which it did not, {self.slow} of {self.answered} answers "
              f"took over {SLOW_MS} ms ({100 * self.slow_share():.3f} %)", flush=True)


def judge(with_them, without):
    """Throws Trouble if snapshots made clients wait."""
    if with_them.p999() <= SLOW_MS:
        return
    if with_them.quick < QUICK_SHARE_MIN * with_them.seconds:
        raise Trouble("this disk stalls too often to tell: CHAOS_FOLDER puts the data elsewhere (README.md)")
    if with_them.slow_share() > SLOW_SHARE_MAX:
        raise Trouble(f"p99.9 is above {SLOW_MS} ms also while the disk is quick")
    if with_them.stalled > STALLED_TIMES_MAX * without.stalled + STALLED_MORE_MAX:
        raise Trouble("the disk stalls far longer with snapshots than without")
    print(f"p99.9 is above {SLOW_MS} ms because the disk stalls, with snapshots and without")


def restart_from_each(cluster):
    """Server by server: the newest snapshots are removed one by one; what is read must stay the same."""
    servers = cluster.servers.values()
    wait_for("the load's sessions end", lambda: all(s.facts().get("pq_sessions") == "0" for s in servers))
    wait_for("no snapshot is under way", lambda: not any(s.staged() for s in servers))
    index, digest = cluster.equal()
    starts = 0
    for server in servers:
        server.stop()
        kept = server.snapshots()
        while True:
            server.start()
            wait_for("it is back", lambda: server.facts().get("pq_phase") in ("following", "leading"), 30)
            state = cluster.equal()
            if state != (index, digest):
                raise Trouble(f"server {server.number} from {kept[-1].name}: {state} where {index, digest} was")
            starts += 1
            if len(kept) <= 1:
                break
            server.stop()
            kept.pop().unlink()
    print(f"restarted {starts} times, from each kept snapshot of each server: equal digests, {digest} at {index}")


def run(options, seconds):
    turns = TURNS if seconds >= 60 else 1
    on = Cluster("snapshots-on", options.port, options.binary, kernel="snapshots: { every: 1000 }\n")
    off = Cluster("snapshots-off", options.port + 20, options.binary, kernel="snapshots: { every: 1000000000 }\n")
    with on, off, DiskProbe(on.folder.parent) as probe:
        with_them, without = Side("a snapshot every 1000", on), Side("no snapshots", off)
        for _ in range(turns):
            for side in (with_them, without):
                side.load(options, probe, seconds / turns)
        with_them.report()
        without.report()
        taken = sum(len(s.said(r"snapshot\.taken")) for s in on.servers.values())
        print(f"{taken} snapshots taken; p99.9 with and without: {with_them.p999():.1f} and {without.p999():.1f} ms")
        if taken < 3:
            raise Trouble("no snapshots were taken")
        restart_from_each(on)
        if turns > 1:
            judge(with_them, without)
