# SPDX-License-Identifier: Apache-2.0
"""A snapshot every 1,000 entries under load: no pause over 20 ms at the client's p99.9, and a restart from each
kept snapshot gives the same state (issue 2). Beside it, in turns, the same load without snapshots: what the
machine itself does is seen there."""
import json
import subprocess

from cluster import Cluster, Trouble, wait_for

SMALL, BIG = 6, 600
RATE = 2000
TURNS = 4


def bench(options, cluster, seconds):
    """polyquorum bench at a fixed rate; latencies count from when each request was due."""
    servers = ",".join(f"127.0.0.1:{port}" for port in cluster.ports())
    command = [options.binary, "-o", "json", "bench", "mix", "--servers", servers, "--mix", "set=90,create=5,delete=5",
               "--connections", "6", "--depth", "16", "--rate", str(RATE), "--keys", "10000",
               "--seconds", str(seconds), "--session-ms", "10000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode != 0:
        raise Trouble(f"bench: {done.stdout[-500:]} {done.stderr[-500:]}")
    return json.loads(done.stdout)


def report(name, results):
    rows = [(r["latency_us"], r) for r in results]
    worst = max(row["p999"] for row, _ in rows) / 1000
    median = sorted(row["p999"] for row, _ in rows)[len(rows) // 2] / 1000
    print(f"{name}: {sum(r['ops'] for _, r in rows)} operations, p50 "
          f"{sorted(row['p50'] for row, _ in rows)[len(rows) // 2] / 1000:.2f} ms, "
          f"p99.9 {median:.1f} ms in the middle, {worst:.1f} ms in the worst of {len(rows)} turns, "
          f"max {max(row['max'] for row, _ in rows) / 1000:.0f} ms",
          flush=True)
    return median


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
    with on, off:
        with_them, without = [], []
        for _ in range(turns):
            with_them.append(bench(options, on, seconds / turns))
            without.append(bench(options, off, seconds / turns))
        middle = report("a snapshot every 1000", with_them)
        bare = report("no snapshots", without)
        taken = sum(len(s.said(r"snapshot\.taken")) for s in on.servers.values())
        print(f"{taken} snapshots taken; p99.9 with and without: {middle:.1f} and {bare:.1f} ms")
        if taken < 3:
            raise Trouble("no snapshots were taken")
        restart_from_each(on)
        if turns > 1 and middle > max(20.0, 2 * bare):
            raise Trouble("p99.9 is above 20 ms, and without snapshots it is not")
