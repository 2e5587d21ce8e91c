# SPDX-License-Identifier: Apache-2.0
"""Malformed frames at the client's door and random bytes at the peers' door: the server lives, its memory
stays within 5 %, other clients notice nothing (issue 2, Checks)."""
import random
import socket
import struct
import threading
import time

from cluster import Cluster, Trouble, wait_for, wire

SMALL, BIG = 20000, 1_000_000
MIB = 1 << 20


def bad_bodies(draw):
    """Requests that get an error each, and the connection stays."""
    xid = draw.randrange(1, 1 << 30)
    path = wire.buffer("/abuse")
    pick = draw.randrange(1, 13)
    if pick == 1:
        return wire.request(xid, wire.CREATE, struct.pack(">i", draw.choice([-2, 1 << 30, 7000])) + b"/a")
    if pick == 2:
        return wire.request(xid, wire.GET_DATA, path[:draw.randrange(len(path))])               # truncated
    if pick == 3:
        return wire.request(xid, wire.SET_DATA, wire.buffer(b"/\xff\xfe\xc0\xaf") + wire.buffer(b"x") + b"\0\0\0\0")
    if pick == 4:
        return wire.request(xid, wire.CREATE, wire.buffer("/\0x") + wire.buffer(b"") + wire.OPEN_BYTES + b"\0\0\0\0")
    if pick == 5:                                                                              # endless multi
        return wire.request(xid, wire.MULTI, struct.pack(">ibi", wire.DELETE, 0, -1) * 50)
    if pick == 6:                                                                              # nested multi
        return wire.request(xid, wire.MULTI, struct.pack(">ibi", wire.MULTI, 0, -1) * draw.randrange(1, 60))
    if pick == 7:
        return wire.request(xid, wire.MULTI, draw.randbytes(draw.randrange(60)))
    if pick == 8:
        return wire.request(xid, wire.CREATE, path + wire.buffer(b"") + struct.pack(">i", draw.choice([-5, 1 << 28])))
    if pick == 9:
        return wire.request(xid, draw.choice([101, 105]), struct.pack(">qi", 0, draw.choice([1 << 30, -9, 3])))
    if pick == 10:
        return wire.request(xid, wire.CREATE, path + wire.buffer(b"x" * draw.randrange(9000)) + b"\0\0\0\1\0")
    if pick == 11:
        opcode = draw.choice([1, 2, 4, 5, 7, 8, 12, 14, 15, 18, 22, 106])
        return wire.request(xid, opcode, draw.randbytes(draw.randrange(40)))
    if pick == 12:
        return wire.request(xid, wire.CREATE, wire.create("/a//b/../c" * draw.randrange(1, 20), b"x",
                                                          draw.choice([-1, 7, 99, 1 << 30])))
    return wire.request(xid, wire.DELETE, wire.buffer("relative") + b"\0\0\0\0")


def bad_lengths(draw):
    """What closes the connection at once, or leaves a frame that never ends."""
    pick = draw.randrange(8)
    if pick == 5:
        return wire.request(1, draw.choice([-7, 57, 1000, -(1 << 31), (1 << 31) - 1]))          # unknown opcode
    if pick == 6:
        return wire.request(1, 100, wire.login(b"x", draw.randbytes(9)))
    if pick == 7:                                                                              # no whole header
        return struct.pack(">i", draw.randrange(1, 8)) + draw.randbytes(draw.randrange(1, 8))
    if pick == 0:
        return struct.pack(">i", draw.choice([-1, -(1 << 31), (1 << 31) - 1, 1 << 24])) + draw.randbytes(30)
    if pick == 1:
        return struct.pack(">i", MIB + 1) + bytes(64)
    if pick == 2:
        return wire.request(1, wire.GET_DATA, wire.buffer("/x") + b"\0")[:draw.randrange(4, 14)]
    if pick == 3:
        return draw.randbytes(draw.randrange(1, 200))
    return wire.request(1, wire.CREATE, wire.create("/big", bytes(MIB + 1)))


def bad_handshakes(draw):
    pick = draw.randrange(3)
    if pick == 0:
        return wire.buffer(draw.randbytes(draw.randrange(60)))
    if pick == 1:
        return bad_lengths(draw)
    body = wire.HELLO.pack(draw.randrange(-9, 9), draw.randrange(-9, 9), draw.randrange(-9, 9),
                           draw.getrandbits(62))
    return wire.buffer(body + struct.pack(">i", draw.choice([-1, 16, 1 << 30])) + draw.randbytes(draw.randrange(17)))


def attack(server, draw, frames):
    """Bursts of bad frames, each answered; some sessions end with what must close them. Gives how many frames the
    server dealt with, how many connections it closed."""
    dealt = closed = 0
    client = wire.Client(timeout=4000)
    while dealt < frames:
        if draw.randrange(20) == 0:
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                try:
                    sock.sendall(bad_handshakes(draw))
                except OSError:
                    pass                           # closed before it was read to its end
            dealt += 1
            continue
        if client.socket is None:
            client = wire.Client(server.port, timeout=4000)
        burst = [bad_bodies(draw) for _ in range(50)]
        try:
            client.socket.sendall(b"".join(burst))
            for _ in burst:
                client.frame()
                dealt += 1
        except TimeoutError:
            raise Trouble(f"a malformed frame was neither answered nor closed: {burst}") from None
        except ConnectionError:
            client.close()
            closed += 1
            continue
        if draw.randrange(10) == 0:
            try:
                client.socket.sendall(bad_lengths(draw))
            except OSError:
                pass
            client.close()
            dealt += 1
            closed += 1
    client.close()
    return dealt, closed


def attack_peers(port, draw, connections):
    for _ in range(connections):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                sock.sendall(draw.randbytes(draw.randrange(1, 5000)) if draw.randrange(3) else
                             struct.pack("<I", draw.getrandbits(32)) + bytes(draw.randrange(100)))
                if draw.randrange(2):
                    sock.settimeout(0.05)
                    sock.recv(100)
        except OSError:
            pass


class Bystander(threading.Thread):
    """A client that minds its own business: writes and reads back; nothing may fail or hang."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.path, self.client, self.ended = f"/{name}", wire.Client(port, timeout=20000), False
        self.client.call(wire.CREATE, wire.create(self.path))
        self.done, self.times, self.wrong = 0, [], None

    def run(self):
        try:
            while not self.ended:
                begun, data = time.monotonic(), str(self.done).encode()
                error, _ = self.client.call(wire.SET_DATA, wire.set_data(self.path, data))
                error2, body = self.client.call(wire.GET_DATA, wire.watched(self.path))
                if error or error2 or body.buffer() != data:
                    raise Trouble(f"{self.path}: {error} {error2} {body.data}")
                self.times.append(time.monotonic() - begun)
                self.done += 1
                time.sleep(0.002)
        except (OSError, AssertionError) as why:
            self.wrong = f"{self.path}: {why}"


def warm(port):
    """Fills what fills once: 32 MiB of the newest log are kept in memory. Small entries, as the attack makes them:
    deletes of what is not there go through the log, too."""
    client = wire.Client(port, timeout=30000)
    deletes = b"".join(wire.request(xid, wire.DELETE, wire.versioned("/none")) for xid in range(500))
    for _ in range(800):
        client.socket.sendall(deletes)
        for _ in range(500):
            client.reply()
    client.end()


def waits(bystanders):
    """How long they waited since the last time this was asked."""
    times = sorted(t for each in bystanders for t in each.times)
    for each in bystanders:
        each.times = []
    if not times:
        raise Trouble("the bystanders got nothing done")
    return ", ".join(f"{name} {times[int(share * (len(times) - 1))] * 1000:.1f}" for name, share in
                     [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]) + f" ms of {len(times)}"


def expired(cluster, bystanders):
    """Waits until no session of the attack is left, which also ends what they keep in memory."""
    wait_for("the sessions of the attack expire", lambda: all(
        s.facts().get("pq_sessions") == str(len(bystanders)) for s in cluster.servers.values()))


def run(options, frames):
    draw = random.Random(options.seed)
    with Cluster("abuse", options.port, options.binary) as cluster:
        leader, follower = cluster.leader(), cluster.followers()[0]
        bystanders = [Bystander(port, f"by{n}") for n, port in enumerate(cluster.ports())]
        for each in bystanders:
            each.start()
        warm(leader.port)
        for target in (leader, follower):
            attack(target, draw, min(frames // 10, 20000))
        waits(bystanders)
        expired(cluster, bystanders)
        quiet = waits(bystanders)
        before = {s.number: s.rss_kb() for s in cluster.servers.values()}
        sent = closed = 0
        begun = time.monotonic()
        for turn in range(10):
            for target in (leader, follower):
                got, ended = attack(target, draw, frames // 20)
                sent, closed = sent + got, closed + ended
                attack_peers(cluster.peer_ports[target.number], draw, 10)
            cluster.check_alive()
        lasted = time.monotonic() - begun
        under = waits(bystanders)
        expired(cluster, bystanders)
        after = {s.number: s.rss_kb() for s in cluster.servers.values()}
        for each in bystanders:
            each.ended = True
        for each in bystanders:
            each.join(10)
        wrongs = [each.wrong for each in bystanders if each.wrong]
        cluster.check_alive()
        cluster.equal()
        counted = [int(leader.facts()[k]) + int(follower.facts()[k]) for k in
                   ("pq_malformed_requests", "pq_unknown_requests", "zk_large_requests_rejected")]
        growth = {n: 100.0 * (after[n] - before[n]) / before[n] for n in before}
        print(f"{sent} malformed frames in {lasted:.0f} s, {closed} connections closed; the servers counted "
              f"{counted[0]} malformed, {counted[1]} unknown, {counted[2]} too large; "
              f"200 connections of noise at the peers' ports; "
              f"RSS {', '.join(f'{before[n]} -> {after[n]} kB ({growth[n]:+.1f} %)' for n in before)}; bystanders' "
              f"writes and reads before: {quiet}; under attack: {under}")
        if wrongs:
            raise Trouble("; ".join(wrongs))
        if max(growth[leader.number], growth[follower.number]) > 5.0:
            raise Trouble("memory grew by more than 5 %")
