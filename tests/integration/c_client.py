# SPDX-License-Identifier: Apache-2.0
# Compiles pipelined.c against Debian's libzookeeper-mt-dev and runs it on ours and on Debian's
# ZooKeeper; the server it talks to is killed under it.
import os
import shutil
import subprocess
import tempfile

from cluster import HERE, Polyquorum, ZooKeeper, lines_of_client, log, shown, skip


def compiled(folder):
    if not os.path.exists("/usr/include/zookeeper/zookeeper.h") or shutil.which("cc") is None:
        skip("Debian's packages libzookeeper-mt-dev and gcc are not installed")
    program = os.path.join(folder, "pipelined")
    subprocess.run(["cc", "-O1", "-DTHREADED", "-o", program, os.path.join(HERE, "pipelined.c"),
                    "-lzookeeper_mt", "-lpthread"], check=True)
    return program


def play(program, servers):
    """Kills the server that the client talks to, the leader, once requests are pouring."""
    leader = servers.leader()
    order = [leader] + [i for i in servers.ids() if i != leader]
    return shown(servers, lines_of_client(["timeout", "100", program, servers.address(order)], "pouring",
                                          lambda process: servers.restart(leader)))


def main():
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(folder)
        with ZooKeeper() as theirs:
            expected = play(program, theirs)
        with Polyquorum(3) as ours:
            found = play(program, ours)
    assert found == expected, "the outcomes differ"
    log("the C client: the same on three of ours as on Debian's ZooKeeper")


if __name__ == "__main__":
    main()
