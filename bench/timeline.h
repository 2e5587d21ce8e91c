// SPDX-License-Identifier: Apache-2.0
// What each second of a test was like: a stall of a quarter of a second is a row, not a lost digit
// of the whole.
#pragma once
#include <cstdint>
#include <vector>
#include "bench/histogram.h"

namespace polyquorum::bench {

/// Latencies in nanoseconds, in the order of their answers.
class Timeline {
 public:
  struct Second {
    std::uint64_t answered = 0;
    std::uint64_t slow = 0;  ///< Took longer than slowNs.
    std::uint64_t p50 = 0, p99 = 0, max = 0;
  };

  explicit Timeline(std::uint64_t slowNs) : slowNs(slowNs) {}

  /// An answer that came sinceNs after the begin of measuring; never less than the one before.
  void add(std::uint64_t sinceNs, std::uint64_t latencyNs);
  /// All seconds of so long a test, silent ones, too. Ends the timeline.
  const std::vector<Second>& finish(double measuredSeconds);

 private:
  const std::uint64_t slowNs;
  std::vector<Second> seconds;  ///< Ended ones.
  Second current;
  Histogram latencies;          ///< Of the current one.

  void next();
};

}  // namespace polyquorum::bench
