# SPDX-License-Identifier: Apache-2.0
@0xf30b2171e10e4734;
# The desk: all that an API plugin may ask; the outbox: all that it is told. One call each way per
# turn of the loop.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polyquorum::coordination");
using Types = import "types.capnp";
using Ops = import "operation.capnp";
using Consensus = import "consensus.capnp";

interface Api @0xc3d80f563775c2c3 {
  # What an api plugin is.
  start @0 (self :Types.Member, desk :Desk) -> (outbox :Outbox);
  # Listens. self.addresses holds the door of this API under the plugin's name.

  stop  @1 () -> ();
  # Stops listening, answers what is pending, closes.
}

interface Desk @0xedafbc258971c13d {
  submit @0 (requests :List(Request)) -> ();
  # Takes all, waits for none; each is answered in the outbox. Requests of one session take effect
  # and are answered in this order. Over the limit they are answered overloaded, within this turn.

  status @1 () -> (status :Status);
  # What this node knows of itself and the cluster now. Needs no leader and no disk.

  inspect @2 (what :Inspection) -> (rows :List(Row));
  # For operators; costs time proportional to what it lists.
}

enum Inspection @0xa9de0b7c64bb9a31 {
  watchesByPath    @0;   # One row a path; members are the sessions watching it.
  watchesBySession @1;   # One row a session; members are paths.
  ephemerals       @2;   # One row a session known to the tree; members are its ephemeral nodes.
}

struct Row @0xf0f5a6f3d3c2be12 {
  session   @0 :UInt64;
  path      @1 :Text;
  paths     @2 :List(Text);
  sessions  @3 :List(UInt64);
  timeoutMs @4 :UInt32;          # ephemerals only.
}

struct Status @0xd9a9c4a3e1b6f0c7 {
  self        @0 :Types.MemberId;
  cluster     @1 :Text;
  phase       @2 :Consensus.Standing.Phase;
  leader      @3 :Types.MemberId;
  fence       @4 :Types.Fence;
  applied     @5 :Types.Index;
  committed   @6 :Types.Index;
  segment     @7 :UInt32;
  members     @8 :List(Peer);    # Of the current segment, self included.
  nodes       @9 :UInt64;        # Znodes in the tree, ZooKeeper's way (it counts one more root).
  dataBytes   @10 :UInt64;       # Paths and data, approximately.
  ephemerals  @11 :UInt64;
  sessions    @12 :UInt64;
  watches     @13 :UInt64;
  watchPaths  @14 :UInt64;
  watchers    @15 :UInt64;       # Sessions here that have a watch.
  pending     @16 :UInt64;       # Requests here that wait for an answer.
  digest      @17 :UInt64;       # Of the state at applied.
  startedMs   @18 :Types.Milliseconds;
  plugins     @19 :List(Wired);
  durable     @20 :Bool;         # The storage's trait.
  mayVote     @21 :Bool;
  electionMs  @22 :UInt64;       # How long the last one took, seen from here.
  leaderSeenMs @23 :UInt64;      # Since this node last heard from its leader; 0 at the leader.
  refusing    @24 :Text;         # Why writes that make the state grow are answered noRoom here:
                                 # a disk or the memory is nearly full. Empty: they are taken.

  struct Peer @0xe8b1c2a5579d4c03 {
    id       @0 :Types.MemberId;
    role     @1 :Types.Role;
    up       @2 :Bool;           # A link is open, seen from here.
    addresses @3 :List(Types.Address);
  }
  struct Wired @0x8a26a3e0d9b3f6a4 {
    kind @0 :Text; name @1 :Text; version @2 :Text;
  }
}

struct Request @0x9b40dabdc43c0db4 {
  token      @0 :Types.Token;         # The plugin's; comes back in the reply.
  session    @1 :UInt64;              # 0: none. Then order among requests is not promised.
  deadlineMs @2 :UInt32;              # From now. 0: none: it waits for as long as the session lives.
                                      # Elections inside it are invisible.
  union {
    operation @3 :Data;               # A flat Operation message; goes into the log untouched.
                                      # Attach and detach too.
    query     @4 :QueryAt;
    sync      @5 :Void;               # Answered when everything acknowledged anywhere before now is
                                      # applied here.
    watch     @6 :List(Watch);        # Events that are due by since come before the one reply.
    unwatch   @7 :List(Watch);        # ok, or noWatcher if one of them was not there.
    watching  @10 :List(Watch);       # The same question, changing nothing.
    ping      @8 :Void;               # The session is alive. Answered in its order, but only while
                                      # this node is in touch with a leader. Every other request
                                      # touches the session too.
    leave     @9 :Void;               # The connection is gone; the session lives on, its watches
                                      # here do not. No reply.
  }
  identities @11 :List(Ops.Identity); # Of watch: who will be told. Events of nodes that none of these
                                      # may read are not delivered.
}

struct QueryAt @0xccce6720572aa6d4 {
  query @0 :Ops.Query;
  level @1 :Level;
  after @2 :Types.Index;              # Not before this index is applied: what the client has seen
                                      # elsewhere.
  watch @3 :Bool;                     # Leave the one-shot watch that belongs to this query,
                                      # atomically with the answer.
}

enum Level @0x973004e74d68638e {
  local        @0;  # What is applied here now. Also without a leader.
  session      @1;  # After this session's own writes and never older than it has seen.
  linearizable @2;  # A read barrier: one quorum round shared by all waiting reads; no entry in the
                    # log.
}

struct Watch @0xcd592c251b610f39 {
  path  @0 :Text;
  kind  @1 :Kind;
  since @2 :Types.Index;              # Used if renewed: what happened after this index is told at
                                      # once instead of being waited for.
  renewed @3 :Bool;                   # Set again after a reconnect.
  enum Kind @0xc0ff66500d2f1049 {
    data @0; exist @1; children @2;   # One-shot.
    persistent @3; recursive @4;      # Until removed.
    any @5;                           # unwatch and watching only.
  }
}

interface Outbox @0x92c4dea3fa586aac {
  deliver @0 (deliveries :List(Delivery)) -> ();
  # In order per session: the event of change k comes before any reply read at k or later. The next
  # call waits for the return of this one. A session whose queue is full gets a gap, or is closed:
  # it delays nobody.
}

struct Delivery @0xf7c268c84d397ee5 {
  session @0 :UInt64;
  index   @1 :Types.Index;            # Applied here when this was made; the zxid of the reply
                                      # header.
  union {
    reply :group {
      token   @2 :Types.Token;
      outcome @3 :Ops.Outcome;        # Of operation, sync, watch. error only, for what was not
                                      # done.
      answer  @4 :Ops.Answer;         # Of query.
    }
    event @5 :Ops.Change;             # what is as the watcher is to be told: a recursive watch
                                      # hears no childrenChanged.
    gap   @6 :Text;                   # Events after index may be missing: read again.
    ended @7 :Ops.Error;              # The session is over here: sessionExpired, or sessionMoved.
    adrift @8 :Text;                  # This node cannot vouch for the session any longer (no leader
                                      # for a third of its timeout, or its state was replaced by a
                                      # snapshot): close the connection, answer nothing more. The
                                      # session lives on; what was pending is unknown to the client.
  }
}

struct Traits @0xba67bd74e6e66ce9 {
  needsTotalOrder @0 :Bool;
  needsReadBarrier @1 :Bool;
}
