// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli), the checksum of records on disk and frames between servers.
#pragma once
#include <cstddef>
#include <cstdint>

namespace polyquorum::sdk {

/// Continues previous over size bytes; begin with 0: crc32c(crc32c(0, a), b) is crc32c(0, ab).
/// By the instruction of SSE4.2 or ARMv8 where the processor has it, by a table elsewhere; equal
/// results everywhere. Source: RFC 3720, appendix B.4.
std::uint32_t crc32c(std::uint32_t previous, const void* bytes, std::size_t size);

/// The same by the table: for processors without the instruction, and for the test.
std::uint32_t crc32cByTable(std::uint32_t previous, const void* bytes, std::size_t size);

}  // namespace polyquorum::sdk
