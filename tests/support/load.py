# SPDX-License-Identifier: Apache-2.0
"""Load whose every trace can be checked. A writer's operations are numbered; the state that the first p of
them leave behind is known exactly (values, versions, children), so a reader can tell whether what a
cluster holds is a prefix, each operation once, that contains everything acknowledged."""
import struct
import threading
import time

import wire
from servers import Trouble, wait_for

KEYS, AGE, PAD = 64, 398, b"." * 88
HEADER = struct.Struct(">iiqi")


class Writer:
    """Even operations set a key; every fourth creates a node, every fourth deletes an old one."""

    def __init__(self, name, servers, first=0, depth=128, stay=False, timeout_ms=30000):
        self.root, self.servers, self.depth, self.stay = f"/{name}", servers, depth, stay
        self.client = wire.Client(timeout=timeout_ms)
        self.at = first                      # index into servers
        self.kills = 0                       # of that server, when this connection was made
        self.sent = self.acked = 0
        self.wrongs, self.moves, self.gap_max = [], 0, 0.0
        self.stopping, self.thread = False, None
        self.keys = [f"{self.root}/k{k}" for k in range(KEYS)]

    # ------------------------------------------------------------------ the model
    def frame(self, n):
        xid = n % 0x7FFFFFF0 + 1
        if n % 2 == 0:
            return wire.request(xid, wire.SET_DATA, wire.set_data(self.keys[n // 2 % KEYS], b"%012d" % n + PAD))
        if n % 4 == 3:
            return wire.request(xid, wire.CREATE, wire.create(f"{self.root}/n/{n}", b"%012d" % n + PAD))
        if n >= AGE:
            return wire.request(xid, wire.DELETE, wire.versioned(f"{self.root}/n/{n - AGE}"))
        return wire.request(xid, wire.SYNC, wire.buffer(self.root))

    @staticmethod
    def key_after(p, k):
        """(value's number or None, version) of key k after p operations."""
        sets = (p + 1) // 2                  # even numbers below p
        times = (sets - k + KEYS - 1) // KEYS if sets > k else 0
        return (2 * (k + (times - 1) * KEYS) if times else None), times

    @staticmethod
    def nodes_after(p):
        lowest = max(0, p - 1 - AGE + 1)     # deleted: n + AGE < p
        return {str(n) for n in range(lowest, p) if n % 4 == 3 and not n + AGE < p}

    # ------------------------------------------------------------------ connection
    @property
    def server(self):
        return self.servers[self.at]

    def connect(self, patience=30.0):
        until = time.monotonic() + patience
        while time.monotonic() < until:
            try:
                self.kills = self.server.kills
                if self.client.connect(self.server.port, 3.0):
                    return
                raise Trouble(f"session of {self.root} is lost")
            except OSError:
                if not self.stay:
                    self.at = (self.at + 1) % len(self.servers)
                time.sleep(0.02)
        raise Trouble(f"{self.root} cannot connect")

    def setup(self):
        self.connect()
        for path, data in [(self.root, b""), (self.root + "/n", b"")] + [(k, b"") for k in self.keys]:
            error, _ = self.client.call(wire.CREATE, wire.create(path, data))
            if error:
                raise Trouble(f"create {path}: {error}")

    def verify(self):
        """Reads everything back; what is there must be a prefix with all that was acknowledged.
        Continues from its end."""
        self.client.call(wire.SYNC, wire.buffer(self.root))
        found = []
        for key in self.keys:
            error, body = self.client.call(wire.GET_DATA, wire.watched(key))
            if error:
                raise Trouble(f"{key} is gone: {error}")
            value = body.buffer()
            found.append((int(value[:12]) if value else None, body.stat()["version"]))
        _, body = self.client.call(wire.GET_CHILDREN, wire.watched(self.root + "/n"))
        names = set(body.strings())
        last = max((n for n, _ in found if n is not None), default=-1)
        for p in (last + 1, last + 2):
            if names == self.nodes_after(p) and \
                    all(found[k] == self.key_after(p, k) for k in range(KEYS)):
                break
        else:
            self.explain(last, found, names)
        if p + 1 < self.acked:               # one sync at the end leaves no trace
            raise Trouble(f"{self.root}: {self.acked} acknowledged, only {p} there")
        if p > self.sent:
            raise Trouble(f"{self.root}: {p} there, only {self.sent} sent")
        p = max(p, self.acked)
        self.sent = self.acked = p
        return p

    def explain(self, last, found, names):
        lines = [f"{self.root}: not a prefix: sent {self.sent}, acknowledged {self.acked}, newest {last}"]
        for p in (last + 1, last + 2):
            wrong = [(k, found[k], self.key_after(p, k)) for k in range(KEYS)
                     if found[k] != self.key_after(p, k)]
            due = self.nodes_after(p)
            lines.append(f"  as {p}: keys {wrong[:5]}, missing {sorted(due - names)[:5]}, "
                         f"too many {sorted(names - due)[:5]}")
        raise Trouble("\n".join(lines))

    # ------------------------------------------------------------------ load
    def pump(self):
        """Sends and hears until told to stop or closed."""
        sock = self.client.socket
        buffer, heard = b"", time.monotonic()
        while True:
            room = self.depth - (self.sent - self.acked)
            if self.stopping:
                if self.sent == self.acked:
                    return
            elif room * 4 >= self.depth:
                batch = b"".join(self.frame(n) for n in range(self.sent, self.sent + room))
                self.sent += room
                sock.sendall(batch)
            raw = sock.recv(1 << 16)
            if not raw:
                raise wire.Closed("closed by the server")
            now = time.monotonic()
            self.gap_max, heard = max(self.gap_max, now - heard), now
            buffer = buffer + raw if buffer else raw
            at, size = 0, len(buffer)
            while size - at >= 20:
                length, xid, zxid, error = HEADER.unpack_from(buffer, at)
                if size - at < 4 + length:
                    break
                at += 4 + length
                if error or xid != self.acked % 0x7FFFFFF0 + 1:
                    raise Trouble(f"{self.root}: reply xid {xid} error {error}, due {self.acked}")
                self.acked += 1
                self.client.zxid = zxid
            buffer = buffer[at:]

    def run(self, follow):
        """follow: moves to another server when closed, checks there, goes on. Else ends when closed."""
        while True:
            try:
                if self.client.socket is None:
                    self.moves += 1
                    self.connect()
                    self.verify()
                self.pump()
                return
            except OSError as why:
                if self.server.kills == self.kills:
                    self.wrongs.append(f"{self.root}: server {self.server.number} stayed up and the "
                                       f"connection ended: {why}")
                self.client.close()
                if not follow or self.stopping:
                    return
                self.at = (self.at + 1) % len(self.servers)
            except Trouble as why:
                self.wrongs.append(str(why))
                return

    def start(self, follow):
        self.stopping = False
        self.thread = threading.Thread(target=self.run, args=(follow,), daemon=True)
        self.thread.start()

    def join(self, patience=60.0):
        self.thread.join(patience)
        if self.thread.is_alive():
            raise Trouble(f"{self.root}: the load hangs at {self.acked} of {self.sent}")
        if self.wrongs:
            raise Trouble("\n".join(self.wrongs))


def flow(writers, count=1000):
    """Waits until each of them has so many more acknowledged, or one found something wrong: join() tells it."""
    goals = [(writer, writer.acked + count) for writer in writers]
    wait_for("the load goes on", lambda: any(w.wrongs for w in writers) or all(w.acked >= goal for w, goal in goals))


class Idler:
    """A session that only pings, owns an ephemeral node, and moves when its server goes."""

    def __init__(self, name, servers, first, timeout_ms=15000):
        self.path, self.servers, self.at = f"/{name}", servers, first
        self.client = wire.Client(timeout=timeout_ms)
        self.kills, self.asked, self.wrongs, self.moves = 0, 0.0, [], 0

    connect, server, stay, root = Writer.connect, Writer.server, False, "an idle session"

    def setup(self):
        self.connect()
        error, _ = self.client.call(wire.CREATE, wire.create(self.path, flags=1))
        if error:
            raise Trouble(f"create {self.path}: {error}")

    def tend(self):
        """Called often: pings each second, follows when closed, until it finds something wrong."""
        if self.wrongs:
            return
        try:
            now = time.monotonic()
            if now - self.asked > 1.0:
                self.asked = now
                self.client.send(wire.PING, xid=wire.PING_XID)
            while self.client.heard():
                self.client.reply()
        except OSError as why:
            if self.server.kills == self.kills:
                self.wrongs.append(f"{self.path}: server {self.server.number} stayed up and the "
                                   f"connection ended: {why}")
            self.at = (self.at + 1) % len(self.servers)
            self.moves += 1
            try:
                self.connect(10.0)
            except Trouble as lost:
                self.wrongs.append(str(lost))

    def verify(self):
        if self.wrongs:
            raise Trouble("\n".join(self.wrongs))
        sent = self.client.send(wire.EXISTS, wire.watched(self.path))
        while (reply := self.client.reply())[0] == wire.PING_XID:
            pass
        xid, _, error, body = reply
        if xid != sent or error or wire.Reader(body).stat()["ephemeralOwner"] != self.client.session:
            raise Trouble(f"{self.path}: the ephemeral node of a living session is gone: {error}")
