// SPDX-License-Identifier: Apache-2.0
// One node: builds the rooms in order, stops them in reverse. Knows no plugin by name.
#pragma once
#include <kj/async.h>
#include <kj/memory.h>
#include <cstdint>
#include <string>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "interfaces/storage.capnp.h"
#include "interfaces/transport.capnp.h"
#include "kernel/config.h"
#include "kernel/driver.h"
#include "kernel/loader.h"
#include "kernel/witness.h"
#include "sdk/environment.h"

namespace polyquorum::kernel {

struct NodeSettings {
  std::uint32_t id = 0;
  /// Format an empty data directory as a founding member of config's cluster. Without it a node with
  /// an empty directory only learns, until a seal of a living cluster lets it vote.
  bool bootstrap = false;
};

/// What a node is made of besides the kernel's own rooms. The simulator replaces transport and apis.
struct Parts {
  storage::Storage::Client storage;
  transport::Transport::Client transport;
  kj::Own<CoreMaker> cores;
  struct Api {
    std::string name;
    coordination::Api::Client api;
  };
  std::vector<Api> apis;
  std::vector<Wired> wired;
  bool durable = false;    ///< the storage's trait
  Witness* witness = nullptr;   ///< outlives the node; nobody in production
};

/// Instances that stand where plugins would: the simulator's network and clients.
struct StandIns {
  kj::Maybe<transport::Transport::Client> transport;
  kj::Maybe<std::vector<Parts::Api>> apis;
  Witness* witness = nullptr;   ///< outlives the node
};

/// Creates an instance of every plugin that config names, but for those that have a stand-in. A
/// plugin that refuses its options or throws is named in the exception. wiring and environment
/// outlive the parts.
kj::Promise<Parts> makeParts(const Config& config, const Wiring& wiring, sdk::Environment& environment,
                             StandIns standIns = {});

class Node {
public:
  virtual ~Node() noexcept(false) {}
  /// Resolves when the API plugins listen.
  virtual kj::Promise<void> started() = 0;
  /// Rejects when the node must stop: a failed disk, a plugin that threw, a broken promise. The
  /// exception's text names the room and the cure. Never resolves otherwise.
  virtual kj::Promise<void> failed() = 0;
  /// Orderly stop: APIs answer and close, leadership is handed over, everything is durable.
  virtual kj::Promise<void> stop() = 0;
  /// What this node knows of itself; see Status in coordination.capnp. Only its id before it has
  /// recovered.
  virtual void status(coordination::Status::Builder out) = 0;
};

/// config and environment outlive the node.
kj::Own<Node> startNode(const Config& config, kj::Promise<Parts> parts, const NodeSettings& settings,
                        sdk::Environment& environment);

/// The same with plugins from libraries; wiring outlives the node.
kj::Own<Node> startNode(const Config& config, const Wiring& wiring, const NodeSettings& settings,
                        sdk::Environment& environment);

}  // namespace polyquorum::kernel
