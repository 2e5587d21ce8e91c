# SPDX-License-Identifier: Apache-2.0
# The same random requests to ours and to Debian's ZooKeeper 3.8.0; every reply byte is compared
# after masking what may differ. The scripts are made in random_script.py; the deliberate
# differences lie in differences.py, explained in docs/compatibility.md.
"""differential.py [--seed N] [--operations N] [--show N]"""
import argparse
import collections
import random
import sys
import time

from cluster import Polyquorum, ZooKeeper, log, wait_for, wire
from differences import explain
from random_script import CLIENTS, Script

BODY = {  # opcode: what a successful reply consists of
    wire.CREATE: ["path"], wire.CREATE2: ["path", "stat"], wire.CREATE_CONTAINER: ["path", "stat"],
    wire.CREATE_TTL: ["path", "stat"], wire.EXISTS: ["stat"], wire.GET_DATA: ["data", "stat"],
    wire.SET_DATA: ["stat"], wire.GET_ACL: ["acls", "stat"], wire.SET_ACL: ["stat"],
    wire.GET_CHILDREN: ["names"], wire.GET_CHILDREN2: ["names", "stat"], wire.SYNC: ["path"],
    wire.MULTI: ["results"], wire.MULTI_READ: ["results"], wire.GET_EPHEMERALS: ["names"],
    wire.GET_ALL_CHILDREN_NUMBER: ["int"], wire.ADD_WATCH: ["int"], wire.WHO_AM_I: ["identities"],
}
WRITES = (wire.CREATE, wire.CREATE2, wire.CREATE_CONTAINER, wire.CREATE_TTL, wire.DELETE,
          wire.SET_DATA, wire.SET_ACL, wire.MULTI, wire.CLOSE)
NOT_BOOKED = 1 << 30  # xid of requests that are not of the script


class Mask:
    """Turns one server's replies into what must be equal on both: a zxid becomes the number of the
    request that made it, a session the number of its opening, times are only told from zero."""

    def __init__(self):
        self.maker = {0: 0}   # zxid: 1 + number of the request
        self.sessions = {0: 0}
        self.newest = 0
        self.problems = []

    def made(self, zxid, number):
        """The header of a write's reply. Returns how the zxid relates to all before."""
        relation = "new" if zxid > self.newest else "same"
        if zxid < self.newest:
            relation = "old"
        self.newest = max(self.newest, zxid)
        self.maker.setdefault(zxid, number + 1)
        return relation

    def stat(self, reader):
        stat = reader.stat()
        for field in ("czxid", "mzxid", "pzxid"):
            if stat[field] not in self.maker:
                self.problems.append(f"{field} {stat[field]:#x} was in no reply")
            stat[field] = self.maker.get(stat[field], -1)
        for field in ("ctime", "mtime"):
            stat[field] = min(stat[field], 1)
        stat["ephemeralOwner"] = self.sessions.get(stat["ephemeralOwner"], -1)
        return tuple(stat.values())

    def part(self, kind, reader):
        if kind == "stat":
            return self.stat(reader)
        if kind == "names":
            return sorted(reader.strings())
        if kind == "identities":
            return sorted((reader.string(), reader.string()) for _ in range(reader.i32()))
        if kind == "acls":
            return reader.acls()
        if kind == "path":
            return reader.buffer()
        if kind == "data":
            return reader.buffer()
        if kind == "int":
            return reader.i32()
        return self.results(reader)

    def results(self, reader):
        """The parts of a multi or multiRead."""
        parts = []
        while True:
            kind, done, code = reader.i32(), reader.flag(), reader.i32()
            if done:
                return parts + [(kind, code)]
            if kind == -1:
                parts.append((kind, code, reader.i32()))
            else:
                parts.append((kind, code, *(self.part(one, reader) for one in BODY.get(kind, []))))

    def body(self, kind, error, body):
        """The masked body; what does not decode stays as it came."""
        if error != 0 or kind not in BODY:
            return body
        reader = wire.Reader(body)
        try:
            parts = tuple(self.part(one, reader) for one in BODY[kind])
        except (ValueError, UnicodeDecodeError) as error:
            self.problems.append(f"{wire.NAMES.get(kind, kind)}: {error}")
            return body
        return parts + ((reader.rest(),) if reader.at < len(body) else ())


Reply = collections.namedtuple("Reply", "request kind xid relation error body events")


class Player:
    """Plays a script. Clients may be at different servers: who is next waits until its server has
    seen all that came before. `disturb` is called before each step with its number."""

    def __init__(self, ports, notices_have_zxids, disturb=lambda number: None):
        self.ports, self.notices_have_zxids, self.disturb = ports, notices_have_zxids, disturb
        self.mask = Mask()
        self.clients = [None] * CLIENTS
        self.replies = []
        self.opened = 0
        self.number = 0

    def play(self, script):
        for number, step in enumerate(script.steps):
            self.disturb(number)
            if step.reopens:
                self.open(step.client)
            if len(self.ports) > 1:
                self.clients[step.client].call(wire.SYNC, wire.buffer("/"), xid=NOT_BOOKED)
            if step.closes:
                self.settle()
            self.step(step)
            if step.closes:
                self.settle()
        self.settle()
        for client in self.clients:
            client.close()

    def open(self, at):
        if self.clients[at] is not None:
            self.clients[at].close()
        client = self.clients[at] = wire.Client(self.ports[at % len(self.ports)], timeout=40000)
        client.socket.settimeout(10)
        self.opened += 1
        self.mask.sessions[client.session] = self.opened

    def step(self, step):
        client = self.clients[step.client]
        sent = []
        auths = all(kind == wire.AUTH for kind, _, _ in step.requests)
        for kind, body, xid in step.requests:
            sent.append((kind, client.send(kind, body, xid)))
            if auths:
                self.answer(client, *sent.pop())
        for kind, xid in sent:
            if not self.answer(client, kind, xid):
                self.open(step.client)
                break

    def answer(self, client, kind, xid):
        """Books one reply; False at the end of the connection."""
        number, self.number = self.number, self.number + 1
        try:
            got, zxid, error, body = client.reply()
        except (wire.Closed, TimeoutError) as end:
            self.replies.append(Reply(number, kind, xid, type(end).__name__, None, None,
                                      self.events(client)))
            return False
        if kind in WRITES or zxid <= 0:
            relation = self.mask.made(zxid, number) if zxid > 0 else zxid
        else:
            relation = "read" if zxid >= self.mask.newest else "old"
        events = self.events(client)
        if kind == wire.CLOSE:
            events.sort()
        self.replies.append(Reply(number, kind, got, relation, error,
                                  self.mask.body(kind, error, body), events))
        return True

    def events(self, client):
        events, client.events = client.events, []
        for zxid, _, _, _ in events:
            if (zxid == -1) == self.notices_have_zxids:
                self.mask.problems.append(f"a notice with zxid {zxid}")
        return [event[1:] for event in events]

    def settle(self):
        """Takes the notices that other clients' requests caused. Those of the ephemerals of one
        session come in no promised order."""
        for at, client in enumerate(self.clients):
            try:
                client.call(wire.SYNC, wire.buffer("/"), xid=NOT_BOOKED)
            except wire.Closed:
                continue  # its session was just closed
            self.replies.append(Reply(self.number, f"notices of {at}", None, None, None, None,
                                      sorted(self.events(client))))


def text_of(request):
    kind, body, xid = request
    return f"{wire.NAMES.get(kind, kind)} {body[:300]!r}"


def compare(script, ours, theirs, show):
    """Counts differences by reason; the unexplained are printed."""
    requests = [request for step in script.steps for request in step.requests]
    explained, wrong = collections.Counter(), 0
    for mine, other in zip(ours.replies, theirs.replies):
        if mine == other:
            continue
        request = requests[mine.request] if mine.request < len(requests) else None
        reason = explain(request, mine, other)
        if reason:
            explained[reason] += 1
            continue
        wrong += 1
        if wrong <= show:
            log(f"request {mine.request}: {text_of(request) if request else ''}")
            log(f"   ours   {mine[1:]}\n   theirs {other[1:]}")
    if len(ours.replies) != len(theirs.replies):
        log(f"{len(ours.replies)} replies of ours, {len(theirs.replies)} of theirs")
        wrong += 1
    return explained, wrong


class Unrest:
    """No leader of three lasts for long. One server has no clients: when it leads it is killed, and
    comes back later. The others have clients: when one of them leads it is frozen until the next
    one leads, and believes for a while after that that it still does."""
    EVERY = 120

    def __init__(self, servers):
        self.servers, self.lonely, self.kills, self.freezes = servers, servers.leader(), 0, 0

    def ports(self):
        return [self.servers.ports[i] for i in self.servers.ids() if i != self.lonely]

    def __call__(self, number):
        if number % self.EVERY == self.EVERY // 2:
            leader = self.servers.leader()
            if leader == self.lonely:
                self.servers.kill(leader)
                self.kills += 1
            else:
                self.freeze(leader)
        elif number % self.EVERY == self.EVERY - 1 and self.servers.died(self.lonely):
            self.servers.restart(self.lonely)

    def freeze(self, leader):
        others = [i for i in self.servers.ids() if i != leader]
        self.servers.freeze(leader)
        try:
            wait_for("the next one leads", lambda: "leader" in [self.servers.mode(i) for i in others])
        finally:
            self.servers.thaw(leader)
        self.freezes += 1


def played(script, servers, notices_have_zxids):
    started = time.monotonic()
    if len(servers.ports) == 1:
        player = Player(list(servers.ports.values()), notices_have_zxids)
        player.play(script)
        told = ""
    else:
        unrest = Unrest(servers)
        player = Player(unrest.ports(), notices_have_zxids, unrest)
        player.play(script)
        told = f", leaders killed: {unrest.kills}, frozen: {unrest.freezes}"
    log(f"{servers.name}: {player.number} requests, {player.opened} sessions, "
        f"{time.monotonic() - started:.1f} s{told}")
    return player


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--operations", type=int, default=10000)
    parser.add_argument("--show", type=int, default=10)
    parser.add_argument("--servers", type=int, default=1)
    asked = parser.parse_args()
    log(f"seed {asked.seed}")
    script = Script(asked.seed, asked.operations)
    with Polyquorum(asked.servers, kernel="reaping:\n  interval: 24h\n") as ours:
        with ZooKeeper() as theirs:
            players = [played(script, ours, True), played(script, theirs, False)]
    for player, name in zip(players, ("ours", "theirs")):
        for problem in player.mask.problems[:asked.show]:
            log(f"{name}: {problem}")
    explained, wrong = compare(script, *players, asked.show)
    for reason, count in sorted(explained.items()):
        log(f"{count:6} deliberate: {reason}")
    errors = collections.Counter(reply.error for reply in players[0].replies)
    log("outcomes of ours: " + ", ".join(f"{code}: {count}" for code, count in
                                         errors.most_common() if code is not None))
    log(f"{wrong} unexplained differences, seed {asked.seed}")
    sys.exit(1 if wrong or players[0].mask.problems else 0)


if __name__ == "__main__":
    main()
