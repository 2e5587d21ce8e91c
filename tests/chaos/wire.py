# SPDX-License-Identifier: Apache-2.0
"""ZooKeeper's client protocol on a raw socket: frames as bytes, and one session that can be moved
between servers. No client library: the chaos suite must see every byte and every close itself."""
import select
import socket
import struct
import time

CREATE, DELETE, EXISTS, GET, SET, GET_CHILDREN, SYNC, PING, CLOSE = 1, 2, 3, 4, 5, 8, 9, 11, -11
MULTI, PING_XID = 14, -2
NO_NODE, NODE_EXISTS, NOT_EMPTY = -101, -110, -111
OPEN_ACL = struct.pack(">ii", 1, 31) + b"\0\0\0\5world\0\0\0\6anyone"


class Closed(Exception):
    """The server closed the connection, or it was never made."""


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(raw)) + raw


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def request(xid, kind, body=b""):
    return struct.pack(">iii", 8 + len(body), xid, kind) + body


def create(xid, path, data=b"", flags=0):
    return request(xid, CREATE, text(path) + text(data) + OPEN_ACL + struct.pack(">i", flags))


def delete(xid, path, version=-1):
    return request(xid, DELETE, text(path) + struct.pack(">i", version))


def set_data(xid, path, data, version=-1):
    return request(xid, SET, text(path) + text(data) + struct.pack(">i", version))


def get(xid, path):
    return request(xid, GET, text(path) + b"\0")


def exists(xid, path):
    return request(xid, EXISTS, text(path) + b"\0")


def children(xid, path):
    return request(xid, GET_CHILDREN, text(path) + b"\0")


def sync(xid, path="/"):
    return request(xid, SYNC, text(path))


PING_FRAME = request(PING_XID, PING)


class Stat:
    """What a reply says of a node."""

    def __init__(self, raw):
        (self.czxid, self.mzxid, self.ctime, self.mtime, self.version, self.cversion, self.aversion,
         self.owner, self.length, self.children, self.pzxid) = struct.unpack(">qqqqiiiqiiq", raw[:68])


def read_get(body):
    size = struct.unpack_from(">i", body)[0]
    return body[4:4 + max(size, 0)], Stat(body[4 + max(size, 0):])


def read_children(body):
    count, at, names = struct.unpack_from(">i", body)[0], 4, []
    for _ in range(count):
        size = struct.unpack_from(">i", body, at)[0]
        names.append(body[at + 4:at + 4 + size].decode())
        at += 4 + size
    return names


class Session:
    """One session. connect() opens or re-attaches it; the rest is frames out and replies in."""

    def __init__(self, timeout_ms=30000):
        self.timeout_ms = timeout_ms
        self.id, self.password, self.zxid = 0, b"\0" * 16, 0
        self.sock, self.port, self.buffer, self.xid = None, None, bytearray(), 0

    def connect(self, port, patience=5.0):
        """True: attached. False: the session is gone (expired). Closed: try again."""
        self.drop()
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=patience)
        except OSError as why:
            raise Closed(str(why)) from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.port, self.buffer = sock, port, bytearray()
        body = struct.pack(">iqiq", 0, self.zxid, self.timeout_ms, self.id) + text(self.password) + b"\0"
        self.send(frame(body))
        reply = self.read_frame(patience)
        _, agreed, session = struct.unpack_from(">iiq", reply)
        if session == 0 or agreed <= 0:
            self.drop()
            return False
        self.id, self.password = session, bytes(reply[20:36])
        return True

    def drop(self):
        if self.sock is not None:
            self.sock.close()
        self.sock = None

    def next(self):
        self.xid += 1
        return self.xid

    def send(self, raw):
        try:
            self.sock.sendall(raw)
        except (OSError, AttributeError) as why:
            raise Closed(str(why)) from None

    def frames(self):
        """The whole frames that have arrived."""
        out, at, size = [], 0, len(self.buffer)
        while size - at >= 4:
            length = struct.unpack_from(">i", self.buffer, at)[0]
            if size - at - 4 < length:
                break
            out.append(bytes(self.buffer[at + 4:at + 4 + length]))
            at += 4 + length
        if at:
            del self.buffer[:at]
        return out

    def fill(self):
        """Reads what is there once."""
        try:
            raw = self.sock.recv(1 << 18)
        except (BlockingIOError, socket.timeout):
            return
        except (OSError, AttributeError) as why:
            raise Closed(str(why)) from None
        if not raw:
            raise Closed("closed by the server")
        self.buffer += raw

    def read_frame(self, patience):
        until = time.monotonic() + patience
        while True:
            if len(self.buffer) >= 4:
                length = struct.unpack_from(">i", self.buffer)[0]
                if len(self.buffer) >= 4 + length:
                    out = bytes(self.buffer[4:4 + length])
                    del self.buffer[:4 + length]
                    return out
            left = until - time.monotonic()
            if left <= 0:
                raise Closed("no reply in time")
            ready, _, _ = select.select([self.sock], [], [], left)
            if ready:
                self.fill()

    def reply(self, patience=10.0):
        """(xid, error, body) of the next reply that is not a ping's."""
        while True:
            raw = self.read_frame(patience)
            xid, zxid, error = struct.unpack_from(">iqi", raw)
            self.zxid = max(self.zxid, zxid)
            if xid >= 0:
                return xid, error, raw[16:]

    def call(self, build, *arguments, patience=10.0):
        """One request, its (error, body)."""
        xid = self.next()
        self.send(build(xid, *arguments))
        got, error, body = self.reply(patience)
        if got != xid:
            raise AssertionError(f"reply {got} where {xid} was due")
        return error, body

    def close(self):
        """Ends the session."""
        try:
            self.send(request(self.next(), CLOSE))
            self.read_frame(2.0)
        except Closed:
            pass
        self.drop()


def word(port, name, patience=2.0):
    """A four-letter word's text; empty if the server does not answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as sock:
            sock.sendall(name.encode())
            out = b""
            while True:
                raw = sock.recv(65536)
                if not raw:
                    return out.decode(errors="replace")
                out += raw
    except OSError:
        return ""
