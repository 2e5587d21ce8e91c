// SPDX-License-Identifier: Apache-2.0
// What waits for one peer: lanes in the order of their importance, each with its bound. Pure; the
// bytes are shared between the queues of all receivers.
#pragma once
#include <kj/array.h>
#include <kj/refcount.h>
#include <deque>
#include <vector>
#include "wire.h"

namespace polyquorum::tcp {

/// Encoded frames of one turn, shared by all queues that hold parts of it.
struct Chunk : public kj::Refcounted {
  explicit Chunk(kj::Array<kj::byte> bytes) : bytes(kj::mv(bytes)) {}
  kj::Array<kj::byte> bytes;
};

struct LaneRule {
  bool conflate = false;
  std::uint64_t bytesMax = 0;
};

using Pieces = std::vector<kj::ArrayPtr<const kj::byte>>;

class OutQueue {
 public:
  explicit OutQueue(kj::ArrayPtr<const LaneRule> rules)
      : rules(rules.begin(), rules.end()), lanes(rules.size()) {}

  /// Queues whole frames. A conflating lane forgets what waited in it. False: the lane is full,
  /// nothing was queued, and the link must close, or its stream would have a gap.
  bool push(std::size_t lane, Chunk& chunk, kj::ArrayPtr<const kj::byte> frames);

  bool empty() const { return bytes == 0; }
  std::uint64_t size() const { return bytes; }

  /// Appends to pieces what should go next, at most piecesMax pieces and about bytesMax bytes.
  /// What was begun is finished first. True: that is all that waits.
  bool gather(Pieces& pieces, std::size_t piecesMax, std::size_t bytesMax) const;

  /// The socket took this many bytes of what gather() gave.
  void consumed(std::size_t size);

 private:
  struct Slice {
    kj::Own<Chunk> chunk;
    kj::ArrayPtr<const kj::byte> frames;
  };
  struct Waiting {
    std::deque<Slice> slices;
    std::uint64_t bytes = 0;
  };

  std::vector<LaneRule> rules;
  std::vector<Waiting> lanes;
  std::uint64_t bytes = 0;
  /// The lane whose first slice is partly sent.
  std::size_t begun = NONE;
  static constexpr std::size_t NONE = ~std::size_t(0);

  std::size_t take(std::size_t lane, std::size_t size);
};

}  // namespace polyquorum::tcp
