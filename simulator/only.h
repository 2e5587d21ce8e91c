// SPDX-License-Identifier: Apache-2.0
// Which of a run's numbered faults or clients take part: what shrinking leaves out and a replay line
// names.
#pragma once
#include <optional>
#include <set>

namespace polyquorum::simulator {

/// Absent: all of them.
using Only = std::optional<std::set<unsigned>>;

inline bool takesPart(const Only& only, unsigned number) {
  return !only || only->count(number) > 0;
}

}  // namespace polyquorum::simulator
