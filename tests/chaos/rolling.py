# SPDX-License-Identifier: Apache-2.0
"""Each server in turn killed and restarted under load: no acknowledged write lost, no session lost, no
connection dropped on a server that stays up (docs/adr/0010-failover-invisible.md)."""
import threading
import time

from cluster import Cluster, Trouble, wait_for
from load import Idler, Writer

SMALL, BIG = 2, 30


def run(options, times):
    with Cluster("rolling", options.port, options.binary) as cluster:
        servers = list(cluster.servers.values())
        writers = [Writer(f"w{n}", servers, first=n % 3, depth=32) for n in range(options.writers)]
        idlers = [Idler(f"e{n}", servers, n % 3) for n in range(30)]
        for client in writers + idlers:
            client.setup()
        ended = threading.Event()

        def tend():
            while not ended.is_set():
                for idler in idlers:
                    idler.tend()
                ended.wait(0.05)

        tending = threading.Thread(target=tend, daemon=True)
        tending.start()
        for writer in writers:
            writer.start(follow=True)
        begun, leaders = time.monotonic(), 0
        for turn in range(times):
            for server in servers:
                leaders += cluster.leader() is server
                server.kill()
                time.sleep(0.5)
                server.start()
                wait_for("the restarted server serves again", lambda: server.facts().get("pq_phase") in
                         ("following", "leading"), 30)
                time.sleep(0.7)
                cluster.check_alive()
                wrongs = [wrong for client in writers + idlers for wrong in client.wrongs]
                if wrongs:
                    raise Trouble("\n".join(wrongs[:20]))
            if turn % 5 == 4 or turn == times - 1:
                print(f"turn {turn + 1}: {sum(w.acked for w in writers)} acknowledged", flush=True)
        lasted = time.monotonic() - begun
        for writer in writers:
            writer.stopping = True
        for writer in writers:
            writer.join()
        ended.set()
        tending.join()
        for writer in writers:
            if writer.client.socket is None:
                writer.connect()
            writer.verify()
        for idler in idlers:
            idler.verify()
        cluster.equal()
        acked = sum(w.acked for w in writers)
        print(f"{times * 3} kills, {leaders} of leaders; {acked} acknowledged ({acked / lasted:.0f}/s), 0 lost; "
              f"{len(writers) + len(idlers)} sessions, 0 lost; {sum(c.moves for c in writers + idlers)} moves, all "
              f"from killed servers; longest wait for an answer {max(w.gap_max for w in writers):.2f} s")
