// SPDX-License-Identifier: Apache-2.0
// One entry for fuzzers: any bytes as frames of a client. Used by tests/fuzz and codec-test.cpp.
#pragma once
#include <cstddef>
#include <cstdint>

namespace polyquorum::zookeeper {

/// The first byte chooses: 0 a connect request, else a request (type and body as on the wire).
/// Throws or crashes only for a bug. Returns the words of the message that was built.
std::size_t fuzzFrame(const std::uint8_t* data, std::size_t size);

}  // namespace polyquorum::zookeeper
