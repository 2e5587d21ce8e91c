# SPDX-License-Identifier: Apache-2.0
"""ZooKeeper's client protocol to the byte: a tiny jute, request bodies and a client. No library, so that the
tests see every byte and every close themselves. What the answers should be lies in the tests."""
import select
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
RUNTIME_INCONSISTENCY, MARSHALLING_ERROR, UNIMPLEMENTED, BAD_ARGUMENTS = -2, -5, -6, -8
NO_NODE, NO_AUTH, BAD_VERSION, NODE_EXISTS, NOT_EMPTY = -101, -102, -103, -110, -111
AUTH_FAILED, NO_WATCHER, RECONFIG_DISABLED, QUOTA_EXCEEDED = -115, -121, -123, -125
CREATED, DELETED, CHANGED, CHILDREN = 1, 2, 3, 4
STAT = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "ephemeralOwner",
        "dataLength", "numChildren", "pzxid")
PATIENCE = 20.0  # seconds after which an answer is missing
I32, I64, STAT_RECORD = struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">qqqqiiiqiiq")
HELLO, REQUEST, REPLY = struct.Struct(">iqiq"), struct.Struct(">iii"), struct.Struct(">iqi")
i32, i64 = I32.pack, I64.pack


class Closed(ConnectionError):
    """The server closed the connection."""


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


OPEN = [(31, "world", "anyone")]
OPEN_BYTES = acls(OPEN)


def create(path, data=b"", flags=0, acl=OPEN, ttl=None):
    return (buffer(path) + buffer(data) + (OPEN_BYTES if acl is OPEN else acls(acl)) + i32(flags) +
            (b"" if ttl is None else i64(ttl)))


def versioned(path, version=-1):
    return buffer(path) + i32(version)


def set_data(path, data, version=-1):
    return buffer(path) + buffer(data) + i32(version)


def set_acl(path, acl, version=-1):
    return buffer(path) + acls(acl) + i32(version)


def watched(path, watch=False):
    return buffer(path) + flag(watch)


def login(secret, scheme="digest"):
    return i32(0) + buffer(scheme) + buffer(secret)


def multi(parts):
    """parts: (type, body) each."""
    body = b"".join(i32(kind) + flag(False) + i32(-1) + part for kind, part in parts)
    return body + i32(-1) + flag(True) + i32(-1)


def request(xid, kind, body=b""):
    """The frame of a request."""
    return REQUEST.pack(8 + len(body), xid, kind) + body


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise ValueError(f"{size} bytes at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def i32(self):
        return I32.unpack(self.take(4))[0]

    def i64(self):
        return I64.unpack(self.take(8))[0]

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
        return dict(zip(STAT, STAT_RECORD.unpack(self.take(STAT_RECORD.size))))

    def rest(self):
        return self.take(len(self.data) - self.at)


class Client:
    """A session, and one connection at a time. Notices that came are in `events` until taken."""

    def __init__(self, port=None, timeout=10000, session=0, password=b"\0" * 16, seen=0):
        self.timeout, self.session, self.password = timeout, session, password
        self.zxid = seen  # of the last reply
        self.socket, self.xid, self.events = None, 0, []
        if port is not None:
            self.connect(port)

    def connect(self, port, patience=PATIENCE):
        """Opens the session, or moves it here; gives whether it lives."""
        self.close()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = bytearray()
        self.socket.sendall(buffer(HELLO.pack(0, self.zxid, self.timeout, self.session) +
                                   buffer(self.password) + flag(False)))
        answer = Reader(self.frame())
        answer.i32()
        self.timeout, self.session, self.password = answer.i32(), answer.i64(), answer.buffer()
        self.socket.settimeout(PATIENCE)
        return self.session != 0

    def frame(self):
        """The next frame; Closed at the end of the stream."""
        while True:
            if len(self.input) >= 4:
                end = 4 + I32.unpack_from(self.input)[0]
                if len(self.input) >= end:
                    frame = bytes(self.input[4:end])
                    del self.input[:end]
                    return frame
            try:
                part = self.socket.recv(1 << 16)
            except ConnectionError:
                part = b""
            if not part:
                raise Closed("closed by the server")
            self.input += part

    def heard(self):
        """Whether bytes, or the end of the stream, came that frame() did not read yet."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def send(self, kind, body=b"", xid=None):
        """Sends a request and returns its xid; the reply is not waited for."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        self.socket.sendall(request(xid, kind, body))
        return xid

    def reply(self):
        """(xid, zxid, error, body) of the next reply; notices before it go to `events`."""
        while True:
            frame = self.frame()
            xid, zxid, error = REPLY.unpack_from(frame)
            if xid != NOTICE:
                self.zxid = zxid
                return xid, zxid, error, frame[REPLY.size:]
            reader = Reader(frame[REPLY.size:])
            self.events.append((zxid, reader.i32(), reader.i32(), reader.string()))

    def call(self, kind, body=b"", xid=None):
        """(error, Reader of the body) of one request."""
        sent = self.send(kind, body, xid)
        got, _, error, rest = self.reply()
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

    def end(self):
        """Ends the session."""
        self.call(CLOSE)
        self.close()

    def close(self):
        """Ends the connection; the session lives on."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None
