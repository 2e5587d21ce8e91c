// SPDX-License-Identifier: Apache-2.0
// The side of a session that follows: a voter or an observer under another member's lead. Leading
// is in leader.h.
#pragma once
#include <optional>
#include "plugins/consensus/zab/ledger.h"
#include "plugins/consensus/zab/letters.h"

namespace polyquorum::zab {

/// At most one session at a time, bound to one connection. It ends by feedback `lost`, or silently
/// when a nomination calls this node elsewhere. Source: ZooKeeper's Learner, Follower, Observer.
class Learner {
public:
  explicit Learner(Ledger& ledger) : ledger(ledger) {}

  bool active() const { return stage != IDLE; }
  core::MemberId leader() const { return leaderId; }

  /// Follow this member, from the beginning.
  void join(core::MemberId leader);
  /// Stop following, without feedback.
  void leave();
  /// Called to the same leader once more: answered again if there is an answer already.
  void renominated();

  void peerUp(core::MemberId peer);
  void peerDown(core::MemberId peer, core::Link link);
  /// A well-formed letter of a leader.
  void hear(const core::Letter& letter);
  /// A well-formed letter that this node wrote to itself when it acknowledged.
  void durable(const core::Letter& letter);
  void fetched(const core::Fetched& fetched);
  void arrived(const core::SnapshotArrived& snapshot);
  void sent(const core::SnapshotSent& snapshot);
  /// A snapshot came, and the letter that says what it is for may come yet.
  bool keepsImage() const { return early.has_value(); }

  /// End of a step: what is due is done.
  void finish();
  core::Nanos wakeAt() const;

private:
  enum Stage { IDLE, JOINING, PROMISED, SYNCING, AWAITING_SNAPSHOT, OFFERED, FOLLOWING };

  /// A leader that fetches what only this node has.
  struct Serving {
    core::Index from = 0;
    core::Token fetch = 0;           // 0: none outstanding
    bool snapshot = false;           // outstanding
    core::Nanos snapshotSince = 0;
    core::Nanos retryAt = core::NEVER;
    core::Nanos busyAt = core::NEVER;  // tell the leader that a snapshot is still on its way
  };

  Ledger& ledger;
  Stage stage = IDLE;
  core::MemberId leaderId = 0;
  core::Link link = 0;               // 0: not up yet
  std::uint64_t session = 0;
  core::Fence epoch = 0;
  core::Nanos joinedAt = 0, heardAt = 0, progressAt = 0, aliveToldAt = 0;
  std::uint64_t progressSeen = 0;
  core::Index leaderCommit = 0;
  core::Index held = 0;              // by a quorum's disks, once this node's has it
  core::Index durableTo = 0;         // what this session acknowledged and the disk has
  bool ackDue = false;
  std::optional<Serving> serving;
  std::optional<core::Position> early;   // a snapshot that overtook the letter about it

  void call();
  void fail(const char* why);
  void heard();
  void onLeaderInfo(core::Fence offered);
  void onSync(const core::Letter& letter);
  void onEntries(const core::Letter& letter);
  void onNewLeader(core::Index index);
  void onUpToDate(core::Index commit);
  void onPing(const core::Letter& letter);
  void onPull(core::Index from);
  void serveSnapshot();
  void adopt(core::Position at);
  void claim(Kind kind, std::initializer_list<std::uint64_t> numbers) {
    ledger.claim(letter(leaderId, link, kind, numbers));
  }
  void claimReport(Kind kind, bool counts);
};

}  // namespace polyquorum::zab
