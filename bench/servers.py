# SPDX-License-Identifier: Apache-2.0
# Servers of either product as child processes, and runs of the load generator against them; what
# bench/compare and bench/observers are made of. Needs only Python's own library.
import json
import os
import signal
import socket
import subprocess
import sys
import time

JAR = "/usr/share/java/zookeeper.jar"
TICKS = os.sysconf("SC_CLK_TCK")
ATTEMPTS = 3  # a run without an answer would pass for one of no latency


def log(text):
    print(text, file=sys.stderr, flush=True)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def four_letters(port, word):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(word.encode())
            answer = b""
            while True:
                part = connection.recv(65536)
                if not part:
                    return answer.decode(errors="replace")
                answer += part
    except OSError:
        return ""


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def check_needs(programs, products):
    """programs: paths of what must be built; products: classes of servers that will be started."""
    if ZooKeeper in products and not os.path.exists(JAR):
        fail(f"{JAR} is missing; apt-get install zookeeper default-jre-headless")
    for path in programs:
        if not os.access(path, os.X_OK):
            fail(f"{path} is missing; make a release build with ./dev build")


class Servers:
    """Child processes of one product, voters first, their memory and CPU. Clients go to voters."""

    def __init__(self, voters, observers, folder):
        self.voters = voters
        self.count = count = voters + observers
        self.folder = folder
        self.ports = free_ports(3 * count)
        self.processes = []

    def clients(self):
        return self.ports[: self.voters]

    def address(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.clients())

    def start(self, first=True):
        self.processes = [self.spawn(i, first) for i in range(self.count)]
        deadline = time.monotonic() + 120
        for i, port in enumerate(self.ports[: self.count]):
            while "Mode:" not in four_letters(port, "srvr"):
                if self.processes[i].poll() is not None:
                    fail(f"server {i + 1} of {self.name} ended with code "
                             f"{self.processes[i].returncode}; see {self.folder}/{i + 1}.log")
                if time.monotonic() > deadline:
                    fail(f"{self.name} did not serve within 120 s; see {self.folder}")
                time.sleep(0.005)

    def stop(self, how=signal.SIGTERM):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(how)
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def child(self, i, command, environment=None):
        output = open(f"{self.folder}/{i + 1}.log", "ab")
        with output:
            return subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                    env=environment, cwd=self.folder)

    def cpu_s(self, count=None):
        """Of the first so many servers; None: of all."""
        total = 0
        for process in self.processes[:count]:
            with open(f"/proc/{process.pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / TICKS
        return total

    def rss_mb(self):
        total = 0
        for process in self.processes:
            with open(f"/proc/{process.pid}/status") as file:
                for line in file:
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1]) / 1024
        return total


class ZooKeeper(Servers):
    name = "zookeeper"

    def spawn(self, i, first):
        data = f"{self.folder}/data{i + 1}"
        os.makedirs(data, exist_ok=True)
        config = [
            "tickTime=2000", "initLimit=10", "syncLimit=5", "maxClientCnxns=0", "forceSync=yes",
            "admin.enableServer=false", "4lw.commands.whitelist=*", f"dataDir={data}",
            f"clientPort={self.ports[i]}", "clientPortAddress=127.0.0.1",
        ]
        if self.count > 1:
            for k in range(self.count):
                config.append(f"server.{k + 1}=127.0.0.1:{self.ports[self.count + k]}:"
                              f"{self.ports[2 * self.count + k]}"
                              f"{'' if k < self.voters else ':observer'}")
            if i >= self.voters:
                config.append("peerType=observer")
            with open(f"{data}/myid", "w") as file:
                file.write(str(i + 1))
        with open(f"{self.folder}/{i + 1}.cfg", "w") as file:
            file.write("\n".join(config) + "\n")
        return self.child(i, [
            "java", "-Xmx2g", "-cp", f"/etc/zookeeper/conf_example:{JAR}",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", f"{self.folder}/{i + 1}.cfg"])


class Polyquorum(Servers):
    name = "polyquorum"
    program = ""

    def spawn(self, i, first):
        config = f"{self.folder}/cluster.yaml"
        if i == 0 and first:
            rows = "".join(
                f"    - {{ id: {k + 1}, peer: 127.0.0.1:{self.ports[self.count + k]}, "
                f"zookeeper: 127.0.0.1:{self.ports[k]}, data: data/{k + 1}"
                f"{'' if k < self.voters else ', role: observer'} }}\n"
                for k in range(self.count))
            with open(config, "w") as file:
                file.write("cluster:\n  name: compare\n  servers:\n" + rows +
                           "limits:\n  memory: 2GiB\n"
                           "plugins:\n"
                           "  election:  { use: fast_leader }\n"
                           "  consensus: { use: zab }\n"
                           "  storage:   { use: file }\n"
                           "  transport: { use: tcp }\n"
                           "  api:       [ { use: zookeeper, maxClientCnxns: 1000000 } ]\n")
        command = [self.program, "server", "--config", config, "--id", str(i + 1)]
        command += ["--log-level", "warning"] + (["--bootstrap"] if first else [])
        return self.child(i, command)


class Bench:
    """One run of the load generator, and what the servers, or the first so many, used meanwhile."""

    def __init__(self, command, servers, counted=None):
        self.command = command
        self.servers = servers
        self.counted = counted

    def run(self, arguments, marks=None):
        """marks: line on stderr -> function called when it appears."""
        process = subprocess.Popen(
            self.command + ["-o", "json", "--progress", *arguments, "--servers", self.servers.address()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        complaints = []
        for line in process.stderr:
            hits = [act for word, act in (marks or {}).items() if line.startswith(word)]
            for act in hits:
                act()
            if not hits:
                complaints.append(line.strip())
        answer = process.stdout.read()
        process.wait()
        try:
            return json.loads(answer)
        except ValueError:
            fail(f"{' '.join(process.args)} ended with code {process.returncode}: "
                     + " / ".join(complaints[-3:]))

    def load(self, arguments, seconds, warmup):
        for _ in range(ATTEMPTS):
            result = self.load_once(arguments, seconds, warmup)
            if result["ops_per_s"] > 0:
                return result
            log(f"  {self.servers.name} answered nothing in {seconds} s; measured again")
        fail(f"{self.servers.name} answered nothing in {ATTEMPTS} runs; see {self.servers.folder}")

    def load_once(self, arguments, seconds, warmup):
        window = {}

        def measuring():
            window["cpu"] = self.servers.cpu_s(self.counted)
            time.sleep(seconds)
            window["cpu"] = self.servers.cpu_s(self.counted) - window["cpu"]

        found = self.run([*arguments, "--seconds", str(seconds), "--warmup", str(warmup)],
                         {"mix.measuring": measuring})
        latency = found["latency_us"]
        result = {"ops_per_s": found["ops_per_s"], "p50_us": latency["p50"],
                  "p99_us": latency["p99"], "p999_us": latency["p999"],
                  "rss_mb": self.servers.rss_mb(), "generator_cpu": found["generator_cpu"],
                  "errors": sum(found["errors"].values()) + found["unknown"]}
        if "cpu" in window and found["ops"] > 0:
            result["cpu_us_per_op"] = window["cpu"] / found["ops"] * 1e6
        return result

    def idle(self, sessions):
        memory = {"before": self.servers.rss_mb()}

        def opened():
            time.sleep(3)
            memory["held"] = self.servers.rss_mb()

        found = self.run(["idle", "--sessions", str(sessions), "--hold", "4"],
                         {"idle.open": opened})
        return {"connects_per_s": found["connects_per_s"], "rss_mb": memory["held"],
                "rss_grown_mb": memory["held"] - memory["before"],
                "lost": found["connections_lost"]}

    def fanout(self):
        found = self.run(["fanout", "--sessions", "1000", "--rounds", "20"])
        return {"last_p50_us": found["last_notice_us"]["p50"],
                "last_p90_us": found["last_notice_us"]["p90"],
                "connects_per_s": found["connects_per_s"]}

    def nodes(self, count):
        found = self.run(["load", "--nodes", str(count), "--connections", "16", "--depth", "64"],
                         {"load.progress": lambda: None})
        time.sleep(3)
        result = {"ops_per_s": found["ops_per_s"], "rss_mb": self.servers.rss_mb()}
        self.servers.stop()
        begin = time.monotonic()
        self.servers.start(first=False)
        result["restart_s"] = time.monotonic() - begin
        result["rss_restarted_mb"] = self.servers.rss_mb()
        return result
