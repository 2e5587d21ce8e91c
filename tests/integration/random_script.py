# SPDX-License-Identifier: Apache-2.0
# Random scripts of client requests, equal for equal seeds: good and bad paths, versions, ACLs,
# flags, multis and broken bodies. What is done with them lies in differential.py.
import random
import re

from cluster import wire

CLIENTS = 4
AUTH = {1: [b"bob:one"], 2: [b"bob:one", b"alice:two"], 3: [b"super:secret"]}  # by client
BOB = "bob:j5SUXQNftyNJx2Lmg+5AJbHfAwQ="      # base64(sha1("bob:one"))
INVALID_PATHS = ["", "x", "a/b", "/a/", "/a//b", "//", "/a/.", "/a/..", "/a/../b", "/./a", "/\0",
                 "/a\1", "/\x1f", "/\x7f", "/\ufff1", "/\ue000", "/zookeeper", "/zookeeper/quota",
                 "/zookeeper/config", "/zookeeper/quota/a", "/zookeeper/x", "/\u00e4", "/ ", "/."]
# A part of a multi that ends with a flag for a TTL: a create that has none (behind it the next header).
TTL_FLAG_IN_MULTI = re.compile(rb"\0\0\0[\5\6](\0\0\0.|\xff{4})[\0\1]\xff{4}", re.DOTALL)


class Step:
    """Requests sent in one go on one connection, all of which are answered before the next step."""

    def __init__(self, client, requests=(), reopens=False, closes=False):
        self.client, self.requests = client, list(requests)
        self.reopens = reopens    # begins with a new session
        self.closes = closes      # ends with the end of the session: ephemerals go


class Script:
    def __init__(self, seed, operations):
        self.random = random.Random(seed)
        self.steps = [self.opening(client) for client in range(CLIENTS)]
        made = 0
        while made < operations:
            steps = self.next_steps()
            made += sum(len(step.requests) for step in steps)
            self.steps += steps

    def opening(self, client):
        return Step(client, [(wire.AUTH, wire.login(secret), wire.AUTH_XID)
                             for secret in AUTH.get(client, [])], reopens=True)

    def next_steps(self):
        client, dice = self.random.randrange(CLIENTS), self.random.random()
        if dice < 0.012:
            return [Step(client, [(wire.CLOSE, b"", None)], closes=True), self.opening(client)]
        if dice < 0.016:
            # The session that is left behind owns nothing, so that its expiry shows nowhere.
            return [Step(client, [(wire.CLOSE, b"", None)], closes=True), self.opening(client),
                    Step(client, [self.fatal()]), self.opening(client)]
        if dice < 0.018:  # alone, because it overtakes what is pending
            return [Step(client, [(wire.SASL, wire.buffer(b"token"), None)])]
        count = self.random.choice([1, 1, 2, 4, 8, 16])
        step = Step(client)
        while len(step.requests) < count:
            step.requests.append(self.request(client))
            if self.confuses_pipeline(*step.requests[-1][:2]):
                break
        return [step]

    def confuses_pipeline(self, kind, body):
        """Whether 3.8.0 may answer what is pipelined behind this one way or the other. It checks that
        against the old or the new ACL. A multi that ends in a class cast exception (docs/compatibility.md)
        is not taken back there: until it is answered, what its parts deleted is missing."""
        return kind == wire.SET_ACL or kind == wire.MULTI and TTL_FLAG_IN_MULTI.search(body)

    def fatal(self):
        """A request after which the server closes the connection."""
        kind = self.random.choice(["unknown", "auth"])
        if kind == "unknown":
            return self.random.choice([10, 23, 99, 108, 999, -5, 2**31 - 1]), b"", None
        return wire.AUTH, wire.login("a:b", self.random.choice(["runes", "", "World"])), wire.AUTH_XID

    # -- the pieces

    def path(self):
        dice = self.random.random()
        if dice < 0.05:
            return self.random.choice(INVALID_PATHS)
        if dice < 0.08:
            return "/"
        return self.deep(self.random.choice([1, 1, 2, 2, 2, 3]))

    def deep(self, depth):
        return "".join("/" + self.random.choice("abcde") for _ in range(depth)) or "/"

    def guarded_path(self):
        return "/acl" + self.random.choice(["", "/x", "/y", "/x/z", "/q"])

    def version(self):
        return self.random.choice([-1] * 12 + [0, 0, 1, 2, 3, 99, -2, -2**31])

    def data(self):
        dice = self.random.random()
        if dice < 0.1:
            return None
        if dice < 0.2:
            return b""
        size = 1000 if dice > 0.97 else self.random.randrange(1, 20)
        return self.random.randbytes(size)

    def acl(self, valid_only=False):
        good = [wire.OPEN, [(31, "auth", "")], [(31, "digest", BOB)], [(1, "world", "anyone"),
                (31, "digest", BOB)], [(31, "ip", "127.0.0.1")], [(31, "ip", "10.0.0.0/8")],
                [(15, "world", "anyone")], [(1, "world", "anyone")], [(5, "world", "anyone")],
                [(23, "world", "anyone"), (23, "world", "anyone")], [(30, "world", "anyone")],
                [(31, "auth", "x"), (1, "world", "anyone")], [(0, "world", "anyone")],
                [(31, "ip", "127.0.0.0/8"), (31, "digest", "a:b")]]
        bad = [[], None, [(31, "world", "somebody")], [(31, "runes", "x")], [(31, "digest", "x")],
               [(31, "digest", "a:b:c")], [(31, "ip", "x")], [(31, "ip", "1.2.3.4/99")],
               [(31, "digest", "")], [(31, "", "")], [(31, "auth", ""), (31, "runes", "y")],
               [(31, "digest", ":")], [(31, "ip", "127.0.0.1/")], [(31, "ip", "")]]
        return self.random.choice(good if valid_only or self.random.random() < 0.8 else bad)

    def create(self, path, acl):
        """(type, body) of one of the four creates, mostly with flags that fit."""
        kind = self.random.choice([wire.CREATE] * 5 + [wire.CREATE2] * 3 +
                                  [wire.CREATE_CONTAINER, wire.CREATE_TTL])
        ttl = None
        if kind == wire.CREATE_TTL:
            flags, ttl = self.random.choice([5, 5, 6]), self.random.choice(
                [10**9, 10**9, 2**40 - 1, 2**40, 0, -1, -2**63])
        elif kind == wire.CREATE_CONTAINER:
            flags = 4
        else:
            flags = self.random.choice([0, 0, 0, 0, 1, 1, 2, 3, 4])
        if self.random.random() < 0.04:
            flags = self.random.choice([-1, 4, 5, 6, 7, 8, 2**31 - 1, 0, 1])
        if ttl is not None and ttl < 0:
            flags = 5  # with flags that have no time to live this ends the process of 3.8.0
        return kind, wire.create(path, self.data(), flags, acl, ttl)

    def write(self, path):
        """(type, body) of a write that may stand in a multi."""
        if path == "/zookeeper/config":  # a standalone 3.8.0 lets the superuser write it
            path = "/zookeeper"
        dice = self.random.random()
        if dice < 0.4:
            return self.create(path, wire.OPEN if self.random.random() < 0.9
                               else self.random.choice([[], [(31, "runes", "x")], wire.OPEN]))
        if dice < 0.65:
            return wire.SET_DATA, wire.set_data(path, self.data(), self.version())
        if dice < 0.9:
            return wire.DELETE, wire.versioned(path, self.version())
        return wire.CHECK, wire.versioned(path, self.version())

    def read(self, path):
        kind = self.random.choice([wire.EXISTS, wire.EXISTS, wire.GET_DATA, wire.GET_DATA,
                                   wire.GET_CHILDREN, wire.GET_CHILDREN2, wire.GET_ACL,
                                   wire.GET_ALL_CHILDREN_NUMBER, wire.GET_EPHEMERALS])
        if kind in (wire.GET_ACL, wire.GET_ALL_CHILDREN_NUMBER, wire.GET_EPHEMERALS):
            return kind, wire.buffer(path)
        # The difference of exists without READ would leave different watches behind.
        watch = path.count("/") == 2 and self.random.random() < 0.5 and path[:4] != "/acl"
        return kind, wire.watched(path, watch)

    def guarded(self, client):
        """Anything below /acl, where not everybody may do everything."""
        path, dice = self.guarded_path(), self.random.random()
        if dice < 0.3:
            return self.create(path, self.acl())
        if dice < 0.5:
            return wire.SET_ACL, wire.set_acl(path, self.acl(), self.version())
        if dice < 0.7:
            return self.read(path)
        return self.write(path)

    def several(self):
        parts = [self.write(self.path()) for _ in range(self.random.choice([0, 1, 2, 2, 3, 3, 5]))]
        if self.random.random() < 0.1:
            parts.insert(self.random.randrange(len(parts) + 1), self.guarded(0))
            parts = [part for part in parts if part[0] in (wire.CREATE, wire.CREATE2, wire.DELETE,
                     wire.SET_DATA, wire.CHECK, wire.CREATE_TTL, wire.CREATE_CONTAINER)]
        return wire.MULTI, wire.multi(parts)

    def several_reads(self):
        parts = []
        for _ in range(self.random.choice([0, 1, 2, 3])):
            path = self.guarded_path() if self.random.random() < 0.2 else self.path()
            parts.append((self.random.choice([wire.GET_DATA, wire.GET_CHILDREN]),
                          wire.watched(path)))
        return wire.MULTI_READ, wire.multi(parts)

    def watch(self):
        """Watches of different modes never meet on one path: 3.8.0 keeps only the newest mode
        there, 3.9 all of them. One-shot ones are at depth 2, persistent at 3, recursive above."""
        dice, level = self.random.random(), self.random.choice([0, 1, 2, 2, 3])
        path = self.deep(level)
        if dice < 0.35:
            level = self.random.choice([0, 1, 3])
            mode = self.random.choice([2, -1]) if dice < 0.02 else 0 if level == 3 else 1
            return wire.ADD_WATCH, wire.buffer(self.deep(level)) + wire.i32(mode)
        kinds = wire.i32(self.random.choice([1, 2, 3, 3, 0, 6, -1] if level == 2 else
                                            [3, 3, 3, 0, 6, -1, 4 if level < 3 else 5]))
        if dice < 0.7:
            return wire.REMOVE_WATCHES, wire.buffer(path) + kinds
        if dice < 0.85:
            return wire.CHECK_WATCHES, wire.buffer(path) + kinds
        levels = self.random.choice([(2, 2, 2), (2, 2, 2, 3, 1)])
        kind = wire.SET_WATCHES if len(levels) == 3 else wire.SET_WATCHES2
        # zxid 0 and one far ahead mean the same on both sides, whatever their numbers.
        since = self.random.choice([0, 2**62])
        return kind, wire.i64(since) + b"".join(
            wire.strings([self.deep(level) for _ in range(self.random.randrange(3))])
            for level in levels)

    def broken(self):
        """A request cut short, or with bytes too many."""
        kind, body = self.random.choice([self.write(self.path()), self.read(self.path()),
                                         self.several(), self.several_reads(), self.watch()])
        if self.random.random() < 0.2:
            return kind, body + b"\0\1\2"
        return kind, body[:self.random.randrange(len(body))] if body else body

    def rare(self):
        path = self.path()
        return self.random.choice([
            (wire.WHO_AM_I, b""), (wire.WHO_AM_I, b""), (wire.SYNC, wire.buffer(path)),
            (wire.SYNC, wire.buffer(path)), (wire.PING, b""),
            (wire.CHECK, wire.versioned("/missing")),
            (wire.RECONFIG, wire.buffer(None) * 3 + wire.i64(-1)),
            (wire.GET_EPHEMERALS, wire.buffer("")),
            (wire.GET_EPHEMERALS, wire.buffer(None)), (wire.EXISTS, wire.watched(None)),
            (wire.CREATE, wire.create(None)), (wire.DELETE, wire.versioned(None)),
            (wire.DELETE_CONTAINER, wire.buffer(path))])

    def request(self, client):
        dice = self.random.random()
        if dice < 0.36:
            kind, body = self.write(self.path())
        elif dice < 0.60:
            kind, body = self.read(self.path())
        elif dice < 0.72:
            kind, body = self.guarded(client)
        elif dice < 0.82:
            kind, body = self.several()
        elif dice < 0.86:
            kind, body = self.several_reads()
        elif dice < 0.94:
            kind, body = self.watch()
        elif dice < 0.97:
            kind, body = self.rare()
        else:
            kind, body = self.broken()
        if kind == wire.CHECK:  # a good one outside a multi is never answered by 3.8.0
            body = wire.versioned("/missing")
        xid = {wire.PING: wire.PING_XID, wire.SET_WATCHES: wire.SET_WATCHES_XID,
               wire.SET_WATCHES2: wire.SET_WATCHES_XID}.get(kind)
        return kind, body, xid
