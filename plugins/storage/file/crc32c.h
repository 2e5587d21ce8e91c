// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli), the checksum of every record and snapshot chunk.
#pragma once
#include <cstddef>
#include <cstdint>

namespace polyquorum::file {

/// Continues seed over bytes; start with seed 0. crc32c(crc32c(0, a), b) is crc32c(0, ab).
/// By SSE4.2 or ARM CRC instructions if the processor has them, by a table otherwise.
std::uint32_t crc32c(std::uint32_t seed, const void* bytes, std::size_t size);

/// The table version, for the test that compares both.
std::uint32_t crc32cByTable(std::uint32_t seed, const void* bytes, std::size_t size);

}  // namespace polyquorum::file
