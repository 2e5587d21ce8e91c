// SPDX-License-Identifier: Apache-2.0
// The simulator's only source of chance: a seeded generator that can be split by name, so that a
// new kind of fault does not reshuffle the others. Equal on every compiler: no library distribution
// is used.
#pragma once
#include <cstdint>
#include <string_view>

namespace polyquorum::simulator {

/// SplitMix64 (Steele, Lea, Flood 2014): small state, every seed is good.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// 0 <= result < bound; bound > 0. The bias of the modulus is below 2^-32 for what is used here.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  /// True in `percent` of 100 calls; fractions of a percent count.
  bool chance(double percent) {
    return next() % 1'000'000 < static_cast<std::uint64_t>(percent * 10'000);
  }

  /// An own stream for one purpose.
  Random split(std::string_view purpose) const {
    std::uint64_t hash = state ^ 0xcbf29ce484222325;
    for (unsigned char c : purpose) hash = (hash ^ c) * 0x100000001b3;
    return Random(hash);
  }

 private:
  std::uint64_t state;
};

}  // namespace polyquorum::simulator
