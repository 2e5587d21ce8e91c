// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli) of what goes over the wire. Nothing of frames here.
#pragma once
#include <cstddef>
#include <cstdint>

namespace polyquorum::tcp {

/// Checksum of size bytes, continuing from a previous result; 0 begins. Uses the processor's
/// instruction where there is one; equal results everywhere. Source: RFC 3720, appendix B.4.
std::uint32_t crc32c(std::uint32_t previous, const void* bytes, std::size_t size);

/// The same without the instruction; for machines that lack it, and for the test.
std::uint32_t crc32cByTable(std::uint32_t previous, const void* bytes, std::size_t size);

}  // namespace polyquorum::tcp
