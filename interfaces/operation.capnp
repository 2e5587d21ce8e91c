# SPDX-License-Identifier: Apache-2.0
@0xa5736e689f018923;
# What clients ask of the tree and what they get. The same message goes over the wire, into the log
# and into the tree: no translation on the way. Everything here is replicated, deterministic and
# synchronous.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polyquorum");
using Types = import "types.capnp";

struct Operation @0xc20486359e37d231 {
  # A change, decided by consensus. Applied with (index, timeMs, session) of its entry.
  union {
    create  @0 :Create;
    delete  @1 :Guard;
    setData @2 :SetData;
    setAcl  @3 :SetAcl;
    check   @4 :Guard;                 # Changes nothing; fails a multi.
    multi   @5 :List(Operation);       # All or nothing, one index. Not nested.
    attach  @6 :Attach;
    detach  @7 :Void;                  # The session ends: its ephemerals go in the same entry.
    expire  @8 :List(Types.Incarnation);  # By the leader, session 0: each session still attached
                                          # under this incarnation
                                       # ends, as by detach. A resumed session has a newer one and
                                       # lives on.
    reap    @10 :List(Text);           # By the leader, session 0: each path that is still an
                                       # empty container which once had children, or a childless
                                       # TTL node past its time, goes. Others stay; no error.
  }
  identities @9 :List(Identity);       # Who asks, proved by the API plugin. Checked against ACLs
                                       # when applied. Scheme "super" passes every check.
  enforceQuota @11 :Bool;              # Over a hard quota: quotaExceeded. False: quotas only count.
}

struct Attach @0x9d94dbc42d2b07a8 {
  # Opens a session, or resumes it somewhere else. The entry's index is the session's new
  # incarnation: unique, growing, and fencing off whatever an earlier home may still propose.
  # Sequences start again from 1.
  session   @0 :UInt64;                # 0: open; the id is made of home and index.
  nonce     @1 :UInt64;                # The asker's count of attempts: a repeat gets the same
                                       # answer, an older one is stale.
  timeoutMs @2 :UInt32;
  password  @3 :Data;
  home      @4 :UInt8;                 # Server id of the asker; the top byte of a new session's id,
                                       # as in ZooKeeper: id = home << 56 | index.
}

struct Create @0xe65ce1727618d124 {
  path  @0 :Text;
  data  @1 :Data;
  hasData @2 :Bool;                    # False: null, which is not empty.
  acl   @3 :List(Permission);
  mode  @4 :Mode;
  sequential @5 :Bool;
  ttlMs @6 :UInt64;                    # mode ttl only.
  enum Mode @0xc6aa14189677e8ab { persistent @0; ephemeral @1; container @2; ttl @3; }
}

struct Guard @0xcc9cb85c37c706ea {
  # -1: any version. czxid 0: any life of the node (deleting and creating again restarts version).
  path    @0 :Text;
  version @1 :Int32 = -1;
  czxid   @2 :Types.Index;
}

struct SetData @0xc6a787de5119938d { guard @0 :Guard; data @1 :Data; hasData @2 :Bool; }
struct SetAcl  @0xe21cfd24e99116c5 { guard @0 :Guard; acl @1 :List(Permission); }

struct Identity @0xea602427a8a5c711   { scheme @0 :Text; id @1 :Text; }
struct Permission @0xf36f0d4b11714862 { bits @0 :UInt8; who @1 :Identity; }
# bits: read 1, write 2, create 4, delete 8, admin 16

struct Query @0xd4096e9b560c15ba {
  # A question to the applied tree. Never logged.
  path @0 :Text;
  union {
    get        @1 :Void;               # Data and stat.
    exists     @2 :Void;
    children   @3 :Page;               # Sorted.
    acl        @4 :Void;
    count      @5 :Void;               # All descendants.
    ephemerals @6 :UInt64;             # Of this session, under path.
    multi      @7 :List(Query);        # Each answered alone, all at one index.
    names      @9 :Void;               # Children without their parent's stat; needs the same right.
  }
  identities @8 :List(Identity);
  struct Page @0x8b6e921001e7f046 { after @0 :Text; limit @1 :UInt32; }  # limit 0: all.
}

enum Error @0xdd0824c824e30cf3 {
  # Outcomes are data. Each API gives them its own codes.
  ok @0; noNode @1; nodeExists @2; badVersion @3; notEmpty @4; noAuth @5; invalidAcl @6; badArguments @7;
  noChildrenForEphemerals @8; quotaExceeded @9; sessionExpired @10; sessionMoved @11; authFailed @12;
  rolledBack @13;        # Another operation of this multi failed.
  overloaded @14;        # Not done. Try again later.
  timedOut @15;          # Perhaps done, perhaps not: attach again to learn which.
  notServing @16;        # No leader within the deadline. Not done.
  unimplemented @17;     # The wiring lacks a trait this needs.
  noWatcher @18;         # There is no such watch to remove.
  noRoom @19;            # Not done: it would make the state grow, and a disk or the memory is nearly full.
}

struct Stat @0xcbb017b4e816f68f {
  czxid @0 :Types.Index; mzxid @1 :Types.Index; pzxid @2 :Types.Index;
  ctimeMs @3 :Types.Milliseconds; mtimeMs @4 :Types.Milliseconds;
  version @5 :Int32; cversion @6 :Int32; aversion @7 :Int32;
  ephemeralOwner @8 :UInt64; dataLength @9 :Int32; numChildren @10 :Int32;
}

struct Outcome @0xd0bdda7cea61d85d {
  # Of one Operation. Equal on every node; kept per session until the next attach, so a repeat is
  # answered, not redone.
  error @0 :Error;
  path  @1 :Text;                      # As created, with its sequence number.
  stat  @2 :Stat;
  parts @3 :List(Outcome);             # multi: one each.
  attached @4 :Attached;
}

struct Attached @0xd37014a6deb62e36 {
  session     @0 :UInt64;
  incarnation @1 :Types.Incarnation;
  timeoutMs   @2 :UInt32;
  password    @3 :Data;
  before      @4 :Types.Incarnation;   # The last earlier incarnation that did anything, and how far
                                       # it got: every request
  sequence    @5 :UInt64;              # of it up to sequence took place, no later one ever will. If
                                       # before is not the one you used, nothing you sent under
                                       # yours took place. "Unknown" ends here.
}

struct Answer @0xd4c3c56be3aed25e {
  # Of one Query.
  error    @0 :Error;
  stat     @1 :Stat;
  data     @2 :Data;
  hasData  @3 :Bool;
  names    @4 :List(Text);
  acl      @5 :List(Permission);
  count    @6 :UInt64;
  parts    @7 :List(Answer);
}

struct Change @0xef02472abec196b1 {
  # What an applied entry did to one node; matched against watches, in order.
  path @0 :Text;
  what @1 :What;
  acl  @2 :List(Permission);           # Needed to decide who may hear of it, also after a delete.
  enum What @0xd901f4dc7fb5c9b6 { created @0; deleted @1; dataChanged @2; childrenChanged @3; }
}
