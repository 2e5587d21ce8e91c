// SPDX-License-Identifier: Apache-2.0
// A small 64-bit hash for places in tables and for digests. Equal on every node; not for secrets.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace polyquorum::state {

static_assert(std::endian::native == std::endian::little, "digests are defined on little endian");

// Fractions of the square roots of 2, 3, 5, 7, 11: nothing up the sleeve. A hash that begins with the salt
// it is mixed with (A in hashBytes, C in mix) makes a factor zero and forgets its first input.
constexpr std::uint64_t SALT_A = 0x6a09e667f3bcc909, SALT_B = 0xbb67ae8584caa73b;
constexpr std::uint64_t SALT_C = 0x3c6ef372fe94f82b, SALT_D = 0xa54ff53a5f1d36f1;
constexpr std::uint64_t SALT_E = 0x510e527fade682d1;

/// High and low half of the product, folded.
inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Mixes one number into a hash. The rotated sum keeps the past when a factor is zero.
inline std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  return fold(hash ^ SALT_C, value ^ SALT_B) + std::rotl(hash, 29) + SALT_D;
}

inline std::uint64_t hashBytes(std::string_view bytes, std::uint64_t seed) {
  auto load = [](const char* at, std::size_t size) {
    std::uint64_t word = 0;
    memcpy(&word, at, size);
    return word;
  };
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = seed ^ SALT_A;
  for (; left > 16; at += 16, left -= 16) {
    hash = fold(load(at, 8) ^ SALT_B, load(at + 8, 8) ^ hash) + std::rotl(hash, 29);
  }
  std::uint64_t first = 0, second = 0;
  if (left >= 8) {  // overlapping loads: no byte is missed, none is read outside
    first = load(at, 8);
    second = load(at + left - 8, 8);
  } else if (left >= 4) {
    first = load(at, 4);
    second = load(at + left - 4, 4);
  } else if (left > 0) {
    first = load(at, 1) << 16 | load(at + left / 2, 1) << 8 | load(at + left - 1, 1);
  }
  hash = fold(first ^ SALT_B, second ^ hash) + std::rotl(hash, 29);
  return fold(hash ^ SALT_C, bytes.size() ^ SALT_D);
}

}  // namespace polyquorum::state
