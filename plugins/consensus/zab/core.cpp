// SPDX-License-Identifier: Apache-2.0
// Dispatch of events; see core.h.
#include "plugins/consensus/zab/core.h"
#include <stdexcept>

namespace polyquorum::zab {

core::ConsensusEffects Zab::step(core::Nanos now, std::span<const core::ConsensusEvent> events) {
  ledger.begin(now);
  for (auto& event : events) {
    if (opened == std::holds_alternative<core::ConsensusOpened>(event)) {
      throw std::logic_error("the first event of a life is opened, and no other is");
    }
    std::visit([this](auto& what) { on(what); }, event);
  }
  leader.finish();
  learner.finish();
  auto effects = ledger.finish(std::min(leader.wakeAt(), learner.wakeAt()));
  effects.keepsImage = learner.keepsImage();
  return effects;
}

void Zab::on(const core::ConsensusOpened& event) {
  opened = true;
  ledger.open(event);
}

void Zab::on(const core::PeerUp& event) {
  ledger.peerUp(event.peer, event.link);
  learner.peerUp(event.peer);
}

void Zab::on(const core::PeerDown& event) {
  ledger.peerDown(event.peer, event.link);
  auto waiting = callers.find(event.peer);
  if (waiting != callers.end() && waiting->second.link == event.link) callers.erase(waiting);
  leader.peerDown(event.peer, event.link);
  learner.peerDown(event.peer, event.link);
}

void Zab::on(const core::Received& event) {
  auto& letter = event.letter;
  if (wellFormed(letter) == nullptr || !ledger.isMember(letter.peer)) {
    ledger.note("letter.malformed peer=" + std::to_string(letter.peer) +
                " kind=" + std::to_string(letter.kind));
    return;
  }
  switch (letter.kind) {
    case FOLLOWER_INFO: return called(letter);
    case LEADER_INFO:
    case SYNC:
    case ENTRIES:
    case INFORM:
    case NEW_LEADER:
    case UP_TO_DATE:
    case COMMIT:
    case PING:
    case PULL:
    case HELD: return learner.hear(letter);
    case DURABLE: return learner.durable(letter);
    case BYE: {
      auto waiting = callers.find(letter.peer);
      bool known = waiting != callers.end() && waiting->second.link == letter.link &&
                   waiting->second.session == letter.numbers[0];
      if (known) callers.erase(waiting);
      if (letter.numbers[2] == 1) return learner.hear(letter);
      if (leader.active()) leader.hear(letter);
      return;
    }
    default:
      if (leader.active()) leader.hear(letter);
  }
}

void Zab::called(const core::Letter& letter) {
  auto& numbers = letter.numbers;
  if (numbers[1] > EPOCH_MAX) {
    ledger.note("epoch.incredible peer=" + std::to_string(letter.peer));
    return;
  }
  Caller caller{letter.peer, letter.link, numbers[0], numbers[1],
                numbers[3] == 1 && ledger.isVoter(letter.peer)};
  if (caller.votes) ledger.saw(caller.accepted);
  if (leader.active()) {
    leader.called(caller);
  } else if (letter.peer != ledger.self()) {
    callers[letter.peer] = caller;
  }
}

void Zab::on(const core::Nominated& event) {
  auto wanted = event.leader;
  if (wanted == ledger.self()) {
    if (leader.active()) return leader.renominated();
    learner.leave();
    leader.start(callers);
    if (leader.active()) callers.clear();
    return;
  }
  if (learner.active() && learner.leader() == wanted) return learner.renominated();
  leader.leave();
  learner.leave();
  if (wanted == 0) return;
  if (!ledger.isVoter(wanted)) {
    ledger.tell(core::Feedback::LOST, wanted, 0);
    return;
  }
  learner.join(wanted);
}

void Zab::on(const core::Fetched& event) {
  leader.fetched(event);
  learner.fetched(event);
}

void Zab::on(const core::SnapshotArrived& event) {
  leader.arrived(event);
  learner.arrived(event);
}

void Zab::on(const core::SnapshotSent& event) {
  leader.sent(event);
  learner.sent(event);
}

}  // namespace polyquorum::zab
