// SPDX-License-Identifier: Apache-2.0
// Following: discovery, synchronisation and broadcast as the learner sees them. Serving a leader
// that lags behind this node is in serving.cpp.
#include "plugins/consensus/zab/learner.h"
#include "sdk/mutant.h"

namespace polyquorum::zab {

void Learner::join(core::MemberId leader) {
  leave();
  stage = JOINING;
  leaderId = leader;
  link = 0;
  epoch = 0;
  joinedAt = heardAt = progressAt = ledger.now;
  progressSeen = 0;
  leaderCommit = held = durableTo = 0;
  ackDue = false;
  ledger.stand(core::Standing::CLAIMING, 0, 0);
  call();
}

void Learner::call() {
  link = ledger.linkTo(leaderId);
  if (link == 0) return;
  session = ledger.fresh();
  claim(FOLLOWER_INFO, {session, ledger.accepted(), ledger.view(), ledger.votes() ? 1u : 0u});
}

void Learner::leave() {
  if (stage == IDLE) return;
  // Not ahead of what the session claimed before.
  if (link != 0) claim(BYE, {session, epoch, 0});
  stage = IDLE;
  serving.reset();
  early.reset();
  ledger.stand(core::Standing::IDLE, 0, 0);
}

void Learner::renominated() {
  if (stage == FOLLOWING) ledger.tell(core::Feedback::ESTABLISHED, leaderId, epoch);
}

void Learner::fail(const char* why) {
  ledger.note(std::string("follower.lost leader=") + std::to_string(leaderId) +
              " epoch=" + std::to_string(epoch) + " why=" + why);
  leave();
  ledger.tell(core::Feedback::LOST, leaderId, epoch);
}

void Learner::peerUp(core::MemberId peer) {
  if (stage == JOINING && link == 0 && peer == leaderId) call();
}

void Learner::peerDown(core::MemberId peer, core::Link down) {
  if (stage == IDLE || peer != leaderId || down != link || link == 0) return;
  link = 0;
  fail("link_down");
}

void Learner::hear(const core::Letter& letter) {
  auto& numbers = letter.numbers;
  bool ours = stage != IDLE && letter.peer == leaderId && letter.link == link &&
              numbers[0] == session;
  if (!ours) return;   // of a session that is over
  if (letter.kind == BYE) return fail("told");
  if (letter.kind == LEADER_INFO) {
    if (stage == JOINING) onLeaderInfo(numbers[1]);
    return;
  }
  if (stage == JOINING || numbers[1] != epoch) return fail("wrong_epoch");
  heard();
  switch (letter.kind) {
    case SYNC: return onSync(letter);
    case ENTRIES:
    case INFORM: return onEntries(letter);
    case NEW_LEADER: return onNewLeader(numbers[2]);
    case UP_TO_DATE: return onUpToDate(numbers[2]);
    case COMMIT: leaderCommit = std::max(leaderCommit, numbers[2]); return;
    case HELD: held = std::max(held, numbers[2]); return;
    case PING: return onPing(letter);
    case PULL: return onPull(numbers[2]);
    default: return fail("unexpected_letter");
  }
}

void Learner::durable(const core::Letter& letter) {
  bool ours = stage != IDLE && letter.peer == ledger.self() && letter.numbers[0] == session &&
              letter.numbers[1] == epoch;
  if (ours) durableTo = std::max(durableTo, letter.numbers[2]);
}

void Learner::heard() {
  heardAt = ledger.now;
  if (aliveToldAt != 0 && ledger.now - aliveToldAt < ledger.settings.heartbeat) return;
  aliveToldAt = ledger.now;
  ledger.tell(core::Feedback::LEADER_ALIVE, leaderId, epoch);
}

void Learner::onLeaderInfo(core::Fence offered) {
  auto least = ledger.votes() ? ledger.accepted() : ledger.view();
  if (MUTANT("zab.epoch.offered")) least = 0;
  bool old = offered < least + MUTANT("zab.epoch.again");
  if (old || offered == 0 || offered > EPOCH_MAX) {
    claim(REFUSE, {session, least});
    return fail("old_epoch");
  }
  // An epoch is promised once; accepted before, the promise is not counted again. (ZooKeeper's
  // Learner.registerWithLeader answers -1.)
  bool counts = ledger.sound() && offered > ledger.accepted();
  if (MUTANT("zab.epoch.counts")) counts = ledger.sound() && offered >= ledger.accepted();
  bool promises = ledger.votes() && offered > ledger.accepted() + MUTANT("zab.epoch.promise");
  if (promises) ledger.promise(offered);
  epoch = offered;
  stage = PROMISED;
  progressAt = ledger.now;
  heard();
  claimReport(ACK_EPOCH, counts);
  ledger.stand(core::Standing::RECOVERING, 0, epoch);
}

void Learner::claimReport(Kind kind, bool counts) {
  auto answer = letter(leaderId, link, kind, {session, epoch, counts ? 1u : 0u});
  write(answer, ledger.report());
  if (MUTANT("M11") && kind == ACK_EPOCH) return ledger.send(std::move(answer));
  ledger.claim(std::move(answer));
}

void Learner::onSync(const core::Letter& letter) {
  // A leader that cannot read on (trimmed, damaged) sends its state instead, before it says NEW_LEADER.
  bool image = letter.numbers[2] == SNAP;
  bool fits = stage == PROMISED || stage == AWAITING_SNAPSHOT || (stage == SYNCING && image);
  if (!fits) return fail("sync_out_of_place");
  serving.reset();
  progressAt = ledger.now;
  if (image) {
    stage = AWAITING_SNAPSHOT;
    if (early) adopt(*early);
    return;
  }
  early.reset();
  core::Position at{letter.numbers[3], letter.numbers[4]};
  // Nothing decided is ever cut, and only what differs: the position must be one of our own.
  if (at.index < ledger.committed() || ledger.log.stampAt(at.index) != at.stamp) {
    return fail("sync_does_not_fit");
  }
  if (ledger.last().index > at.index && !MUTANT("M3")) ledger.cut(at.index + 1);
  if (MUTANT("M2")) ledger.establish(epoch);
  stage = SYNCING;
}

void Learner::arrived(const core::SnapshotArrived& snapshot) {
  if (stage == IDLE || snapshot.peer != leaderId || snapshot.link != link) return;
  if (stage == AWAITING_SNAPSHOT) return adopt(snapshot.at);
  if (stage == PROMISED || stage == SYNCING) early = snapshot.at;   // the bulk lane was faster
}

void Learner::adopt(core::Position at) {
  early.reset();
  ledger.adopt(at);
  progressAt = ledger.now;
  claimReport(POSITION, false);
}

void Learner::onEntries(const core::Letter& letter) {
  if (stage < SYNCING || stage == AWAITING_SNAPSHOT) return fail("entries_out_of_place");
  progressAt = ledger.now;
  for (auto& entry : letter.entries) {
    auto last = ledger.last();
    if (entry.index <= last.index) {
      // Redundant, not an error, as long as it is the same. (Zab specification, issue 2.)
      if (entry.index <= ledger.committed() || MUTANT("M3")) continue;
      if (ledger.log.stampAt(entry.index) == entry.stamp) continue;
      return fail("entry_differs");
    }
    bool next = entry.index == last.index + 1 &&
                entry.stamp >= last.stamp + MUTANT("zab.stamp.next") &&
                entry.stamp <= epoch - MUTANT("zab.stamp.epoch");
    if (!next) return fail("gap");
    ledger.append(entry);
  }
  ackDue = true;
  leaderCommit = std::max(leaderCommit, letter.numbers[2]);
  if (letter.kind == ENTRIES) held = std::max(held, letter.numbers[3]);
}

void Learner::onNewLeader(core::Index index) {
  bool whole = index == ledger.last().index || (MUTANT("M3") && index < ledger.last().index);
  if (stage != SYNCING || !whole) return fail("new_leader_does_not_fit");
  // The history is in this batch or earlier ones, the view in this one: a crash leaves a prefix, so
  // never the view without its history (ZOOKEEPER-4643), and the acknowledgement waits for both
  // (ZOOKEEPER-3911, -4646).
  ledger.establish(epoch);
  stage = OFFERED;
  progressAt = ledger.now;
  if (MUTANT("M1")) return ledger.send(letter(leaderId, link, ACK_LEADER, {session, epoch, index}));
  claim(ACK_LEADER, {session, epoch, index});
}

void Learner::onUpToDate(core::Index commit) {
  if (stage != OFFERED) return fail("up_to_date_out_of_place");
  stage = FOLLOWING;
  leaderCommit = std::max(leaderCommit, commit);
  ledger.stand(core::Standing::FOLLOWING, leaderId, epoch);
  ledger.tell(core::Feedback::ESTABLISHED, leaderId, epoch);
  ledger.note("follower.established leader=" + std::to_string(leaderId) +
              " epoch=" + std::to_string(epoch));
}

void Learner::onPing(const core::Letter& letter) {
  auto& numbers = letter.numbers;
  leaderCommit = std::max(leaderCommit, numbers[2]);
  if (numbers[4] != progressSeen) {
    progressSeen = numbers[4];
    progressAt = ledger.now;
  }
  // Says only that this session still lives here, not what is on the disk.
  ledger.send(zab::letter(leaderId, link, PONG, {session, epoch, numbers[3]}));
}

void Learner::finish() {
  auto& settings = ledger.settings;
  if (stage == JOINING && ledger.now >= joinedAt + settings.discoveryTimeout) {
    fail("discovery_timeout");
  } else if (stage > JOINING && ledger.now >= heardAt + settings.leaderTimeout) {
    fail("silence");
  } else if (stage > JOINING && stage < FOLLOWING &&
             ledger.now >= progressAt + settings.syncTimeout) {
    fail("no_progress");
  }
  if (stage == IDLE) return;
  if (serving) {
    if (ledger.now >= serving->retryAt) serveSnapshot();
    if (serving->snapshot && ledger.now >= serving->busyAt &&
        ledger.now < serving->snapshotSince + settings.snapshotTimeout) {
      serving->busyAt = ledger.now + settings.heartbeat;
      claim(PULLED, {session, epoch});
    }
  }
  if (ackDue && MUTANT("zab.persist.ack")) {
    ledger.send(letter(leaderId, link, ACK, {session, epoch, ledger.last().index}));
  } else if (ackDue) {
    claim(ACK, {session, epoch, ledger.last().index});
  }
  if (ackDue && ledger.votes()) {
    auto own = letter(ledger.self(), 0, DURABLE, {session, epoch, ledger.last().index});
    if (MUTANT("zab.persist.durable")) ledger.send(std::move(own));
    else ledger.claim(std::move(own));
  }
  ackDue = false;
  if (stage == FOLLOWING && MUTANT("M6")) ledger.commit(ledger.last().index);
  // Decided is what a quorum's disks hold, whoever counts them: the leader's COMMIT would come later.
  auto decided = std::max(leaderCommit, std::min(held, durableTo));
  if (stage == FOLLOWING) ledger.commit(std::min(decided, ledger.last().index));
}

core::Nanos Learner::wakeAt() const {
  if (stage == IDLE) return core::NEVER;
  auto& settings = ledger.settings;
  if (stage == JOINING) return joinedAt + settings.discoveryTimeout;
  auto wake = heardAt + settings.leaderTimeout;
  if (stage < FOLLOWING) wake = std::min(wake, progressAt + settings.syncTimeout);
  if (serving) wake = std::min({wake, serving->retryAt, serving->busyAt});
  return wake;
}

}  // namespace polyquorum::zab
