# SPDX-License-Identifier: Apache-2.0
# Two tables that random scripts seldom reach, asked of ours and of Debian's ZooKeeper and compared:
# which permission each request needs, and what quotas refuse and count.
import random
import sys

from cluster import EXTENDED, Polyquorum, ZooKeeper, log, wire
from wire import Client

BITS = {"none": 0, "read": 1, "write": 2, "create": 4, "delete": 8, "admin": 16, "all": 31}
OPERATIONS = {  # on /acl/n (with the permission under test) and its child c, which is open to all
    "getData": (wire.GET_DATA, wire.watched("/acl/n")),
    "getChildren": (wire.GET_CHILDREN, wire.watched("/acl/n")),
    "getChildren2": (wire.GET_CHILDREN2, wire.watched("/acl/n")),
    "getACL": (wire.GET_ACL, wire.buffer("/acl/n")),
    "setData": (wire.SET_DATA, wire.set_data("/acl/n", b"x")),
    "create below": (wire.CREATE, wire.create("/acl/n/d")),
    "delete below": (wire.DELETE, wire.versioned("/acl/n/c")),
    "delete": (wire.DELETE, wire.versioned("/acl/n")),
    "setACL": (wire.SET_ACL, wire.set_acl("/acl/n", wire.OPEN)),
    "getAllChildrenNumber": (wire.GET_ALL_CHILDREN_NUMBER, wire.buffer("/acl/n")),
    "sync": (wire.SYNC, wire.buffer("/acl/n")),
    "addWatch": (wire.ADD_WATCH, wire.buffer("/acl/n") + wire.i32(0)),
    "check": (wire.MULTI, wire.multi([(wire.CHECK, wire.versioned("/acl/n"))])),
    "multiRead": (wire.MULTI_READ, wire.multi([(wire.GET_DATA, wire.watched("/acl/n"))])),
}
WHO = {"world": "anyone", "digest": "bob:j5SUXQNftyNJx2Lmg+5AJbHfAwQ=", "ip": "127.0.0.1"}


def login(port, secret):
    client = Client(port)
    client.call(wire.AUTH, wire.login(secret), xid=wire.AUTH_XID)
    return client


def answer(client, kind, body):
    """The error, inside a multi too."""
    error, reader = client.call(kind, body)
    if error == 0 and kind in (wire.MULTI, wire.MULTI_READ):
        reader.i32(), reader.flag()
        return reader.i32()
    return error


def acl_matrix(port):
    """{(scheme, permission, operation): error} of a client that is bob and nobody else."""
    owner, codes = login(port, b"super:secret"), {}
    owner.call(wire.CREATE, wire.create("/acl"))
    for scheme, who in WHO.items():
        for name, bits in BITS.items():
            for operation, (kind, body) in OPERATIONS.items():
                client = login(port, b"bob:one")
                owner.call(wire.CREATE, wire.create("/acl/n", acl=wire.OPEN))
                owner.call(wire.CREATE, wire.create("/acl/n/c"))
                owner.call(wire.SET_ACL, wire.set_acl("/acl/n", [(bits, scheme, who)]))
                codes[scheme, name, operation] = answer(client, kind, body)
                client.end()
                for path in ("/acl/n/c", "/acl/n/d", "/acl/n"):
                    owner.call(wire.DELETE, wire.versioned(path))
    return codes


def quotas(port):
    """Errors of random writes under a hard quota, and the statistics that the server keeps."""
    client, dice, told = login(port, b"super:secret"), random.Random(7), []
    limits = b"count=4,bytes=60=;byteHardLimit=120;countHardLimit=8"
    for path, data in (("/quota", b""), ("/quota/in", b"0123456789"), ("/zookeeper/quota/quota", b""),
                       ("/zookeeper/quota/quota/zookeeper_limits", limits),
                       ("/zookeeper/quota/quota/zookeeper_stats", b"count=0,bytes=0")):
        told.append(client.call(wire.CREATE, wire.create(path, data))[0])
    for _ in range(400):
        path = "/quota/" + dice.choice("abcdefghij")
        data = dice.choice([None, b"x" * dice.randrange(40)])
        kind, body = dice.choice([
            (wire.CREATE, wire.create(path, data)), (wire.CREATE2, wire.create(path, data, 1)),
            (wire.SET_DATA, wire.set_data(path, data)), (wire.DELETE, wire.versioned(path)),
            (wire.MULTI, wire.multi([(wire.CREATE, wire.create(path, data)),
                                     (wire.SET_DATA, wire.set_data("/quota", b"y"))]))])
        told.append((wire.NAMES[kind], answer(client, kind, body)))
        stats = client.call(wire.GET_DATA, wire.watched("/zookeeper/quota/quota/zookeeper_stats"))[1]
        told.append(stats.buffer())
    return dict(enumerate(told))


def main():
    found = []
    enforced = EXTENDED + ", enforceQuota: true"
    for servers in (Polyquorum(options=enforced), ZooKeeper(["zookeeper.enforceQuota=true"])):
        with servers:
            found.append((acl_matrix(servers.ports[1]), quotas(servers.ports[1])))
    wrong = [f"{what}: {ours[what]} on ours, {theirs[what]} on ZooKeeper"
             for ours, theirs in zip(*found) for what in ours if ours[what] != theirs[what]]
    refused = sum(code == wire.NO_AUTH for code in found[0][0].values())
    over = sum(isinstance(one, tuple) and one[1] == wire.QUOTA_EXCEEDED for one in found[0][1].values())
    log(*wrong[:20], sep="\n")
    log(f"{len(found[0][0])} cells of the ACL table ({refused} refused), 400 writes under a quota "
        f"({over} refused): {len(wrong)} differences")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
