// SPDX-License-Identifier: Apache-2.0
// See timeline.h.
#include "bench/timeline.h"
#include <cmath>

namespace polyquorum::bench {
namespace {

constexpr std::uint64_t SECOND_NS = 1'000'000'000;

}  // namespace

void Timeline::add(std::uint64_t sinceNs, std::uint64_t latencyNs) {
  while (sinceNs / SECOND_NS > seconds.size()) next();
  current.answered++;
  if (latencyNs > slowNs) current.slow++;
  latencies.add(latencyNs);
}

void Timeline::next() {
  current.p50 = latencies.quantile(0.5);
  current.p99 = latencies.quantile(0.99);
  current.max = latencies.max();
  seconds.push_back(current);
  current = {};
  latencies = Histogram();
}

const std::vector<Timeline::Second>& Timeline::finish(double measuredSeconds) {
  while (double(seconds.size()) < std::ceil(measuredSeconds)) next();
  return seconds;
}

}  // namespace polyquorum::bench
