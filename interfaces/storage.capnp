# SPDX-License-Identifier: Apache-2.0
@0xb867c4941fa50852;
# Storage keeps logs, facts and snapshots, and knows no protocol. One verb writes; four would be
# four chances to crash in between.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polyquorum::storage");
using Types = import "types.capnp";

interface Storage @0xa32abb9d54c201e6 {
  # One per node, for all segments. Called by the driver only. There is one queue of writes,
  # whatever segment or purpose they have: after a crash the disk holds a prefix of that queue. Any
  # failed write or sync throws, the node stops, and nothing is tried again.

  open @0 () -> (chain :List(Types.Segment), logs :List(Log), snapshot :Types.Snapshot);
  # First call, once. Repairs a torn tail by dropping it; reports damage in the middle, never drops
  # it. snapshot: the newest one in use, null if none. Staged ones that no write adopted are
  # deleted.

  write @1 (writes :List(Write)) -> ();
  # Returns when all are durable. Each is all or nothing; calls resolve in call order; concurrent
  # calls share a sync.

  read @2 (segment :UInt32, first :Types.Index, last :Types.Index, bytesMax :UInt32)
       -> (first :Types.Index, entries :List(Types.Entry), damaged :List(Range));
  # Sees every write issued before, durable or not. At least one entry if there is one. first:
  # lowest kept.

  stage @3 (header :Types.Snapshot) -> (image :Sink);
  # A state image begins, from this node's tree or from a peer. Once image.done returned it is
  # durable but not in use; a Write with base adopts it. A newer stage, or open, discards it.

  load @4 () -> (header :Types.Snapshot, image :Source);
  # The snapshot in use.

  usage @5 () -> (bytes :UInt64, bytesFree :UInt64, writesWaiting :UInt32, bytesNeeded :UInt64);
  # Cheap: asked every second. bytesNeeded: with less free than this, writes that make the state grow
  # are refused, so that the rest (deletes, sessions, elections, snapshots) can still be written.
}

struct Write @0xf7138ca66973fcb2 {
  # Performed in this order.
  segment      @0 :UInt32;
  base         @1 :Types.Position;     # index 0: none. The staged snapshot at this position comes
                                       # into use. Entries up to base.index stay readable until
                                       # trim; without them the log begins after it.
  trim         @2 :Types.Index;        # 0: none. Entries below this may go. Never above the
                                       # snapshot in use.
  truncateFrom @3 :Types.Index;        # 0: none. This index and all above are gone.
  entries      @4 :List(Types.Entry);  # Ascending. The last put for an index wins. Gaps are allowed.
  facts        @5 :List(Types.Fact);   # The last value for a name wins.
  next         @6 :Types.Segment;      # Not null: this segment ends at next.base and next joins
                                       # the chain. Everything up to next.base is on this disk
                                       # with this write: as entries, or under a base.
}

struct Log @0xa1466cf75e190e4f {
  # What is kept of one segment.
  segment @0 :UInt32;
  runs    @1 :List(Types.Run);
  facts   @2 :List(Types.Fact);        # Promises and votes of this segment; they die with it.
  damaged @3 :List(Range);             # Entries that were durable and cannot be read. To be
                                       # refetched, not guessed.
}

struct Range @0xeb4df6a3533c2604 {
  first @0 :Types.Index;
  last  @1 :Types.Index;
}

interface Sink @0x9ed63cf6516b2bf6 {
  # Dropping it before done leaves no trace.
  write @0 (chunk :Data) -> stream;
  done  @1 () -> ();                   # Digest and size match the header and all is durable; throws
                                       # otherwise.
}

interface Source @0xf5319d2b5c0843f9 {
  read @0 (bytesMax :UInt32) -> (chunk :Data);  # Empty: the end.
}

struct Traits @0xaf8c9827db47df84 {
  durable         @0 :Bool;  # Survives a power cut. False: a restarted node does not vote until the
                             # next segment.
  detectsDamage   @1 :Bool;
}
