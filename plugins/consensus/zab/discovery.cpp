// SPDX-License-Identifier: Apache-2.0
// Phase one as the leader sees it: an epoch newer than a quorum's, promises of a quorum, and the
// best history among them.
#include <stdexcept>
#include "plugins/consensus/zab/leader.h"
#include "sdk/mutant.h"

namespace polyquorum::zab {

void Leader::start(const std::map<core::MemberId, Caller>& callers) {
  leave();
  if (!ledger.sound()) {
    ledger.tell(core::Feedback::QUORUM_LOST, ledger.self(), 0);
    return;
  }
  phase = GATHERING;
  epoch = 0;
  historyEnd = 0;
  deadline = ledger.now + ledger.settings.discoveryTimeout;
  progressAt = quorumAt = ledger.now;
  pingAt = ledger.now + ledger.settings.heartbeat;
  ledger.stand(core::Standing::CLAIMING, 0, 0);
  auto session = ledger.fresh();
  sessions[ledger.self()].caller = {ledger.self(), 0, session, ledger.accepted(), true};
  selfCalled = false;
  ledger.claim(letter(ledger.self(), 0, FOLLOWER_INFO,
                      {session, ledger.accepted(), ledger.view(), 1}));
  for (auto& [peer, caller] : callers) called(caller);
}

void Leader::called(const Caller& caller) {
  if (caller.peer == ledger.self()) {
    auto& own = sessions[caller.peer];
    if (phase != GATHERING || own.caller.session != caller.session) return;
    selfCalled = true;
    return tryEpoch();
  }
  bool above = caller.accepted + MUTANT("zab.epoch.fenced") > epoch;
  if (phase != GATHERING && caller.votes && above && !MUTANT("zab.epoch.unfenced")) {
    // It will never follow this epoch: a later leader must count above it.
    return stop(core::Feedback::FENCED, caller.peer, caller.accepted, "higher_epoch");
  }
  // A new session replaces the old one and all that is known of it.
  if (caller.peer == best && phase == ADOPTING) {
    return stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "source_lost");
  }
  auto& session = sessions[caller.peer] = Session{caller};
  session.heardAt = session.progressAt = ledger.now;
  if (phase == GATHERING) {
    tryEpoch();
  } else {
    inform(session);
  }
}

void Leader::tryEpoch() {
  if (!selfCalled || votersIn(CALLED) < ledger.quorum()) return;
  epoch = ledger.highest();
  if (epoch >= EPOCH_MAX) {
    return stop(core::Feedback::QUORUM_LOST, ledger.self(), 0, "epochs_exhausted");
  }
  if (!MUTANT("zab.epoch.next")) epoch++;
  phase = PROMISING;
  deadline = ledger.now + ledger.settings.discoveryTimeout;
  ledger.note("leader.epoch epoch=" + std::to_string(epoch));
  ledger.stand(core::Standing::CLAIMING, 0, epoch);
  for (auto& [peer, session] : sessions) inform(session);
}

void Leader::inform(Session& session) {
  session.stage = INFORMED;
  session.heardAt = session.progressAt = ledger.now;
  auto& caller = session.caller;
  if (caller.peer != ledger.self()) {
    return ledger.send(letter(caller.peer, caller.link, LEADER_INFO, {caller.session, epoch}));
  }
  ledger.promise(epoch);
  auto own = letter(caller.peer, 0, ACK_EPOCH, {caller.session, epoch, 1});
  write(own, ledger.report());
  if (MUTANT("zab.persist.own_promise")) return ledger.send(std::move(own));
  ledger.claim(std::move(own));
}

void Leader::onAckEpoch(Session& session, const core::Letter& letter) {
  auto report = readReport(letter);
  if (session.stage != INFORMED || !report) {
    drop(session.caller.peer, "ack_epoch_malformed");
    return;
  }
  session.report = std::move(*report);
  session.stage = PROMISED;
  session.counts = session.voter() && letter.numbers[2] == 1;
  advanced(session);
  if (phase == PROMISING) {
    tryHistory();
  } else if (phase >= SYNCING) {
    sync(session);
  }
}

void Leader::tryHistory() {
  std::size_t promises = 0;
  auto own = sessions.find(ledger.self());
  if (own->second.stage != PROMISED) return;
  Session* owner = &own->second;
  auto better = [](const Report& a, const Report& b) {
    if (MUTANT("M9")) return a.last.index > b.last.index;
    if (MUTANT("zab.stamp.best") && a.view == b.view) return a.last >= b.last;
    return a.view != b.view ? a.view > b.view : a.last > b.last;
  };
  for (auto& [peer, session] : sessions) {
    if (session.stage != PROMISED || !session.counts) continue;
    promises++;
    if (better(session.report, owner->report)) owner = &session;
  }
  if (promises + MUTANT("zab.quorum.promises") < ledger.quorum()) return;
  progressAt = ledger.now;
  if (owner == &own->second) return beginSync();
  if (ledger.settings.adopt) return beginAdopting(*owner);
  stop(core::Feedback::BEHIND, owner->caller.peer, epoch, "behind");
}

void Leader::beginAdopting(Session& owner) {
  phase = ADOPTING;
  best = owner.caller.peer;
  ledger.stand(core::Standing::RECOVERING, 0, epoch);
  ledger.note("leader.adopts epoch=" + std::to_string(epoch) + " from=" + std::to_string(best));
  // What a quorum that promised this epoch knows best is the history of the epoch; whatever differs
  // here was never decided and never will be. (DSN'11 paper, algorithm 1, line 11.)
  auto from = ledger.log.common(owner.report, ledger.committed());
  if (from > owner.report.last.index) {
    return stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "decided_entries_missing");
  }
  if (ledger.last().index > from) ledger.cut(from + 1);
  pull();
}

void Leader::pull() {
  auto& owner = sessions.at(best);
  if (ledger.last() == owner.report.last) return finishAdopting();
  if (ledger.last().index >= owner.report.last.index) {
    return stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "histories_contradict");
  }
  ledger.send(letter(best, owner.caller.link, PULL,
                     {owner.caller.session, epoch, ledger.last().index + 1}));
}

void Leader::onPulled(Session& session, const core::Letter& letter) {
  if (phase != ADOPTING || session.caller.peer != best) return;
  advanced(session);
  if (letter.entries.empty()) return;   // a snapshot is on its way
  auto& end = session.report.last;
  for (auto& entry : letter.entries) {
    auto last = ledger.last();
    bool fits = entry.index == last.index + 1 && entry.index <= end.index &&
                entry.stamp >= last.stamp + MUTANT("zab.stamp.pulled") &&
                entry.stamp <= end.stamp - MUTANT("zab.stamp.pulled_end");
    if (!fits) {
      return stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "pulled_does_not_fit");
    }
    ledger.append(entry);
  }
  pull();
}

void Leader::arrived(const core::SnapshotArrived& snapshot) {
  if (phase != ADOPTING || snapshot.peer != best) return;
  auto& owner = sessions.at(best);
  if (snapshot.link != owner.caller.link || snapshot.at.index > owner.report.last.index) return;
  advanced(owner);
  ledger.adopt(snapshot.at);
  auto from = ledger.log.common(owner.report, ledger.committed());
  if (ledger.last().index > from) ledger.cut(from + 1);
  pull();
}

void Leader::finishAdopting() {
  ledger.note("leader.adopted epoch=" + std::to_string(epoch) + " last=" +
              std::to_string(ledger.last().index));
  best = 0;
  beginSync();
}

}  // namespace polyquorum::zab
