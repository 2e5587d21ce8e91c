# SPDX-License-Identifier: Apache-2.0
@0xb0d1c6f1a4e7a312;
# What the post offices of two nodes say to each other: letters of the cores, tagged with their segment,
# and what keeps the chain of segments equal. Bodies follow a letter as plain words. Kernel only.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polyquorum::kernel::wire");
using Types = import "/interfaces/types.capnp";

struct Letter @0xd2a4cb3f6a0c9e11 {
  # Of a core, on the lane of its kind.
  segment @0 :UInt32;
  kind    @1 :UInt16;
  numbers @2 :List(UInt64);
  entries @3 :List(Head);
}

struct Head @0xe7b1d2c9f0a85d27 {
  # The bodies come after the letter, in this order, each of `words` words.
  index @0 :Types.Index;
  stamp @1 :Types.Fence;
  words @2 :UInt32;      # 0: a no-op.
}

struct Chain @0xc8e0b7d5a1f3924b {
  union {
    tip   @0 :Tip;       # On every link up, every second, and in answer to a letter of an older segment.
    ask   @1 :Tip;       # "I am here; tell me what comes next." Answered by an image whose header
                         # carries the chain.
  }

  struct Tip @0x9b1f5a7e0d4c6382 {
    segment @0 :UInt32;
    applied @1 :Types.Index;
    lost    @2 :Types.Incarnation;  # Life in which the sender lost its promises; 0: never.
    incarnation @3 :Types.Incarnation;  # Its life now.
    full    @4 :Bool;               # Its disk or its memory is; see kernel/room.h.
  }
}
