// SPDX-License-Identifier: Apache-2.0
// Latencies in buckets that are at most 1 % wide: constant memory, no allocation per value.
#pragma once
#include <bit>
#include <cstdint>
#include <vector>

namespace polyquorum::bench {

/// Log-linear, after Gil Tene's HdrHistogram: each power of two is cut into 128 equal parts.
class Histogram {
 public:
  Histogram() : counts((OCTAVES + 1) * PARTS) {}

  void add(std::uint64_t nanos) {
    counts[bucketOf(nanos)]++;
    total++;
    sum += nanos;
    if (nanos > largest) largest = nanos;
    if (nanos < smallest) smallest = nanos;
  }
  void merge(const Histogram& other);

  std::uint64_t count() const { return total; }
  std::uint64_t max() const { return largest; }
  std::uint64_t min() const { return total == 0 ? 0 : smallest; }
  double mean() const { return total == 0 ? 0 : double(sum) / double(total); }

  /// The value that share of all values do not exceed, rounded up by at most 1 %. share: 0 to 1.
  std::uint64_t quantile(double share) const;

 private:
  static constexpr unsigned PART_BITS = 7, PARTS = 1 << PART_BITS;
  static constexpr unsigned OCTAVES = 64 - PART_BITS;

  std::vector<std::uint64_t> counts;
  std::uint64_t total = 0, sum = 0, largest = 0, smallest = ~std::uint64_t(0);

  static std::size_t bucketOf(std::uint64_t value) {
    if (value < PARTS) return value;
    unsigned shift = static_cast<unsigned>(std::bit_width(value)) - PART_BITS - 1;
    return (shift + 1) * PARTS + ((value >> shift) - PARTS);
  }
  static std::uint64_t upperBound(std::size_t bucket);
};

}  // namespace polyquorum::bench
