// SPDX-License-Identifier: Apache-2.0
// See histogram.h.
#include "bench/histogram.h"
#include <algorithm>
#include <cmath>

namespace polyquorum::bench {

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < counts.size(); i++) counts[i] += other.counts[i];
  total += other.total;
  sum += other.sum;
  largest = std::max(largest, other.largest);
  smallest = std::min(smallest, other.smallest);
}

std::uint64_t Histogram::upperBound(std::size_t bucket) {
  if (bucket < PARTS) return bucket;
  auto shift = bucket / PARTS - 1;
  return ((std::uint64_t(PARTS) + bucket % PARTS + 1) << shift) - 1;
}

std::uint64_t Histogram::quantile(double share) const {
  if (total == 0) return 0;
  auto wanted = static_cast<std::uint64_t>(std::ceil(share * double(total)));
  wanted = std::clamp<std::uint64_t>(wanted, 1, total);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts.size(); i++) {
    seen += counts[i];
    if (seen >= wanted) return std::clamp(upperBound(i), smallest, largest);
  }
  return largest;
}

}  // namespace polyquorum::bench
