// SPDX-License-Identifier: Apache-2.0
// What an operator may choose about ZAB. Reading it from YAML is plugin.cpp's work.
#pragma once
#include <cstddef>
#include <cstdint>
#include "sdk/core.h"

namespace polyquorum::zab {

/// All times in nanoseconds, all sizes in bytes. Equal on all members but for the limits, which may
/// differ.
struct Settings {
  /// A leader that finds a better history in its quorum fetches it (DSN'11 paper), or else hands
  /// over to its owner (ZooKeeper's Leader.waitForEpochAck gives up).
  bool adopt = true;
  core::Nanos heartbeat = 100'000'000;
  /// Silence after which the other side of a session counts as gone.
  core::Nanos leaderTimeout = 1'000'000'000;
  /// From a nomination to an epoch, and from an epoch to a quorum of promises.
  core::Nanos discoveryTimeout = 2'000'000'000;
  /// A synchronisation may take any time, but not this long without progress.
  core::Nanos syncTimeout = 10'000'000'000;
  /// A snapshot on its way counts as progress for this long.
  core::Nanos snapshotTimeout = 600'000'000'000;
  /// More undecided entries or bytes than this: proposals are refused as overloaded.
  std::uint64_t undecidedEntries = 20'000;
  std::uint64_t undecidedBytes = 64 << 20;
  /// Of one read of the log for a follower that lags.
  std::uint32_t chunkBytes = 1 << 20;
  /// A member without a vote is sent what was decided at most this often, unless somebody waits for it.
  core::Nanos informInterval = 10'000'000;
  /// Sent to one follower and not yet acknowledged as durable.
  std::uint64_t windowBytes = 16 << 20;
};

}  // namespace polyquorum::zab
