// SPDX-License-Identifier: Apache-2.0
// Sessions, synchronisation, and the way to an established epoch.
#include "plugins/consensus/zab/leader.h"
#include <stdexcept>
#include "sdk/mutant.h"

namespace polyquorum::zab {

void Leader::leave() {
  if (phase == IDLE) return;
  for (auto& [peer, session] : sessions) {
    if (peer == ledger.self()) continue;
    ledger.send(letter(peer, session.caller.link, BYE, {session.caller.session, epoch, 1}));
  }
  for (auto& read : reads) ledger.refuse(read.token, core::Refused::NOT_LEADER);
  for (auto token : newReads) ledger.refuse(token, core::Refused::NOT_LEADER);
  reads.clear();
  newReads.clear();
  sessions.clear();
  tail.clear();
  undecidedBytes = heldTold = 0;
  appended = acksChanged = false;
  heir.reset();
  heirUntil = core::NEVER;
  roundConfirmed = roundLast;
  best = 0;
  phase = IDLE;
  ledger.stand(core::Standing::IDLE, 0, 0);
}

void Leader::renominated() {
  if (phase == LEADING) ledger.tell(core::Feedback::ESTABLISHED, ledger.self(), epoch);
}

void Leader::stop(core::Feedback::What what, core::MemberId peer, core::Fence fence,
                  const char* why) {
  ledger.note("leader.stopped epoch=" + std::to_string(epoch) + " why=" + why);
  leave();
  ledger.tell(what, peer, fence);
}

/// False if that ended this leader's attempt.
bool Leader::drop(core::MemberId peer, const char* why) {
  auto found = sessions.find(peer);
  if (found == sessions.end()) return true;
  if (peer == ledger.self()) throw std::logic_error("a leader drops itself");
  ledger.note("leader.drops peer=" + std::to_string(peer) + " why=" + why);
  auto& caller = found->second.caller;
  if (ledger.linkTo(peer) != 0) {
    ledger.send(letter(peer, caller.link, BYE, {caller.session, epoch, 1}));
  }
  bool source = phase == ADOPTING && peer == best;
  sessions.erase(found);
  acksChanged = true;
  // Its log may change from here on, so what was promised of it is void. (protocols.md, 1.8)
  if (source) stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "source_lost");
  return !source;
}

void Leader::peerDown(core::MemberId peer, core::Link link) {
  auto found = sessions.find(peer);
  if (found != sessions.end() && found->second.caller.link == link) drop(peer, "link_down");
}

Leader::Session* Leader::find(const core::Letter& letter) {
  auto found = sessions.find(letter.peer);
  if (found == sessions.end()) return nullptr;
  auto& caller = found->second.caller;
  bool same = caller.session == letter.numbers[0] &&
              (letter.peer == ledger.self() || caller.link == letter.link);
  return same ? &found->second : nullptr;
}

void Leader::hear(const core::Letter& letter) {
  auto* session = find(letter);
  if (session == nullptr) return;   // of a session that is over
  auto& numbers = letter.numbers;
  auto peer = letter.peer;
  if (letter.kind == BYE) {
    if (peer != ledger.self()) drop(peer, "told");
    return;
  }
  if (letter.kind == REFUSE) {
    bool above = numbers[1] > epoch && numbers[1] <= EPOCH_MAX && !MUTANT("zab.epoch.unfenced");
    if (session->voter() && above && phase != GATHERING) {
      ledger.saw(numbers[1]);
      return stop(core::Feedback::FENCED, peer, numbers[1], "refused");
    }
    drop(peer, "refused");
    return;
  }
  if (session->stage == CALLED || numbers[1] != epoch) {
    if (peer != ledger.self()) drop(peer, "wrong_epoch");
    return;
  }
  session->heardAt = ledger.now;
  switch (letter.kind) {
    case ACK_EPOCH: return onAckEpoch(*session, letter);
    case POSITION: return onPosition(*session, letter);
    case ACK_LEADER: return onAckLeader(*session, numbers[2]);
    case ACK: return acknowledge(*session, numbers[2]);
    case PONG:
      if (MUTANT("M14")) session->round = roundLast;
      if (numbers[2] + MUTANT("zab.round.pong") > roundLast) return;
      session->round = std::max(session->round, numbers[2]);
      return;
    case PULLED: return onPulled(*session, letter);
    default: drop(peer, "unexpected_letter");
  }
}

void Leader::advanced(Session& session) {
  session.progressAt = ledger.now;
  session.progress++;
  if (session.voter() || phase == ADOPTING) {
    progressAt = ledger.now;
    progress++;
  }
}

std::size_t Leader::votersIn(Stage stage) const {
  std::size_t count = 0;
  for (auto& [peer, session] : sessions) count += session.voter() && session.stage >= stage;
  return count;
}

// --------------------------------------------------------------------------------------- syncing

void Leader::beginSync() {
  phase = SYNCING;
  historyEnd = ledger.last().index;
  progressAt = quorumAt = ledger.now;
  ledger.stand(core::Standing::RECOVERING, 0, epoch);
  // Its own history is complete in this batch or earlier ones, so the view may stand behind it.
  ledger.establish(epoch);
  auto& own = sessions.at(ledger.self());
  own.stage = OFFERED;
  own.next = historyEnd + 1;
  auto done = letter(ledger.self(), 0, ACK_LEADER, {own.caller.session, epoch, historyEnd});
  if (MUTANT("zab.persist.own_history")) ledger.send(done);
  else ledger.claim(std::move(done));
  std::vector<core::MemberId> promised;
  for (auto& [peer, session] : sessions) {
    if (session.stage == PROMISED) promised.push_back(peer);
  }
  for (auto peer : promised) {
    if (auto found = sessions.find(peer); found != sessions.end()) sync(found->second);
  }
}

/// DIFF, TRUNC or SNAP. What comes after is the same for all three, and for one that lags later.
void Leader::sync(Session& session) {
  auto& caller = session.caller;
  auto& report = session.report;
  auto from = ledger.log.common(report, report.committed);
  if (from > ledger.last().index || from > report.last.index) {
    // It holds decided entries that this leader does not: it has seen a later epoch.
    drop(caller.peer, "knows_more");
    return;
  }
  auto stamp = ledger.log.stampAt(from);
  session.acked = MUTANT("M16") ? report.last.index : 0;
  session.inFlight.clear();
  session.inFlightBytes = 0;
  session.fetch = 0;
  session.next = from + 1;
  if (from + 1 < ledger.log.first() || !stamp) return sendSnapshot(session);
  auto mode = report.last.index > from ? TRUNC : DIFF;
  session.stage = SYNCED;
  ledger.send(letter(caller.peer, caller.link, SYNC, {caller.session, epoch, mode, *stamp, from}));
}

void Leader::sendSnapshot(Session& session) {
  auto& caller = session.caller;
  if (session.stage != SNAPSHOT) {
    session.stage = SNAPSHOT;
    session.streamSince = ledger.now;
    ledger.send(letter(caller.peer, caller.link, SYNC, {caller.session, epoch, SNAP, 0, 0}));
  }
  session.streaming = true;
  session.retryAt = core::NEVER;
  ledger.sendSnapshot(caller.peer, caller.link,
                      std::max(ledger.log.first() - 1, session.next));
}

void Leader::sent(const core::SnapshotSent& snapshot) {
  auto found = sessions.find(snapshot.peer);
  if (found == sessions.end() || found->second.caller.link != snapshot.link) return;
  auto& session = found->second;
  if (!session.streaming) return;
  session.streaming = false;
  session.progressAt = ledger.now;
  if (!snapshot.whole) session.retryAt = ledger.now + ledger.settings.heartbeat;
}

void Leader::onPosition(Session& session, const core::Letter& letter) {
  auto report = readReport(letter);
  if (session.stage != SNAPSHOT || !report) {
    drop(session.caller.peer, "position_out_of_place");
    return;
  }
  session.report = std::move(*report);
  session.streaming = false;
  // It has an image, whatever became of the last one. (zab_test, seed 11677)
  if (!MUTANT("zab.image.again")) session.retryAt = core::NEVER;
  advanced(session);
  sync(session);
}

void Leader::onAckLeader(Session& session, core::Index index) {
  if (session.stage != OFFERED || index >= session.next) {
    drop(session.caller.peer, "ack_leader_out_of_place");
    return;
  }
  session.stage = FOLLOWS;
  session.acked = std::max(session.acked, index);
  acksChanged = true;
  advanced(session);
  if (phase == LEADING) return upToDate(session);
  if (votersIn(FOLLOWS) + MUTANT("zab.quorum.history") >= ledger.quorum()) establish();
}

void Leader::establish() {
  phase = LEADING;
  quorumAt = ledger.now;
  ledger.commit(historyEnd);
  ledger.stand(core::Standing::LEADING, ledger.self(), epoch);
  ledger.tell(core::Feedback::ESTABLISHED, ledger.self(), epoch);
  ledger.note("leader.established epoch=" + std::to_string(epoch) +
              " history=" + std::to_string(historyEnd));
  for (auto& [peer, session] : sessions) {
    if (session.stage == FOLLOWS) upToDate(session);
  }
}

void Leader::upToDate(Session& session) {
  if (session.caller.peer == ledger.self()) return;
  // Carries what is decided by now, not the end of the history. (Zab specification, issue 3.)
  session.commitTold = ledger.committed();
  ledger.send(letter(session.caller.peer, session.caller.link, UP_TO_DATE,
                     {session.caller.session, epoch, ledger.committed()}));
}

}  // namespace polyquorum::zab
