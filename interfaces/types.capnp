# SPDX-License-Identifier: Apache-2.0
@0x9c5f7abdf6203cdb;
# The words every other schema uses. Positions, entries, members, segments: what a log is made of.
# Not here: what an entry asks of the tree (operation.capnp) and how it gets decided
# (consensus.capnp).

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polyquorum");

using MemberId = UInt32;     # 0 is nobody. Never used again for another machine.
using Incarnation = UInt64;  # of a member: grows with every boot. Of a session: index of the entry
                             # that attached it.
using Index = UInt64;        # 1, 2, 3 ... without a gap over all segments. It is also the zxid
                             # clients see.
using Fence = UInt64;        # ZAB epoch, Paxos ballot. Opaque outside consensus; 0 is before the
                             # first.
using Link = UInt64;         # One connection to one peer, numbered by this node, never reused. 0:
                             # whichever is up.
using Token = UInt64;        # A question's number, chosen by the asker, echoed by the answerer.
using Nanos = Int64;         # Monotonic time of this process. Never stored, never sent.
using Milliseconds = Int64;  # Wall time since 1970, put into an entry by the leader. The tree uses
                             # max(this, the previous entry's), so its time never goes back.

struct Position @0x96796a69a8723cff {
  # The name of an entry inside one segment: no two bodies ever share one. Compares as recency,
  # stamp first.
  stamp @0 :Fence;
  index @1 :Index;
}

struct Body @0xf61a2da6ccfe28a1 {
  # What an entry says. Immutable, and opaque to election, consensus, storage and transport. A
  # command is accepted once: only if (incarnation, sequence) is the next one of its session. The
  # leader's desk proposes a session's commands in that order and each once at a time; the tree
  # checks it again, as the last word.
  session     @0 :UInt64;       # 0: the cluster itself (expiry, seal).
  incarnation @1 :Incarnation;
  sequence    @2 :UInt64;
  timeMs      @3 :Milliseconds;  # Written once, by the driver of the leader, when it proposes.
  unanswered  @6 :UInt64;        # Lowest sequence of this session that its client has no reply to.
                                 # The tree forgets the outcomes kept for those below.
  union {
    operation @4 :Data;          # A flat Operation message, as the API plugin built it.
    seal      @5 :Segment;       # Ends this segment; the next one begins after this index. Void
                                 # unless seal.id is exactly this segment's id + 1 (compare and
                                 # set).
  }
}

struct Entry @0xf44faacbed603ae2 {
  # One line of the log. No body: a no-op.
  index @0 :Index;
  stamp @1 :Fence;
  body  @2 :Data;                # A flat Body message, made once by the leader and passed on as
                                 # bytes by everyone else. Empty: a no-op.
}

struct Run @0xbfd24526709b9d9f {
  # Indexes first .. first + count - 1 share a stamp. A log of millions is a handful of runs.
  first @0 :Index;
  count @1 :UInt64;
  stamp @2 :Fence;
}

struct Fact @0xfaeb8b084530f43a {
  # One durable number beside the log, e.g. ("consensus.promised", 65537). The first word is the
  # owner's.
  name  @0 :Text;
  value @1 :UInt64;
}

enum Role @0x9f190d1bda9f873d {
  voter   @0;
  learner @1;  # Receives everything, promises and acknowledges nothing.
}

struct Member @0xc3f7e7a76d5989a2 {
  id          @0 :MemberId;
  role        @1 :Role;
  addresses   @2 :List(Address); # Where to reach it now. Not its identity.
  incarnation @3 :Incarnation;   # Its life when the segment was proposed. A member that lost its
                                 # disk in a later life than this may not vote in this segment, only
                                 # learn.
}

struct Address @0xb2c1d7f1d2d10c55 {
  # One door of a member: purpose "peer", or the name of an API plugin.
  purpose @0 :Text;
  at      @1 :Text;              # host:port
}

struct Segment @0xed0ee4de7ac9b651 {
  # One stretch of the log: decided by one protocol among one fixed set of members.
  id        @0 :UInt32;          # 0, 1, 2 ...; every letter carries it.
  base      @1 :Index;           # The seal's index; the first entry is base + 1. Stamps start again
                                 # from 0.
  consensus @2 :Text;            # Plugin names and their YAML options as given.
  election  @3 :Text;
  options   @4 :List(Option);
  members   @5 :List(Member);
  revision  @6 :UInt64;          # Of the YAML that asked for it; an older file never seals again.
}

struct Option @0xbf7d13c044d31509 {
  name  @0 :Text;                # As the plugin's description spells it, e.g. "discovery".
  value @1 :Text;                # Scalars as written; lists joined by ", ".
  place @2 :Text;                # Where it was written, "cluster.yaml:14:5"; errors quote it.
}

struct Snapshot @0x9e95f35f76a60f45 {
  # The header of a state image. Always a decided prefix, so a newer one is always safe to adopt.
  at      @0 :Position;          # The last entry inside; stamp 0 if that is the segment's base.
  chain   @1 :List(Segment);     # Through the segment that at lies in: a newcomer needs nothing
                                 # else.
  digest  @2 :UInt64;            # Of the state; equal on every node at equal index.
  bytes   @3 :UInt64;            # Size of the image that follows. 0 in stage: not known yet; load
                                 # always tells it.
}
