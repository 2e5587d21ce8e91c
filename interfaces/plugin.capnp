# SPDX-License-Identifier: Apache-2.0
@0x944472575d622adf;
# What a plugin says of itself, and how the kernel gets an instance. The shared library exports one
# C symbol that leads here; a plugin in another process offers Plugin as its bootstrap capability.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("polyquorum::plugin");
using Schema = import "/capnp/schema.capnp";
using Types = import "types.capnp";
using Election = import "election.capnp";
using Consensus = import "consensus.capnp";
using Storage = import "storage.capnp";
using Transport = import "transport.capnp";
using Coordination = import "coordination.capnp";

interface Plugin @0xdffc4c34a5acf759 {
  describe @0 () -> (description :Description);
  # Constant. Called before anything starts; all problems of all plugins are reported together.

  create @1 (options :List(Types.Option)) -> (instance :Capability);
  # An instance of the interface named by kind. Many may live at once: two segments, or five nodes
  # in a simulator. Bad options throw one message with a line for each: place, key, reason, cure.
}

struct Description @0xc728da47db7b219b {
  name    @0 :Text;                  # As written in the YAML: multi_paxos
  version @1 :Text;
  kind    @2 :UInt64;                # Id of the interface that create returns.
  major   @3 :UInt16;                # Of that interface. Same major, minor not above the kernel's.
  minor   @4 :UInt16;
  options @5 :List(OptionKind);
  letters @6 :List(LetterKind);      # Cores only: makes traces, the console and the fault injector
                                     # speak the protocol.
  schemas @7 :List(Schema.Node);     # As compiled in; checked against the kernel's by one
                                     # SchemaLoader.
  traits :union {
    election  @8  :Election.Traits;
    consensus @9  :Consensus.Traits;
    storage   @10 :Storage.Traits;
    transport @11 :Transport.Traits;
    api       @12 :Coordination.Traits;
  }
}

struct OptionKind @0xc6d86eea2990ef6c {
  name     @0 :Text;
  initial  @1 :Text;                 # The value when absent.
  accepted @2 :Text;                 # "adopt | abort", "1ms .. 60s", "text"
  meaning  @3 :Text;                 # One sentence; the documentation is made from it.
}

struct LetterKind @0xa60694e84978162c {
  kind    @0 :UInt16;
  name    @1 :Text;                  # "accept"
  numbers @2 :List(Text);            # "ballot", "chosen": names in place; the last one repeats.
}
