// SPDX-License-Identifier: Apache-2.0
// What a connection and the server count. Plain numbers on the loop's thread.
#pragma once
#include <algorithm>
#include <cstdint>

namespace polyquorum::zookeeper {

/// Latencies in milliseconds from arrival to answer.
struct Latency {
  std::uint64_t count = 0, totalMs = 0;
  std::uint32_t minMs = ~0u, maxMs = 0, lastMs = 0;

  void add(std::uint32_t ms) {
    count++;
    totalMs += ms;
    minMs = std::min(minMs, ms);
    maxMs = std::max(maxMs, ms);
    lastMs = ms;
  }
  std::uint32_t min() const { return count == 0 ? 0 : minMs; }
  double average() const {
    return count == 0 ? 0 : static_cast<double>(totalMs) / static_cast<double>(count);
  }
};

struct Traffic {
  std::uint64_t received = 0, sent = 0;  ///< frames
  Latency latency;
};

/// Why connections were refused or closed; each refusal has its counter.
struct Refusals {
  std::uint64_t tooMany = 0, frameTooLarge = 0, malformed = 0, handshake = 0, words = 0,
                auth = 0, slowReader = 0, zxidAhead = 0, unknownType = 0;
};

}  // namespace polyquorum::zookeeper
