// SPDX-License-Identifier: Apache-2.0
// ZAB as a pure core: which role this node has, and who hears an event. The roles are in leader.h
// and learner.h, what is durable in ledger.h.
#pragma once
#include <map>
#include "plugins/consensus/zab/leader.h"
#include "plugins/consensus/zab/learner.h"
#include "plugins/consensus/zab/ledger.h"
#include "sdk/core.h"

namespace polyquorum::zab {

/// One life of one segment. Nominations say whom to try; everything that must hold is checked here
/// again, so that a wrong election costs time only. Source: Junqueira, Reed, Serafini, "Zab:
/// High-performance broadcast for primary-backup systems" (DSN'11); ZooKeeper's quorum package.
class Zab final : public core::ConsensusCore {
public:
  explicit Zab(const Settings& settings) : ledger(settings), leader(ledger), learner(ledger) {}

  /// Throws std::logic_error if the first event is not `opened` or a later one is, and if one of
  /// its own invariants is broken.
  core::ConsensusEffects step(core::Nanos now,
                              std::span<const core::ConsensusEvent> events) override;

private:
  Ledger ledger;
  Leader leader;
  Learner learner;
  bool opened = false;
  std::map<core::MemberId, Caller> callers;   // want to follow this node while it does not lead

  void on(const core::ConsensusOpened& event);
  void on(const core::PeerUp& event);
  void on(const core::PeerDown& event);
  void on(const core::Received& event);
  void on(const core::Nominated& event);
  void on(const core::Proposal& event) { leader.propose(event); }
  void on(const core::Read& event) { leader.read(event.token); }
  void on(const core::Fetched& event);
  void on(const core::SnapshotArrived& event);
  void on(const core::SnapshotSent& event);
  void on(const core::Trimmed& event) { ledger.trimmed(event.first); }
  void on(const core::HandOver& event) { leader.handOver(event.to); }
  void called(const core::Letter& letter);
};

}  // namespace polyquorum::zab
