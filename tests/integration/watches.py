# SPDX-License-Identifier: Apache-2.0
# The 36-cell watch table of ZooKeeper's semantics and the facts measured on Debian's 3.8.0, each
# asked of ours and of Debian's over a raw socket. Random scripts are in differential.py.
"""watches.py [table|facts]: by default both."""
import sys

from cluster import Polyquorum, ZooKeeper, log, wait_for, wire, word
from wire import CHANGED, CHILDREN, CREATED, DELETED, Client

OPERATIONS = {  # column: (needs /p, needs /p/c, opcode, body)
    "create /p": (False, False, wire.CREATE, wire.create("/p")),
    "delete /p": (True, False, wire.DELETE, wire.versioned("/p")),
    "setData /p": (True, False, wire.SET_DATA, wire.set_data("/p", b"2")),
    "create /p/c": (True, False, wire.CREATE, wire.create("/p/c")),
    "delete /p/c": (True, True, wire.DELETE, wire.versioned("/p/c")),
    "setData /p/c": (True, True, wire.SET_DATA, wire.set_data("/p/c", b"2")),
}
REGISTER = {  # row: (opcode, body, is /p there)
    "exists, absent": (wire.EXISTS, wire.watched("/p", True), False),
    "exists, present": (wire.EXISTS, wire.watched("/p", True), True),
    "getData": (wire.GET_DATA, wire.watched("/p", True), None),
    "getChildren": (wire.GET_CHILDREN, wire.watched("/p", True), None),
    "persistent": (wire.ADD_WATCH, wire.buffer("/p") + wire.i32(0), None),
    "recursive": (wire.ADD_WATCH, wire.buffer("/p") + wire.i32(1), None),
}
N = []
TABLE = {  # zookeeper.md A8: the notices of each cell, in the order of OPERATIONS
    "exists, absent": [[(CREATED, "/p")], N, N, N, N, N],
    "exists, present": [N, [(DELETED, "/p")], [(CHANGED, "/p")], N, N, N],
    "getData": [N, [(DELETED, "/p")], [(CHANGED, "/p")], N, N, N],
    "getChildren": [N, [(DELETED, "/p")], N, [(CHILDREN, "/p")], [(CHILDREN, "/p")], N],
    "persistent": [[(CREATED, "/p")], [(DELETED, "/p")], [(CHANGED, "/p")], [(CHILDREN, "/p")],
                   [(CHILDREN, "/p")], N],
    "recursive": [[(CREATED, "/p")], [(DELETED, "/p")], [(CHANGED, "/p")], [(CREATED, "/p/c")],
                  [(DELETED, "/p/c")], [(CHANGED, "/p/c")]],
}


def cell(port, row, column):
    """The notices of one cell, told once to the watcher; nothing may come a second time."""
    register, body, present = REGISTER[row]
    parent, child, operation, change = OPERATIONS[column]
    present = parent if present is None else present
    writer, watcher = Client(port), Client(port)
    for path in ("/p/c", "/p"):
        writer.call(wire.DELETE, wire.versioned(path))
    if present:
        writer.call(wire.CREATE, wire.create("/p"))
        if child:
            writer.call(wire.CREATE, wire.create("/p/c"))
    watcher.call(register, body)
    writer.call(operation, change)
    told = watcher.told()
    for client in (writer, watcher):
        client.end()
    return told


def table(name, port):
    wrong = []
    for row, expected in TABLE.items():
        for column, cells in zip(OPERATIONS, expected):
            told = cell(port, row, column)
            if told != cells:
                wrong.append(f"{name}: {row} x {column}: {told}, expected {cells}")
    assert not wrong, "\n".join(wrong)
    log(f"{name}: {len(TABLE) * len(OPERATIONS)} cells as the table says")


def fact_fresh(port):
    client = Client(port)
    error, root = client.call(wire.EXISTS, wire.watched("/"))
    stat = root.stat()
    assert (error, stat["cversion"], stat["numChildren"]) == (0, -1, 1), stat
    stat = client.call(wire.EXISTS, wire.watched("/zookeeper"))[1].stat()
    assert (stat["cversion"], stat["numChildren"]) == (-2, 2), stat
    assert "Node count: 5" in word(port, "srvr"), word(port, "srvr")


def fact_sequence(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/s"))

    def sequential():
        return client.call(wire.CREATE, wire.create("/s/n", flags=2))[1].string()
    made = [sequential() for _ in range(3)]
    for path in made:
        client.call(wire.DELETE, wire.versioned(path))
    assert sequential() == "/s/n0000000003"
    stat = client.call(wire.EXISTS, wire.watched("/s"))[1].stat()
    assert (stat["cversion"], stat["numChildren"]) == (7, 1), stat
    client.call(wire.CREATE, wire.create("/s/plain"))
    assert sequential() == "/s/n0000000005"


def fact_errors_consume_a_zxid(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/e"))
    before = client.zxid
    error, _ = client.call(wire.CREATE, wire.create("/e"))
    assert (error, client.zxid) == (wire.NODE_EXISTS, before + 1)
    error, body = client.call(wire.MULTI, wire.multi([]))
    assert (error, client.zxid, body.rest()) == (0, before + 2, wire.multi([]))


def fact_failed_multi(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/m"))
    error, body = client.call(wire.MULTI, wire.multi([
        (wire.CREATE, wire.create("/m2")), (wire.CREATE, wire.create("/m")),
        (wire.DELETE, wire.versioned("/m"))]))
    results = b"".join(wire.i32(-1) + wire.flag(False) + wire.i32(code) + wire.i32(code)
                       for code in (0, wire.NODE_EXISTS, wire.RUNTIME_INCONSISTENCY))
    assert (error, body.rest()) == (0, results + wire.multi([]))
    assert client.call(wire.EXISTS, wire.watched("/m2"))[0] == wire.NO_NODE


def fact_unknown_opcode(port):
    client = Client(port)
    assert client.call(999)[0] == wire.UNIMPLEMENTED and client.zxid == -1
    assert client.ended()


def fact_null_and_empty(port):
    client = Client(port)
    for path, data in (("/null", None), ("/empty", b"")):
        client.call(wire.CREATE, wire.create(path, data))
        body = client.call(wire.GET_DATA, wire.watched(path))[1]
        assert body.buffer() == data and body.stat()["dataLength"] == 0
    _, stat = client.call(wire.CREATE_CONTAINER, wire.create("/box", flags=4))
    stat.string()
    assert stat.stat()["ephemeralOwner"] == 0


def fact_event_before_reply(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/own"))
    client.call(wire.GET_DATA, wire.watched("/own", True))
    client.call(wire.SET_DATA, wire.set_data("/own", b"x"))
    assert [(kind, path) for _, kind, _, path in client.events] == [(CHANGED, "/own")]


def fact_one_notice_for_both_watches(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/both"))
    client.call(wire.GET_DATA, wire.watched("/both", True))
    client.call(wire.GET_CHILDREN, wire.watched("/both", True))
    client.call(wire.SET_ACL, wire.set_acl("/both", wire.OPEN))
    assert client.told() == []
    client.call(wire.DELETE, wire.versioned("/both"))
    assert client.told() == [(DELETED, "/both")]


def fact_set_watches(port):
    client = Client(port)
    for path in ("/w1", "/w2"):
        client.call(wire.CREATE, wire.create(path))
    seen = client.zxid
    client.call(wire.SET_DATA, wire.set_data("/w1", b"new"))
    client.call(wire.DELETE, wire.versioned("/w2"))
    client.call(wire.CREATE, wire.create("/w3"))
    other = Client(port)
    error, _ = other.call(wire.SET_WATCHES, wire.i64(seen) + wire.strings(["/w1", "/w2"]) +
                          wire.strings(["/w3", "/w4"]) + wire.strings([]),
                          xid=wire.SET_WATCHES_XID)
    told = [(kind, path) for _, kind, _, path in other.events]
    assert error == 0 and told == [(CHANGED, "/w1"), (DELETED, "/w2"), (CREATED, "/w3")], told
    other.events = []
    client.call(wire.CREATE, wire.create("/w4"))
    assert other.told() == [(CREATED, "/w4")]


def fact_check_order_of_delete(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/d"))
    client.call(wire.CREATE, wire.create("/d/c"))
    assert client.call(wire.DELETE, wire.versioned("/d", 9))[0] == wire.BAD_VERSION
    assert client.call(wire.DELETE, wire.versioned("/d"))[0] == wire.NOT_EMPTY
    assert client.call(wire.DELETE, wire.versioned("/zookeeper"))[0] == wire.BAD_ARGUMENTS


def fact_reconnect(port):
    first = Client(port)
    second = Client(port, session=first.session, password=first.password)
    assert second.session == first.session and first.ended()
    wrong = Client(port, session=second.session, password=b"x" * 16)
    assert (wrong.timeout, wrong.session, wrong.password) == (0, 0, b"\0" * 16) and wrong.ended()


def fact_wrong_password_disturbs_nobody(port):
    owner = Client(port)
    Client(port, session=owner.session, password=b"x" * 16)
    assert owner.told() == []


def fact_seen_too_much(port):
    try:
        Client(port, seen=1 << 62)
    except wire.Closed:
        return
    raise AssertionError("a client from the future was let in")


def fact_timeouts(port):
    assert Client(port, timeout=1).timeout == 4000
    assert Client(port, timeout=600000).timeout == 40000


def fact_unknown_auth_scheme(port):
    client = Client(port)
    error, _ = client.call(wire.AUTH, wire.login(b"x", "runes"), xid=wire.AUTH_XID)
    assert error == wire.AUTH_FAILED and client.ended()


def fact_masked_digest(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/acl", acl=[(1, "world", "anyone"),
                                                       (31, "digest", "bob:hash")]))
    body = client.call(wire.GET_ACL, wire.buffer("/acl"))[1]
    assert body.acls() == [(1, "world", "anyone"), (31, "digest", "bob:x")]


def fact_frame_too_large(port):
    client = Client(port)
    client.socket.sendall(wire.i32(0x100000) + b"\0" * 8)
    assert client.ended()


def fact_ephemeral_goes_in_time(port):
    dying, watcher = Client(port, timeout=4000), Client(port)
    dying.call(wire.CREATE, wire.create("/ghost", flags=1))
    watcher.call(wire.EXISTS, wire.watched("/ghost", True))
    dying.close()
    wait_for("the ephemeral goes", lambda: watcher.told() == [(DELETED, "/ghost")], 15)


def fact_exists_without_read(port):
    """The rule of 3.8.4 and 3.9.2."""
    client = Client(port)
    client.call(wire.CREATE, wire.create("/deaf", acl=[(31, "digest", "bob:hash")]))
    assert client.call(wire.EXISTS, wire.watched("/deaf"))[0] == wire.NO_AUTH


def fact_one_shot_beside_persistent(port):
    """One notice; the one-shot part is spent, the persistent one stays (3.9)."""
    client = Client(port)
    client.call(wire.CREATE, wire.create("/modes"))
    client.call(wire.ADD_WATCH, wire.buffer("/modes") + wire.i32(0))
    client.call(wire.GET_DATA, wire.watched("/modes", True))
    for _ in range(2):
        client.call(wire.SET_DATA, wire.set_data("/modes", b""))
        assert client.told() == [(CHANGED, "/modes")]
    assert client.call(wire.REMOVE_WATCHES, wire.buffer("/modes") + wire.i32(2))[0] == wire.NO_WATCHER
    assert client.call(wire.REMOVE_WATCHES, wire.buffer("/modes") + wire.i32(4))[0] == 0


def fact_check_outside_a_multi(port):
    client = Client(port)
    assert client.call(wire.CHECK, wire.versioned("/zookeeper"))[0] == 0
    assert client.call(wire.CHECK, wire.versioned("/zookeeper", 7))[0] == wire.BAD_VERSION


def fact_checked_by_the_asker_only(port):
    watcher, other = Client(port), Client(port)
    watcher.call(wire.EXISTS, wire.watched("/checked", True))
    body = wire.buffer("/checked") + wire.i32(2)
    assert watcher.call(wire.CHECK_WATCHES, body)[0] == 0
    assert other.call(wire.CHECK_WATCHES, body)[0] == wire.NO_WATCHER


def fact_pipelined_behind_set_acl(port):
    client = Client(port)
    client.call(wire.CREATE, wire.create("/closing"))
    for at in range(100):
        path = f"/closing/n{at}"
        client.send(wire.CREATE, wire.create(path))
        client.send(wire.SET_ACL, wire.set_acl(path, [(1, "world", "anyone")]))
        client.send(wire.SET_DATA, wire.set_data(path, b"late"))
    codes = [client.reply()[2] for _ in range(300)]
    assert codes == [0, 0, wire.NO_AUTH] * 100, codes


def fact_ip_acls_of_the_sixth_version(port):
    client = Client(port)
    error, _ = client.call(wire.CREATE, wire.create("/six", acl=[(31, "ip", "::1/128")]))
    assert error == 0 and client.call(wire.GET_DATA, wire.watched("/six"))[0] == wire.NO_AUTH


OURS_ONLY = {  # deliberate differences, see docs/compatibility.md
    fact_wrong_password_disturbs_nobody: "3.8.0 closes the owner's connection before it compares",
    fact_exists_without_read: "the check came with 3.8.4 and 3.9.2",
    fact_one_shot_beside_persistent: "3.8.0 keeps only the newest mode on a path",
    fact_check_outside_a_multi: "3.8.0 never answers a good one",
    fact_checked_by_the_asker_only: "3.8.0 says yes if anybody watches",
    fact_pipelined_behind_set_acl: "3.8.0 judges by the old or the new ACL, as its threads run",
    fact_ip_acls_of_the_sixth_version: "3.8.0 knows IPv4 only",
}


def facts(name, port):
    passed, wrong = 0, []
    for fact in [value for key, value in globals().items() if key.startswith("fact_")]:
        if name == "zookeeper" and fact in OURS_ONLY:
            continue
        try:
            fact(port)
            passed += 1
        except Exception as error:  # all of them are told
            wrong.append(f"{name}: {fact.__name__}: {type(error).__name__} {error}")
    assert not wrong, "\n".join(wrong)
    log(f"{name}: {passed} facts hold")


def main():
    asked = sys.argv[1:] or ["facts", "table"]
    for kind in (Polyquorum, ZooKeeper):
        with kind() as servers:
            for what in asked:
                {"table": table, "facts": facts}[what](kind.name, servers.ports[1])


if __name__ == "__main__":
    main()
