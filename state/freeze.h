// SPDX-License-Identifier: Apache-2.0
// The memory of a capture: what had to be written down because it changed before its turn came.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

namespace polyquorum::state {

/// Places 0 .. end - 1 are written in order; those from cursor on still wait. A change to one of
/// these first keeps its old record here: once, and gone when its turn has come.
struct Freeze {
  std::uint32_t cursor = 0, end = 0;
  std::unordered_map<std::uint32_t, std::string> kept;  // empty: nothing was there; never iterated

  bool wants(std::uint32_t place) const {
    return place >= cursor && place < end && kept.find(place) == kept.end();
  }
};

}  // namespace polyquorum::state
