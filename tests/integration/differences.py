# SPDX-License-Identifier: Apache-2.0
# The deliberate differences between our replies and those of ZooKeeper 3.8.0, each with its reason.
# docs/compatibility.md explains them for people.
from cluster import wire

REFUSED_HERE = "a request refused without asking the tree makes no zxid"
TYPES_OF_3_9 = "removeWatches and checkWatches know the types 4 and 5 of 3.9"
EXISTS_READS = "exists needs READ, as since 3.8.4 and 3.9.2"
CHECK_OF_OTHERS = "checkWatches of 3.8.0 says yes to whoever asks if anybody watches the path"
TTL_IN_MULTI = "a TTL flag in a plain create of a multi fails that part, not the whole request"
CONFIG = "/zookeeper/config names the cluster's members; a standalone 3.8.0 leaves it empty"
EMPTY_PATH = "getAllChildrenNumber of the empty path counts the root in 3.8.0"
REFUSALS = (wire.MARSHALLING_ERROR, wire.UNIMPLEMENTED, wire.BAD_ARGUMENTS, wire.RECONFIG_DISABLED)
NEW_TYPES = tuple(wire.i32(kind) + tail for kind in (4, 5) for tail in (b"", b"\0\1\2"))


def explain(request, ours, theirs):
    """The reason why these two replies to one request may differ; None if there is none."""
    if request is None:
        return None
    kind, body, _ = request
    if (ours.relation, theirs.relation) == ("same", "new") and ours.error in REFUSALS:
        if ours._replace(relation="new") == theirs:
            return REFUSED_HERE
    if kind in (wire.REMOVE_WATCHES, wire.CHECK_WATCHES):
        if theirs.error == wire.MARSHALLING_ERROR and ours.error in (0, wire.NO_WATCHER) and body.endswith(NEW_TYPES):
            return TYPES_OF_3_9
    if kind == wire.CHECK_WATCHES and (ours.error, theirs.error) == (wire.NO_WATCHER, 0):
        return CHECK_OF_OTHERS
    if kind == wire.EXISTS and (ours.error, theirs.error) == (wire.NO_AUTH, 0):
        return EXISTS_READS
    if b"/zookeeper/config" in body and (ours.relation, ours.events) == (theirs.relation,
                                                                         theirs.events):
        return CONFIG
    if kind == wire.GET_ALL_CHILDREN_NUMBER and body.startswith(wire.buffer("")):
        if ours.body[0] + 1 == theirs.body[0]:
            return EMPTY_PATH
    if kind == wire.MULTI and (ours.error, theirs.error) == (0, wire.MARSHALLING_ERROR):
        if any(part[:2] == (-1, wire.BAD_ARGUMENTS) for part in ours.body[0]):
            return TTL_IN_MULTI
    return None
