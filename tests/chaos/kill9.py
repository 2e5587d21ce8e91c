# SPDX-License-Identifier: Apache-2.0
"""All servers killed with -9 at random moments under load, again and again: what was acknowledged is
there, what was not took place once or not at all (promises.md P1.1, P2.1). Half of the logs end in a torn
group (P1.2)."""
import random
import time

from cluster import Cluster, Trouble
from damage import scribble
from load import Writer

SMALL, BIG = 4, 200


def run(options, rounds):
    draw = random.Random(options.seed)
    with Cluster("kill9", options.port, options.binary, kernel="snapshots: { every: 20000 }\n") as cluster:
        servers = list(cluster.servers.values())
        writers = [Writer(f"w{n}", servers, first=n % 3, depth=128, stay=True) for n in range(options.writers)]
        for writer in writers:
            writer.setup()
        acked, lasted, unknown, torn, back = 0, 0.0, 0, 0, []
        for number in range(rounds):
            before = sum(w.acked for w in writers)
            begun = time.monotonic()
            for writer in writers:
                writer.start(follow=False)
            time.sleep(draw.uniform(0.2, 1.5))
            lasted += time.monotonic() - begun
            sent = sum(w.sent for w in writers)
            draw.shuffle(servers_to_kill := list(cluster.servers.values()))
            cluster.check_alive()
            for server in servers_to_kill:
                server.kill()
                time.sleep(draw.choice([0, 0, draw.uniform(0, 0.05)]))
            for writer in writers:
                writer.join()
            for server in servers_to_kill:
                if draw.randrange(2):
                    scribble(server, draw)
                    torn += 1
            acked += sum(w.acked for w in writers) - before
            begun = time.monotonic()
            for server in servers_to_kill:
                server.start()
            cluster.leader()
            back.append(time.monotonic() - begun)
            for writer in writers:
                known = writer.acked
                writer.connect()
                unknown += writer.verify() - known
            index, digest = cluster.equal()
            if number % 10 == 9 or number == rounds - 1:
                print(f"round {number + 1}: {acked} acknowledged, {acked / lasted:.0f}/s under load, {unknown} "
                      f"unanswered ones took place, {torn} torn tails, back in {max(back):.2f} s at most, "
                      f"index {index}", flush=True)
        if acked < 100 * rounds:
            raise Trouble(f"too little load to mean anything: {acked} in {rounds} rounds (sent {sent})")
