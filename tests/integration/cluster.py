# SPDX-License-Identifier: Apache-2.0
# Servers for the integration tests: ours (any number of voters and observers) and Debian's
# ZooKeeper, each in a temporary folder on free ports of the test's own range. What is asked of them
# lies in the tests.
"""Every test gets its ports from the environment: POLYQUORUM_PORTS is the first of eighty for
ours, ZOOKEEPER_PORTS the first of eighty for Debian's. POLYQUORUM is the program, by default
build/bin/polyquorum."""
import collections
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "support"))
import wire
from servers import PROGRAM, bindable, configuration, facts, server_command, wait_for, word

JAR = "/usr/share/java/zookeeper.jar"
SKIPPED = 77  # what ctest counts as skipped
PORTS_PER_TEST = 80
SUPER = "super:lK75jTNcA+U9vtVEw5vB51mj/w4="  # super:secret
EXTENDED = "extendedTypesEnabled: true"

handed = {}


def log(*words, **how):
    print(*words, flush=True, **how)


def skip(reason):
    log("skipped:", reason)
    sys.exit(SKIPPED)


def lines_of_client(command, cue, act):
    """What a client program prints, line by line; act(process) is done when it says cue. It must end with 0."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines[-1] == cue:
            act(process)
    code = process.wait()
    assert code == 0, "\n  ".join([f"ended with {code}:", *lines])
    return lines


def shown(servers, lines):
    log(f"{servers.name}:", *(f"\n  {line}" for line in lines))
    return lines


def free_port(variable, default):
    """The next port of the test's range that nobody listens on."""
    first = int(os.environ.get(variable, default))
    while True:
        port = first + handed.get(variable, 0)
        handed[variable] = handed.get(variable, 0) + 1
        if handed[variable] > PORTS_PER_TEST:
            raise RuntimeError(f"no free port in {first}..{first + PORTS_PER_TEST}")
        if bindable(port):
            return port


class Servers:
    """Child processes by id (1, 2, ...). As a context it ends them all."""

    def __init__(self, ports, folder=None):
        self.folder = folder or tempfile.mkdtemp(prefix=f"pq-{self.name}-")
        self.ports = ports
        self.processes = {}
        self.kills = collections.Counter()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close(keep=True)
            raise
        return self

    def __exit__(self, kind, *rest):
        self.close(keep=kind is not None and kind is not SystemExit)

    def ids(self):
        return sorted(self.ports)

    def address(self, ids=None):
        return ",".join(f"127.0.0.1:{self.ports[i]}" for i in ids or self.ids())

    def start(self):
        for i in self.ids():
            self.spawn(i, True)
        self.wait()

    def wait(self, ids=None, seconds=90):
        for i in ids or self.ids():
            wait_for(f"server {i} of {self.name} serves; see {self.folder}/{i}.log",
                     lambda i=i: self.mode(i) or self.died(i), seconds)
            if self.died(i):
                code = self.processes[i].returncode
                raise AssertionError(f"server {i} of {self.name} ended with code {code}")

    def died(self, i):
        return self.processes[i].poll() is not None

    def mode(self, i):
        for line in word(self.ports[i], "srvr").splitlines():
            if line.startswith("Mode: "):
                return line[6:]
        return ""

    def leader(self):
        """The id of the server that leads, waited for."""
        return wait_for("somebody leads", lambda: next(
            (i for i in self.ids() if not self.died(i) and self.mode(i) in ("leader", "standalone")), None))

    def kill(self, i):
        self.kills[i] += 1
        self.processes[i].kill()
        self.processes[i].wait()

    def freeze(self, i):
        self.processes[i].send_signal(signal.SIGSTOP)

    def thaw(self, i):
        self.processes[i].send_signal(signal.SIGCONT)

    def restart(self, i, wait=True):
        if not self.died(i):
            self.kill(i)
        self.spawn(i, False)
        if wait:
            self.wait([i])

    def child(self, i, command):
        with open(f"{self.folder}/{i}.log", "ab") as output:
            self.processes[i] = subprocess.Popen(command, stdout=output, stderr=output,
                                                 stdin=subprocess.DEVNULL, cwd=self.folder,
                                                 env=dict(os.environ, PWD=self.folder))

    def close(self, keep=False):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        if keep:
            for i in self.processes:
                with open(f"{self.folder}/{i}.log", errors="replace") as file:
                    log(f"-- the end of {self.folder}/{i}.log")
                    log("".join(file.readlines()[-15:]))
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Polyquorum(Servers):
    name = "polyquorum"

    def __init__(self, voters=1, observers=0, options=EXTENDED, kernel=""):
        ids = range(1, voters + observers + 1)
        super().__init__({i: free_port("POLYQUORUM_PORTS", 23000) for i in ids})
        ports = {i: (free_port("POLYQUORUM_PORTS", 23000), self.ports[i]) for i in ids}
        api = f', maxClientCnxns: 1000, fourLetterWords: "*", superDigest: "{SUPER}", {options}'
        with open(f"{self.folder}/cluster.yaml", "w") as file:
            file.write(configuration("integration", ports, ids[voters:], kernel, api=api))

    def spawn(self, i, first):
        self.child(i, server_command(PROGRAM, f"{self.folder}/cluster.yaml", i, first))


class ZooKeeper(Servers):
    """Debian's ZooKeeper 3.8.0, one server."""
    name = "zookeeper"

    def __init__(self, properties=()):
        if not os.path.exists(JAR) or shutil.which("java") is None:
            skip("Debian's packages zookeeper and default-jre-headless are not installed")
        super().__init__({1: free_port("ZOOKEEPER_PORTS", 24000)})
        self.properties = [
            "zookeeper.extendedTypesEnabled=true", "znode.container.checkIntervalMs=86400000",
            f"zookeeper.DigestAuthenticationProvider.superDigest={SUPER}",
            "zookeeper.4lw.commands.whitelist=*", "zookeeper.admin.enableServer=false",
            "zookeeper.forceSync=no", "zookeeper.serverCnxnFactory="
            "org.apache.zookeeper.server.NIOServerCnxnFactory", *properties]
        os.makedirs(f"{self.folder}/data")
        with open(f"{self.folder}/zoo.cfg", "w") as file:
            file.write("tickTime=2000\nmaxClientCnxns=0\nclientPortAddress=127.0.0.1\n"
                       f"dataDir={self.folder}/data\nclientPort={self.ports[1]}\n")

    def spawn(self, i, first):
        self.child(i, ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                       *(f"-D{one}" for one in self.properties), "-cp", JAR,
                       "org.apache.zookeeper.server.ZooKeeperServerMain",
                       f"{self.folder}/zoo.cfg"])
