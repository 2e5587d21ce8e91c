// SPDX-License-Identifier: Apache-2.0
// What this node durably knows and what it wants of this step: log, epochs, commit, effects. Both
// roles work on it; it knows no phases.
#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>
#include "plugins/consensus/zab/log_view.h"
#include "plugins/consensus/zab/settings.h"
#include "sdk/batch.h"
#include "sdk/core.h"

namespace polyquorum::zab {

class Ledger {
public:
  explicit Ledger(const Settings& settings) : settings(settings) {}

  const Settings settings;
  core::Nanos now = 0;
  LogView log;

  void open(const core::ConsensusOpened& opened);
  void begin(core::Nanos time) { now = time; }
  /// The effects of the step that began last. Nothing is left.
  core::ConsensusEffects finish(core::Nanos wakeAt);

  core::MemberId self() const { return selfId; }
  bool isVoter(core::MemberId id) const {
    return std::binary_search(voters.begin(), voters.end(), id);
  }
  bool isMember(core::MemberId id) const {
    return std::binary_search(members.begin(), members.end(), id);
  }
  std::size_t quorum() const { return voters.size() / 2 + 1; }
  /// A voter whose promises and acknowledgements are to be believed.
  bool votes() const { return isVoter(selfId) && mayVote; }
  /// Its log has no hole, either.
  bool sound() const { return votes() && !damaged; }

  core::Fence accepted() const { return acceptedEpoch; }
  /// The highest epoch that a voter said it accepted. Not durable: it only spares vain attempts.
  core::Fence highest() const { return std::max(highestEpoch, acceptedEpoch); }
  void saw(core::Fence epoch) { highestEpoch = std::max(highestEpoch, epoch); }
  core::Fence view() const { return viewEpoch; }
  core::Index committed() const { return committedIndex; }
  core::Position last() const { return log.last(); }
  Report report() const { return log.report(viewEpoch, committedIndex); }

  /// The newest open connection to peer; 0: none.
  core::Link linkTo(core::MemberId peer) const;
  void peerUp(core::MemberId peer, core::Link link);
  void peerDown(core::MemberId peer, core::Link link);

  /// A number never used before in this life: of a session, of a fetch.
  std::uint64_t fresh() { return ++counter; }

  // Changes of what is durable; they leave in the batch of this step.
  /// Never an epoch at or below this again. Only for nodes that vote.
  void promise(core::Fence epoch);
  /// The whole log is a history of this epoch. Nothing of it may be missing in this or earlier
  /// batches.
  void establish(core::Fence epoch);
  void append(core::Entry entry);
  /// from must be above what is committed.
  void cut(core::Index from);
  /// Adopts a snapshot that arrived, if it tells something new.
  bool adopt(core::Position at);

  /// Everything up to index is decided, and in the log. Ignored if that is known.
  void commit(core::Index index);
  void trimmed(core::Index first) { log.trim(first); }

  // Wishes.
  /// For letters that claim nothing about log or promises.
  void send(core::Letter letter) { effects.now.push_back(std::move(letter)); }
  void claim(core::Letter letter) { effects.afterPersist.push_back(std::move(letter)); }
  void tell(core::Feedback::What what, core::MemberId peer, core::Fence fence);
  void stand(core::Standing::Phase phase, core::MemberId leader, core::Fence fence);
  void refuse(core::Token token, core::Refused::Why why) {
    effects.refused.push_back({why, token});
  }
  void readable(core::Token token, core::Index index) {
    effects.readable.push_back({token, index});
  }
  /// Returns the token of the answer.
  core::Token fetch(core::Index first, core::Index last);
  void sendSnapshot(core::MemberId peer, core::Link link, core::Index atLeast) {
    effects.snapshots.push_back({peer, link, atLeast});
  }
  void note(std::string line) { effects.notes.push_back(std::move(line)); }

private:
  void cutUnproved(core::Index above);

  core::MemberId selfId = 0;
  bool mayVote = true;
  bool damaged = false;
  std::optional<core::Index> unproved;   // the disk holds entries from here on, above a hole
  std::vector<core::MemberId> members, voters;   // sorted
  std::map<core::MemberId, std::vector<core::Link>> links;
  core::Fence acceptedEpoch = 0, viewEpoch = 0, highestEpoch = 0;
  core::Index committedIndex = 0;
  std::uint64_t counter = 0;
  core::Standing standing;
  core::Nanos evidenceAt = 0;
  bool evidenceChanged = false, evidenceUrgent = false;
  core::ConsensusEffects effects;
  core::BatchBuilder batch;
};

}  // namespace polyquorum::zab
