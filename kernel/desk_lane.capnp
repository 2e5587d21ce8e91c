# SPDX-License-Identifier: Apache-2.0
# What the desks of two members say to each other, on the desk lane. Not here: what the cores say
# (consensus.capnp), and how letters travel (transport.capnp).
@0xe028351e9cf56293;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polyquorum::kernel");
using Types = import "/interfaces/types.capnp";

struct DeskLetter @0xfc6cefed72964b85 {
  commands @0 :List(Data);         # Flat Body messages, per session in order. To the leader.
  touches  @1 :List(Touch);        # Sessions that were heard. To the leader.
  read     @2 :UInt64;             # Newest barrier the sender waits for; 0: none. To the leader.
                                   # Its answer holds for the older ones too.
  readable @3 :UInt64;             # Barrier that is answered; 0: none. By the leader.
  index    @4 :Types.Index;        # Of readable: answer when this is applied.
  ready    @5 :Bool;               # The sender leads now. Whatever reached it earlier may have been
                                   # dropped: send what is pending again.
  told     @6 :Int64;              # When the touches were gathered, by the sender's clock (ns); 0: none.
  heard    @7 :Int64;              # told of the newest touches that came; 0: none. By the leader.
  ending   @8 :List(Ending);       # Sessions among those whose end is on its way already.

  struct Touch @0xaf2b30cad7bc7ead {
    session @0 :UInt64;
    ageMs   @1 :UInt32;            # How long ago, when this was sent.
    incarnation @2 :UInt64;        # Of the session. The leader may not have applied it yet.
  }

  struct Ending @0xc94f0dd85e0a7c31 {
    session     @0 :UInt64;
    incarnation @1 :UInt64;        # As the touch had it.
  }
}
