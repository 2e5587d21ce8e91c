# SPDX-License-Identifier: Apache-2.0
# Compiles CuratorRecipes.java against Debian's Curator and runs it on ours and on Debian's
# ZooKeeper; a leader is killed and restarted under it.
import os
import shutil
import subprocess
import tempfile

from cluster import HERE, Polyquorum, ZooKeeper, lines_of_client, log, shown, skip

JARS = [f"/usr/share/java/{name}.jar" for name in (
    "curator-recipes", "curator-framework", "curator-client", "zookeeper", "guava", "slf4j-api")]


def compiled(folder):
    missing = [jar for jar in JARS if not os.path.exists(jar)]
    if missing or shutil.which("javac") is None:
        skip("Debian's packages libcurator-recipes-java and default-jdk-headless are missing: "
             f"{missing or 'no javac'}")
    subprocess.run(["javac", "-J-Xmx256m", "-nowarn", "-Xlint:-deprecation", "-cp", ":".join(JARS),
                    "-d", folder, os.path.join(HERE, "CuratorRecipes.java")], check=True,
                   stderr=subprocess.DEVNULL)


def play(folder, address, storm, *more):
    """storm() is done while its clients hold a lock and a node; more: arguments of the program."""
    def act(process):
        storm()
        process.stdin.write("it is over\n")
        process.stdin.flush()

    command = ["timeout", "120", "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp",
               ":".join([folder, *JARS]), "CuratorRecipes", address, *more]
    return lines_of_client(command, "storm", act)


def with_killed_leader(folder, servers):
    def storm():
        servers.restart(servers.leader())
        servers.leader()
    return shown(servers, play(folder, servers.address(), storm))


def main():
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder)
        with ZooKeeper() as theirs:
            expected = with_killed_leader(folder, theirs)
        with Polyquorum(3) as ours:
            found = with_killed_leader(folder, ours)
    assert found == expected, "the outcomes differ"
    log(f"Curator: {len(expected) - 1} recipes, the same on three of ours as on Debian's ZooKeeper")


if __name__ == "__main__":
    main()
