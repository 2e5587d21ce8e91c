// SPDX-License-Identifier: Apache-2.0
// Who may watch a driver at work: told what it applies and claims, as it happens. For the simulator's
// checkers; a node in production has none.
#pragma once
#include "interfaces/storage.capnp.h"
#include "interfaces/types.capnp.h"
#include "sdk/core.h"
#include "state/state.h"

namespace polyquorum::kernel {

struct PendingWrite;

/// Called on the loop in the middle of a turn: looks, and calls nothing of the node.
class Witness {
public:
  virtual ~Witness() noexcept(false) {}
  /// One entry was applied; state is as it is after it. Also while a node recovers.
  virtual void applied(core::Index index, kj::Maybe<Body::Reader> body,
                       const state::Applied& applied, const state::State& state) = 0;
  /// The state was replaced by an image.
  virtual void installed(const state::State& state) = 0;
  virtual void standing(std::uint32_t segment, const core::Standing& standing) = 0;

  /// What storage held when this life began.
  virtual void booted(storage::Storage::OpenResults::Reader found) = 0;
  /// A write went into the queue, as its number'th.
  virtual void queued(std::uint64_t number, const PendingWrite& write) = 0;
  /// Storage answered: all up to the number'th are durable. Before any claim that waited for it.
  virtual void durable(std::uint64_t number) = 0;
};

}  // namespace polyquorum::kernel
