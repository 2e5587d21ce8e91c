# SPDX-License-Identifier: Apache-2.0
"""Three real server processes on this machine, and what can be done to them: kill, freeze, wipe, damage."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import wire
from servers import PROGRAM, Trouble, bindable, configuration, facts, server_command, wait_for


class Server:
    def __init__(self, cluster, number, port):
        self.cluster, self.number, self.port = cluster, number, port
        self.data = cluster.folder / "data" / str(number)
        self.log = cluster.folder / f"server-{number}.log"
        self.process, self.starts, self.kills = None, 0, 0

    def start(self, bootstrap=True):
        command = server_command(self.cluster.binary, self.cluster.config, self.number, bootstrap)
        with open(self.log, "ab") as out:
            out.write(f"---- start {self.starts} bootstrap={bootstrap}\n".encode())
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        self.starts += 1

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        if self.process is not None:
            self.kills += 1
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        self.kills += 1
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            raise Trouble(f"server {self.number} does not stop on SIGTERM") from None
        self.process = None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def facts(self):
        return facts(self.port)

    def rss_kb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def said(self, pattern, since=None):
        """Lines of the log (of the start number `since` and later) that match."""
        raw = self.log.read_text(errors="replace") if self.log.exists() else ""
        if since is not None:
            raw = raw[raw.index(f"---- start {since} "):]
        return [line for line in raw.splitlines() if re.search(pattern, line)]

    def wals(self):
        return sorted(self.data.glob("**/wal-*"))

    def snapshots(self):
        return sorted(p for p in self.data.glob("**/snapshot-*") if not p.name.endswith(".staging"))

    def staged(self):
        return list(self.data.glob("**/snapshot-*.staging"))


class Cluster:
    """A context: the folder and the processes are gone afterwards, but for the logs of a failure."""

    def __init__(self, name, port, binary, storage="file", kernel=""):
        self.folder = pathlib.Path(os.environ.get("CHAOS_FOLDER", "/tmp/polyquorum-chaos")) / f"{name}-{os.getpid()}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.binary = binary
        self.config = self.folder / "cluster.yaml"
        self.peer_ports = {n: port + 10 + n for n in (1, 2, 3)}
        self.servers = {n: Server(self, n, port + n) for n in (1, 2, 3)}
        ports = {n: (self.peer_ports[n], s.port) for n, s in self.servers.items()}
        self.config.write_text(configuration("chaos", ports, kernel=kernel, storage=storage))

    def __enter__(self):
        for server in self.servers.values():
            server.start()
        try:
            self.leader()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.end()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"logs and data are kept in {self.folder}")

    def end(self):
        for server in self.servers.values():
            if server.process is not None:
                server.process.send_signal(signal.SIGCONT)
            server.kill()

    def ports(self):
        return [server.port for server in self.servers.values()]

    def leader(self, patience=30.0):
        """The server that leads, when every living one follows it."""
        def find():
            facts = {n: s.facts() for n, s in self.servers.items() if s.alive()}
            leaders = [n for n, f in facts.items() if f.get("pq_phase") == "leading"]
            settled = leaders and all(f.get("pq_leader") == str(leaders[0]) for f in facts.values())
            return self.servers[leaders[0]] if settled and len(leaders) == 1 else None
        return wait_for("one leader that all living servers follow", find, patience)

    def followers(self):
        leader = self.leader()
        return [s for s in self.servers.values() if s is not leader and s.alive()]

    def equal(self, patience=30.0):
        """Waits until all living servers show the same digest at the same applied index; gives both."""
        seen = {}

        def compare():
            states = []
            for server in self.servers.values():
                if not server.alive():
                    continue
                facts = server.facts()
                if "pq_applied" not in facts:
                    return None
                state = int(facts["pq_applied"]), facts["pq_state_digest"]
                other = seen.setdefault(state[0], state[1])
                if other != state[1]:
                    raise Trouble(f"digests differ at index {state[0]}: {other} and {state[1]}")
                states.append(state)
            return states[0] if len(set(states)) == 1 else None
        return wait_for("equal digests at an equal index", compare, patience)

    def check_alive(self):
        for server in self.servers.values():
            if server.process is not None and server.process.poll() is not None:
                tail = "\n".join(server.said("")[-8:])
                raise Trouble(f"server {server.number} ended by itself ({server.process.returncode}):\n{tail}")
