// SPDX-License-Identifier: Apache-2.0
// What a core knows of its own log: which stamp stands at which index, as runs. No bodies, no disk.
#pragma once
#include <optional>
#include <vector>
#include "sdk/core.h"

namespace polyquorum::zab {

/// What a learner tells a leader about its log (ACK_EPOCH, POSITION).
struct Report {
  core::Fence view = 0;
  core::Index committed = 0;
  core::Index first = 1;            ///< lowest index it could send
  core::Position last;
  std::vector<core::Run> runs;      ///< newest first; only the newest ones
};

/// A dense log over a decided base. In every log of a segment an epoch's entries begin at the same
/// index, and two logs with the same (stamp, index) are equal up to there: one leader per epoch,
/// and its followers' logs are prefixes of its own. (DSN'11 paper, "prefix" invariants.)
class LogView {
public:
  /// What is on the disk. Runs may begin below base. Returns the index of the first hole above
  /// base, if there is one: what is above it is not part of this view.
  std::optional<core::Index> open(core::Position base, const std::vector<core::Run>& found);

  /// Lowest index still in the log; one above last() if there are no entries.
  core::Index first() const { return runs.empty() ? base.index + 1 : runs.front().first; }
  core::Position last() const;
  /// The stamp at index; none if index is not in the log and not the base.
  std::optional<core::Fence> stampAt(core::Index index) const;

  /// index must be last().index + 1 and stamp at least last().stamp.
  void append(core::Index index, core::Fence stamp);
  /// Forgets from and all above; from must be above the base.
  void cut(core::Index from);
  /// A snapshot at `at` replaces all entries up to it. Returns whether entries above it stay: only
  /// if this log held that very position.
  bool adopt(core::Position at);
  /// Entries below first left the log.
  void trim(core::Index first);

  /// The last index up to which this log and the reported one are equal, and not below floor, which
  /// the caller knows to be decided in both.
  core::Index common(const Report& report, core::Index floor) const;

  Report report(core::Fence view, core::Index committed) const;

private:
  core::Position base;
  std::vector<core::Run> runs;   // ascending, dense, neighbours differ in stamp
};

}  // namespace polyquorum::zab
