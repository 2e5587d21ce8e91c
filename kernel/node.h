// SPDX-License-Identifier: Apache-2.0
// One node: builds the rooms in order, stops them in reverse. Knows no plugin by name.
#pragma once
#include <kj/async.h>
#include <kj/memory.h>
#include <cstdint>
#include "kernel/config.h"
#include "kernel/loader.h"
#include "sdk/environment.h"

namespace polyquorum::kernel {

struct NodeSettings {
  std::uint32_t id = 0;
  /// Format an empty data directory as a founding member of config's cluster. Without it a node with
  /// an empty directory refuses to start.
  bool bootstrap = false;
};

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
};

/// config, wiring and environment outlive the node.
kj::Own<Node> startNode(const Config& config, const Wiring& wiring, const NodeSettings& settings,
                        sdk::Environment& environment);

}  // namespace polyquorum::kernel
