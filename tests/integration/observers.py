# SPDX-License-Identifier: Apache-2.0
# Three voters and two observers over raw sockets: observers serve reads, forward writes and hold
# watches and sessions; they count in no quorum, so that killing all of them changes nothing.
import threading
import time

from cluster import Polyquorum, facts, log, wait_for, wire
from wire import CHANGED, CREATED, Client

NODES = 200
VOTERS, OBSERVERS = (1, 2, 3), (4, 5)


def digests(servers, ids):
    """Applied index and digest of these servers, once they all stand still at one place."""
    def equal():
        seen = [facts(servers.ports[i]) for i in ids]
        found = {(one.get("pq_applied"), one.get("pq_state_digest")) for one in seen}
        return found.pop() if len(found) == 1 and all(seen) else None
    return wait_for("all servers hold the same tree", equal)


def roles(servers):
    modes = {i: servers.mode(i) for i in servers.ids()}
    assert sorted(modes[i] for i in VOTERS) == ["follower", "follower", "leader"], modes
    assert all(modes[i] == "observer" for i in OBSERVERS), modes


def writes_are_forwarded(servers):
    """Pipelined writes through an observer: answered in order, seen by every other server."""
    writer = Client(servers.ports[4])
    writer.call(wire.CREATE, wire.create("/o"))
    sent = [writer.send(wire.CREATE, wire.create(f"/o/n{at}", b"%d" % at)) for at in range(NODES)]
    answers = [writer.reply() for _ in sent]
    assert [xid for xid, _, _, _ in answers] == sent
    assert all(error == 0 for _, _, error, _ in answers)
    zxids = [zxid for _, zxid, _, _ in answers]
    assert zxids == sorted(set(zxids)), "zxids of one client's writes must grow"
    for i in servers.ids():
        reader = Client(servers.ports[i])
        reader.call(wire.SYNC, wire.buffer("/"))
        for at in range(NODES):
            error, body = reader.call(wire.GET_DATA, wire.watched(f"/o/n{at}"))
            assert error == 0 and body.buffer() == b"%d" % at
        reader.close()
    writer.close()


def read_your_writes(servers):
    """A read behind an own write on an observer sees it, without waiting for the reply."""
    client = Client(servers.ports[5])
    for at in range(50):
        client.send(wire.SET_DATA, wire.set_data("/o", b"%d" % at))
        client.send(wire.GET_DATA, wire.watched("/o"))
    for at in range(50):
        assert client.reply()[2] == 0
        assert wire.Reader(client.reply()[3]).buffer() == b"%d" % at
    client.close()


def watches_and_sessions(servers):
    watcher, voter = Client(servers.ports[4]), Client(servers.ports[servers.leader()])
    watcher.call(wire.GET_DATA, wire.watched("/o", True))
    watcher.call(wire.EXISTS, wire.watched("/o/fresh", True))
    voter.call(wire.SET_DATA, wire.set_data("/o", b"from a voter"))
    voter.call(wire.CREATE, wire.create("/o/fresh", flags=1))
    told = []
    wait_for("the observer tells", lambda: told.extend(watcher.told()) or len(told) == 2)
    assert told == [(CHANGED, "/o"), (CREATED, "/o/fresh")], told
    watcher.call(wire.CREATE, wire.create("/o/mine", flags=1))
    moved = Client(servers.ports[5], session=watcher.session, password=watcher.password)
    assert moved.session == watcher.session and watcher.ended()
    assert moved.call(wire.EXISTS, wire.watched("/o/mine"))[0] == 0
    moved.end()
    wait_for("the ephemeral goes",
             lambda: voter.call(wire.EXISTS, wire.watched("/o/mine"))[0] == wire.NO_NODE)
    voter.close()


class Load(threading.Thread):
    """One write after the other through one voter; remembers the longest wait."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = Client(port)
        self.stop, self.count, self.longest, self.failure = False, 0, 0.0, None

    def run(self):
        try:
            while not self.stop:
                started = time.monotonic()
                error, _ = self.client.call(wire.SET_DATA, wire.set_data("/o", b"load"))
                assert error == 0, error
                self.longest = max(self.longest, time.monotonic() - started)
                self.count += 1
        except BaseException as failure:
            self.failure = failure

    def grow(self, count):
        least = self.count + count
        wait_for("writes go on", lambda: self.count >= least or self.failure)

    def finish(self):
        self.stop = True
        self.join(30)
        assert self.failure is None, f"a write failed: {self.failure!r}"


def killing_observers_changes_nothing(servers):
    leader = servers.leader()
    load = Load(servers.ports[leader])
    load.start()
    load.grow(500)
    for i in OBSERVERS:
        servers.kill(i)
    load.grow(500)
    assert servers.mode(leader) == "leader"
    follower = next(i for i in VOTERS if i != leader)
    servers.kill(follower)  # two of three voters are left: still a quorum
    load.grow(500)
    servers.restart(follower)
    for i in OBSERVERS:
        servers.restart(i)
    load.grow(500)
    load.finish()
    assert servers.leader() == leader, "the leader changed"
    log(f"{load.count} writes over the death of both observers and of a follower, none failed, "
        f"longest wait {load.longest * 1000:.0f} ms")


def observers_are_no_quorum(servers):
    """One voter and two observers of five servers: three processes, no quorum."""
    leader = servers.leader()
    for i in VOTERS:
        if i != leader:
            servers.kill(i)
    wait_for("the leader stands down", lambda: servers.mode(leader) != "leader")
    try:
        client = Client(servers.ports[4], timeout=4000)
        client.socket.settimeout(2)
        error, _ = client.call(wire.SET_DATA, wire.set_data("/o", b"never"))
        raise AssertionError(f"a write without a quorum was answered with {error}")
    except (wire.Closed, OSError):
        pass
    for i in VOTERS:
        if i != leader:
            servers.restart(i, wait=False)
    servers.wait()


def main():
    with Polyquorum(voters=3, observers=2) as servers:
        servers.leader()
        roles(servers)
        writes_are_forwarded(servers)
        read_your_writes(servers)
        watches_and_sessions(servers)
        killing_observers_changes_nothing(servers)
        roles(servers)
        applied, digest = digests(servers, servers.ids())
        log(f"five equal trees at {applied}: {digest}")
        observers_are_no_quorum(servers)
        applied, digest = digests(servers, servers.ids())
        log(f"and after the loss of the quorum at {applied}: {digest}")


if __name__ == "__main__":
    main()
