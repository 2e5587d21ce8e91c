# SPDX-License-Identifier: Apache-2.0
"""Servers that lost their promises: one whose data directory was deleted, and the memory storage. They only
learn until the leader's seal names their new life (docs/adr/0009-membership-in-the-log.md)."""
import shutil
import time

from cluster import Cluster, Trouble, wait_for
from load import Writer, flow

SMALL, BIG = 1, 10


def heals(cluster, server, life):
    """The server learns, is named by a seal, votes, and is equal; gives the seconds it took."""
    begun = time.monotonic()
    wait_for("it says that promises were lost", lambda: server.said(r"promises\.lost", life), 10)
    wait_for("it opens a segment without a vote", lambda: server.said(r"segment\.opened .*mayVote=false", life), 20)
    wait_for("it votes in the next segment", lambda: server.said(r"segment\.opened .*mayVote=true", life), 30)
    took = time.monotonic() - begun
    wait_for("status says so", lambda: server.facts().get("pq_may_vote") == "true", 5)
    cluster.leader()
    return took


def check(cluster, writers):
    for writer in writers:
        writer.stopping = True
    for writer in writers:
        writer.join()
        writer.connect()
        writer.verify()
    return cluster.equal()


def wiped_disk(options, trials):
    with Cluster("wiped", options.port, options.binary, kernel="snapshots: { every: 20000 }\n") as cluster:
        servers = list(cluster.servers.values())
        writers = [Writer(f"w{n}", servers, first=n % 3, depth=16) for n in range(options.writers)]
        for writer in writers:
            writer.setup()
        times = []
        for number in range(trials):
            for writer in writers:
                writer.start(follow=True)
            flow(writers)
            server = cluster.followers()[number % 2]
            server.kill()
            shutil.rmtree(server.data)
            life = server.starts
            server.start(bootstrap=False)
            times.append(heals(cluster, server, life))
            flow(writers)
            check(cluster, writers)
        # The healed ones vote: with them and one other there is a quorum.
        healed = server
        other = next(s for s in servers if s is not healed)
        other.kill()
        cluster.leader()
        for writer in writers:
            writer.start(follow=True)
        flow(writers)
        check(cluster, writers)
        print(f"wiped follower: {trials} times, votes again after {max(times):.1f} s at most, "
              f"{sum(w.acked for w in writers)} acknowledged under it, 0 lost, digests equal")


def memory(options):
    with Cluster("memory", options.port, options.binary, storage="memory") as cluster:
        servers = list(cluster.servers.values())
        writers = [Writer(f"w{n}", servers, first=n % 3, depth=16) for n in range(options.writers)]
        for writer in writers:
            writer.setup()
        for writer in writers:
            writer.start(follow=True)
        flow(writers)
        server = cluster.followers()[0]
        server.kill()
        life = server.starts
        server.start()
        took = heals(cluster, server, life)
        flow(writers)
        check(cluster, writers)
        print(f"memory storage: a restarted follower votes again after {took:.1f} s, 0 lost, digests equal")
        leader = cluster.leader()
        leader.kill()
        life = leader.starts
        cluster.leader()
        leader.start()
        took = heals(cluster, leader, life)
        check(cluster, writers)
        print(f"memory storage: a restarted leader votes again after {took:.1f} s, 0 lost, digests equal")
        lost = cluster.followers()[0], cluster.leader()
        lives = [s.starts for s in lost]
        for each in lost:
            each.kill()
        for each in lost:
            each.start()
        wait_for("the restarted ones answer", lambda: all(s.facts() for s in lost), 10)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for each in servers:
                if each.facts().get("pq_phase") in ("leading", "following"):
                    raise Trouble(f"a restarted majority formed: server {each.number}")
            time.sleep(0.1)
        for each, life in zip(lost, lives):
            if each.facts().get("pq_may_vote") != "false" or not each.said(r"promises\.lost", life):
                raise Trouble(f"server {each.number} does not say that it lost its promises")
        said = [line for s in servers for line in s.said(r"quorum\.forgot")]
        if not said:
            raise Trouble("nobody says why there is no leader")
        print(f"memory storage: a restarted majority forms no cluster in 5 s and says so: {said[0]}")


def run(options, trials):
    wiped_disk(options, trials)
    memory(options)
