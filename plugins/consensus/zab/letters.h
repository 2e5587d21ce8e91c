// SPDX-License-Identifier: Apache-2.0
// The letters of ZAB: kinds, what their numbers mean, and the check that a received one is well
// formed. What they lead to is in learner.h and leader.h.
#pragma once
#include <initializer_list>
#include <optional>
#include "plugins/consensus/zab/log_view.h"
#include "sdk/core.h"

namespace polyquorum::zab {

/// Every letter begins with the number of its session, which the learner chose for this attempt; it
/// is never used twice in a life. From LEADER_INFO on the epoch follows.
enum Kind : std::uint16_t {
  FOLLOWER_INFO = 1,  ///< learner: session, accepted epoch, view, 1 if it votes
  LEADER_INFO = 2,    ///< leader: session, epoch
  ACK_EPOCH = 3,      ///< learner: session, epoch, 1 if the promise counts, report
  SYNC = 4,           ///< leader: session, epoch, mode, stamp, index: equal up to there
  POSITION = 5,       ///< learner, after a snapshot: session, epoch, 0, report
  ENTRIES = 6,        ///< leader: session, epoch, commit, held (as HELD); the next entries
  NEW_LEADER = 7,     ///< leader: session, epoch, index: this is the whole history
  ACK_LEADER = 8,     ///< learner: session, epoch, index: history and view are durable
  UP_TO_DATE = 9,     ///< leader: session, epoch, commit: the epoch is established
  ACK = 10,           ///< learner: session, epoch, index: durable up to there
  COMMIT = 11,        ///< leader: session, epoch, commit
  PING = 12,          ///< leader: session, epoch, commit, round, progress
  PONG = 13,          ///< learner: session, epoch, round
  BYE = 14,           ///< either: session, epoch, 1 if from the leader: it is over
  REFUSE = 15,        ///< learner: session, epoch it will not go below
  PULL = 16,          ///< leader to the owner of the best history: session, epoch, from
  PULLED = 17,        ///< its answer: session, epoch; entries, none while a snapshot travels
  INFORM = 18,        ///< leader to a learner without vote: session, epoch, commit; decided entries
  HELD = 19,          ///< leader: session, epoch, index: with the learner's own disk a quorum's hold it
  DURABLE = 20,       ///< learner to itself: session, epoch, index: durable up to there
};

enum Mode : std::uint64_t { DIFF = 0, TRUNC = 1, SNAP = 2 };

/// Epochs above this are not believed: counting on from them would overflow.
constexpr core::Fence EPOCH_MAX = core::Fence{1} << 62;

core::Letter letter(core::MemberId to, core::Link link, Kind kind,
                    std::initializer_list<std::uint64_t> numbers);

/// Null if kind or count of numbers is wrong, else a word to name the letter by in notes.
const char* wellFormed(const core::Letter& letter);

/// Appends: view, committed, first, last index, then (first, stamp) of runs, newest first.
void write(core::Letter& letter, const Report& report);
/// The report of an ACK_EPOCH or POSITION; none if it contradicts itself.
std::optional<Report> readReport(const core::Letter& letter);

}  // namespace polyquorum::zab
