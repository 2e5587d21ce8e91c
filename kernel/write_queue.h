// SPDX-License-Identifier: Apache-2.0
// The one queue of writes of a node, and the claims that wait for it: the driver's laws 1 and 2 live
// here and nowhere else. See "The driver's three laws" in docs/architecture.md.
#pragma once
#include <kj/async.h>
#include <kj/function.h>
#include <deque>
#include <optional>
#include <vector>
#include "interfaces/storage.capnp.h"
#include "kernel/mail.h"
#include "kernel/post_office.h"
#include "kernel/witness.h"

namespace polyquorum::kernel {

/// One storage write while the kernel holds it; see Write in storage.capnp.
struct PendingWrite {
  std::uint32_t segment = 0;
  std::optional<core::Position> base;
  core::Index trim = 0;
  core::Index truncateFrom = 0;
  std::vector<MailEntry> entries;
  std::vector<core::Fact> facts;
  std::shared_ptr<capnp::MallocMessageBuilder> next;  ///< root: Segment
};

/// What one step says that must not be heard before its write and every earlier one are durable.
struct Claims {
  std::uint32_t segment = 0;
  Lane lane = LANE_CONSENSUS;
  std::vector<Mail> letters;
  std::optional<core::Evidence> evidence;
  kj::Maybe<kj::Function<void()>> then;  ///< the kernel's own: open a segment, install an image

  bool empty() const { return letters.empty() && !evidence && then == nullptr; }
};

class WriteQueue {
public:
  /// release is called with each step's claims, in the order of their steps. witness may be null.
  WriteQueue(storage::Storage::Client storage, kj::Function<void(Claims&&)> release, Witness* witness)
      : storage(kj::mv(storage)), release(kj::mv(release)), witness(witness) {}

  /// Law 1: behind every earlier write. Leaves with the next flush.
  void add(PendingWrite&& write);

  /// Law 2: released when every write added so far is durable; at once if they all are.
  void hold(Claims&& claims);

  /// One storage call for all that was added since the last. The promise resolves when it is durable
  /// and rejects if the disk failed, which stops the node.
  kj::Maybe<kj::Promise<void>> flush();

  bool settled() const { return durable == added; }
  std::size_t held() const { return waiting.size(); }

private:
  struct Held {
    std::uint64_t after;
    Claims claims;
  };
  storage::Storage::Client storage;
  kj::Function<void(Claims&&)> release;
  Witness* witness;
  std::vector<PendingWrite> writes;
  std::uint64_t added = 0, durable = 0;
  std::deque<Held> waiting;

  void reached(std::uint64_t number);
};

}  // namespace polyquorum::kernel
