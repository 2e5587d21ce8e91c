// SPDX-License-Identifier: Apache-2.0
// See crc32c.h. The instruction takes 8 bytes at a time (10 GB/s), the table one.
#include "sdk/crc32c.h"
#include <array>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace polyquorum::sdk {
namespace {

constexpr std::uint32_t POLYNOMIAL = 0x82f63b78;  // bits reversed

constexpr std::array<std::uint32_t, 256> makeTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; i++) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ ((value & 1) ? POLYNOMIAL : 0);
    table[i] = value;
  }
  return table;
}
constexpr auto TABLE = makeTable();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t byInstruction(std::uint32_t previous,
                                                              const unsigned char* at,
                                                              std::size_t size) {
  std::uint64_t crc = ~previous;
  for (; size >= 8; size -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  for (; size > 0; size--) crc = _mm_crc32_u8(static_cast<std::uint32_t>(crc), *at++);
  return ~static_cast<std::uint32_t>(crc);
}
const bool HAS_INSTRUCTION = __builtin_cpu_supports("sse4.2");
#elif defined(__ARM_FEATURE_CRC32)
std::uint32_t byInstruction(std::uint32_t previous, const unsigned char* at, std::size_t size) {
  std::uint32_t crc = ~previous;
  for (; size >= 8; size -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    crc = __crc32cd(crc, word);
  }
  for (; size > 0; size--) crc = __crc32cb(crc, *at++);
  return ~crc;
}
constexpr bool HAS_INSTRUCTION = true;
#else
std::uint32_t byInstruction(std::uint32_t previous, const unsigned char* at, std::size_t size) {
  return crc32cByTable(previous, at, size);
}
constexpr bool HAS_INSTRUCTION = false;
#endif

}  // namespace

std::uint32_t crc32cByTable(std::uint32_t previous, const void* bytes, std::size_t size) {
  auto at = static_cast<const unsigned char*>(bytes);
  std::uint32_t crc = ~previous;
  for (; size > 0; size--) crc = (crc >> 8) ^ TABLE[(crc ^ *at++) & 0xff];
  return ~crc;
}

std::uint32_t crc32c(std::uint32_t previous, const void* bytes, std::size_t size) {
  auto at = static_cast<const unsigned char*>(bytes);
  if (HAS_INSTRUCTION) return byInstruction(previous, at, size);
  return crc32cByTable(previous, bytes, size);
}

}  // namespace polyquorum::sdk
