# SPDX-License-Identifier: Apache-2.0
# ZooKeeper's client protocol to the byte: a tiny jute, request bodies and a socket. What the
# answers should be lies in the tests.
import socket
import struct

(CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC) = range(1, 10)
(PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG, CHECK_WATCHES, REMOVE_WATCHES,
 CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL, MULTI_READ) = range(11, 23)
(AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER, SET_WATCHES2, ADD_WATCH,
 WHO_AM_I) = range(100, 108)
CLOSE = -11
NAMES = {value: name for name, value in list(globals().items()) if isinstance(value, int)}
NOTICE, PING_XID, AUTH_XID, SET_WATCHES_XID = -1, -2, -4, -8
CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4
OPEN = [(31, "world", "anyone")]
STAT = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner",
        "dataLength", "numChildren", "pzxid")


class Closed(Exception):
    """The server closed the connection."""


def i32(value):
    return struct.pack(">i", value)


def i64(value):
    return struct.pack(">q", value)


def flag(value):
    return b"\1" if value else b"\0"


def buffer(value):
    """A jute buffer or string; None is written as length -1."""
    if value is None:
        return i32(-1)
    value = value.encode() if isinstance(value, str) else value
    return i32(len(value)) + value


def strings(values):
    return i32(-1) if values is None else i32(len(values)) + b"".join(buffer(v) for v in values)


def acls(entries):
    if entries is None:
        return i32(-1)
    return i32(len(entries)) + b"".join(
        i32(bits) + buffer(scheme) + buffer(who) for bits, scheme, who in entries)


def create(path, data=b"", flags=0, acl=OPEN, ttl=None):
    return (buffer(path) + buffer(data) + acls(acl) + i32(flags) +
            (b"" if ttl is None else i64(ttl)))


def versioned(path, version=-1):
    return buffer(path) + i32(version)


def set_data(path, data, version=-1):
    return buffer(path) + buffer(data) + i32(version)


def set_acl(path, acl, version=-1):
    return buffer(path) + acls(acl) + i32(version)


def watched(path, watch=False):
    return buffer(path) + flag(watch)


def multi(parts):
    """parts: (type, body) each."""
    body = b"".join(i32(kind) + flag(False) + i32(-1) + part for kind, part in parts)
    return body + i32(-1) + flag(True) + i32(-1)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise ValueError(f"{size} bytes at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def i32(self):
        return struct.unpack(">i", self.take(4))[0]

    def i64(self):
        return struct.unpack(">q", self.take(8))[0]

    def flag(self):
        return self.take(1) != b"\0"

    def buffer(self):
        size = self.i32()
        return None if size < 0 else self.take(size)

    def string(self):
        value = self.buffer()
        return None if value is None else value.decode()

    def strings(self):
        return [self.string() for _ in range(self.i32())]

    def acls(self):
        return [(self.i32(), self.string(), self.string()) for _ in range(self.i32())]

    def stat(self):
        values = struct.unpack(">qqqqiiiqiiq", self.take(68))
        return dict(zip(STAT, values))

    def rest(self):
        return self.take(len(self.data) - self.at)


class Client:
    """One connection. Every frame that came is in `frames` until taken by `reply`."""

    def __init__(self, port, timeout=10000, session=0, password=b"\0" * 16, seen=0,
                 read_only=False):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = b""
        self.xid = 0
        self.events = []
        body = i32(0) + i64(seen) + i32(timeout) + i64(session) + buffer(password)
        if read_only is not None:
            body += flag(read_only)
        self.socket.sendall(buffer(body))
        self.connected = self.frame()
        answer = Reader(self.connected)
        answer.i32()
        self.timeout, self.session = answer.i32(), answer.i64()
        self.password = answer.buffer()

    def frame(self):
        """The next frame; Closed at the end of the stream."""
        while True:
            if len(self.input) >= 4:
                size = struct.unpack(">i", self.input[:4])[0]
                if len(self.input) >= 4 + size:
                    frame, self.input = self.input[4:4 + size], self.input[4 + size:]
                    return frame
            try:
                part = self.socket.recv(1 << 16)
            except ConnectionError:
                part = b""
            if not part:
                raise Closed()
            self.input += part

    def send(self, kind, body=b"", xid=None):
        """Sends a request and returns its xid; the reply is not waited for."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.socket.sendall(buffer(i32(xid) + i32(kind) + body))
        return xid

    def reply(self):
        """(xid, zxid, error, body) of the next reply; notices before it go to `events`."""
        while True:
            reader = Reader(self.frame())
            xid, zxid, error = reader.i32(), reader.i64(), reader.i32()
            if xid != NOTICE:
                return xid, zxid, error, reader.rest()
            self.events.append((zxid, reader.i32(), reader.i32(), reader.string()))

    def call(self, kind, body=b"", xid=None):
        """(error, Reader of the body) of one request."""
        sent = self.send(kind, body, xid)
        got, self.zxid, error, rest = self.reply()
        assert got == sent, f"the reply to {sent} carries xid {got}"
        return error, Reader(rest)

    def told(self):
        """Takes the (type, path) of the notices so far; a ping makes sure that all have come."""
        self.call(PING, xid=PING_XID)
        told = [(kind, path) for _, kind, _, path in self.events]
        self.events = []
        return told

    def ended(self):
        """Whether the server closes the connection without another word but notices."""
        try:
            self.reply()
        except Closed:
            return True
        return False

    def close(self):
        self.socket.close()
