// SPDX-License-Identifier: Apache-2.0
// Events, notifications and rounds of fast leader election. How a round ends is in outcome.cpp.
#include "plugins/election/fast_leader/core.h"
#include <algorithm>
#include <stdexcept>
#include <tuple>
#include "sdk/mutant.h"

namespace polyquorum::fast_leader {

void FastLeader::Peer::forget() {
  inRound.reset();
  outside.reset();
  abstains = asked = false;
}

core::ElectionEffects FastLeader::step(core::Nanos time,
                                       std::span<const core::ElectionEvent> events) {
  now = time;
  effects = {};
  for (auto& event : events) {
    std::visit([this](auto& what) { on(what); }, event);
  }
  if (self == 0) throw std::logic_error("an election is stepped before it is opened");
  if (state == State::LOOKING) {
    if (standBackUntil != 0 && !standsBack()) stopStandingBack();
    conclude();
  }
  if (state == State::LOOKING && now >= repeatAt) {
    tellVoters();
    interval = std::min(2 * interval, timing.notificationMax);
    repeatAt = now + interval;
  }
  sendLetters();
  if (state == State::LOOKING) {
    effects.wakeAt = std::min(repeatAt, finalizeAt);
    if (standsBack()) effects.wakeAt = std::min(effects.wakeAt, standBackUntil);
  }
  return std::move(effects);
}

// ------------------------------------------------------------------------------------------------
// Events.

void FastLeader::on(const core::ElectionOpened& opened) {
  if (self != 0) throw std::logic_error("an election is opened twice");
  if (opened.self == 0) throw std::logic_error("an election is opened without an own id");
  self = opened.self;
  evidence = opened.evidence;
  for (auto& member : opened.members) {
    bool isVoter = member.role == core::Role::VOTER;
    voterCount += isVoter;
    if (member.id == self) {
      voter = isVoter;
    } else {
      Peer peer;
      peer.id = member.id;
      peer.voter = isVoter;
      peers.push_back(std::move(peer));
    }
  }
  std::sort(peers.begin(), peers.end(), [](auto& a, auto& b) { return a.id < b.id; });
  look("opened");
}

void FastLeader::on(const core::PeerUp& up) {
  auto* peer = find(up.peer);
  if (peer == nullptr) return;
  peer->forget();
  peer->link = up.link;
  if (state != State::LOOKING || !peer->voter) return;
  // Differs from ZooKeeper, which waits for its next turn: both ends speak as soon as they can.
  peer->tell = true;
  interval = timing.notificationMin;
  repeatAt = std::min(repeatAt, now + interval);
  for (auto& other : peers) consider(other);
}

void FastLeader::on(const core::PeerDown& down) {
  auto* peer = find(down.peer);
  if (peer == nullptr || peer->link != down.link) return;
  peer->forget();
  peer->link = 0;
  // Differs from ZooKeeper: nobody can follow a leader that is gone, so its round is void. Without
  // this, survivors elect the dead one first and find out by the leader timeout.
  if (state == State::LOOKING && vote.leader == down.peer) look("candidate.gone");
}

void FastLeader::on(const core::Evidence& changed) {
  bool stood = vote.leader == self;
  bool same = std::tie(changed.viewFence, changed.last, changed.eligible) ==
              std::tie(evidence.viewFence, evidence.last, evidence.eligible);
  bool ceased = evidence.eligible && !changed.eligible;
  evidence = changed;
  if (same) return;
  if (state != State::LOOKING) {
    state = stateUnder(vote.leader);
  } else if (stood || ceased) {
    look("evidence.changed");  // a vote that was told cannot be taken back inside its round
  } else if (auto own = initialVote(); own.leader != 0 && better(own, vote)) {
    propose(own);
  }
}

void FastLeader::on(const core::Feedback& feedback) {
  using F = core::Feedback;
  bool leading = state == State::LEADING;
  bool following = state == State::FOLLOWING || state == State::OBSERVING;
  switch (feedback.what) {
    case F::LEADER_ALIVE:
      return;  // no timer of ours runs while a leader lives
    case F::ESTABLISHED: {
      auto* peer = find(feedback.peer);
      if (feedback.peer != self && (peer == nullptr || !peer->voter)) return;
      // ZOOKEEPER-1732: from now on the vote names the epoch that the leader has, so that those who
      // come later see the same vote everywhere.
      vote = {feedback.peer, round, feedback.fence, vote.last};
      state = stateUnder(feedback.peer);
      established = true;
      failures = 0;
      standBackUntil = 0;
      finalizeAt = core::NEVER;
      for (auto& other : peers) {
        if (std::exchange(other.asked, false)) other.tell = true;
      }
      return;
    }
    case F::LOST:
      if (following || (leading && feedback.peer == self)) look("leader.lost");
      return;
    case F::QUORUM_LOST:
      if (leading) look("quorum.lost");
      return;
    case F::FENCED:
      if (leading) look("leader.fenced");
      return;
    case F::BEHIND:
    case F::RESIGNED:
      if (!leading) return;
      standBack(feedback.peer, true);
      look(feedback.what == F::BEHIND ? "leader.behind" : "leader.resigned");
      return;
  }
}

void FastLeader::on(const core::Received& received) {
  auto& letter = received.letter;
  auto* peer = find(letter.peer);
  auto said = read(letter);
  auto names = [&](core::MemberId id) {
    auto* other = find(id);
    return id == 0 || (id == self && voter) || (other != nullptr && other->voter);
  };
  if (peer == nullptr || !said || !names(said->vote.leader) || !names(said->heir)) {
    note("letter.ignored peer=" + std::to_string(letter.peer) +
         " kind=" + std::to_string(letter.kind));
    return;
  }
  switch (said->state) {
    case State::LOOKING: return hearLooking(*peer, *said);
    case State::OBSERVING: peer->abstains = true; return;
    case State::FOLLOWING:
    case State::LEADING: return hearSettled(*peer, *said);
  }
}

// ------------------------------------------------------------------------------------------------
// What a peer said.

void FastLeader::hearLooking(Peer& peer, const Notification& said) {
  peer.outside.reset();
  bool settled = state != State::LOOKING;
  // Differs from ZooKeeper, which waits for the connection to break: a leader that looks for
  // another one in a newer round has given up.
  bool newer = said.vote.round + MUTANT("fle.round.left") > round;
  bool leaderLeft = settled && peer.id == vote.leader && newer;
  if (settled && declines(peer, said)) {
    lookOn();
    settled = false;
  }
  if (settled && !leaderLeft) return answer(peer, said);
  bool willed = said.heir != 0 && peer.id == (settled ? vote.leader : lostLeader);
  bool standsBackFor = willed && said.heir != self && votes() && reaches(said.heir);
  if (standsBackFor) standBack(said.heir, false);
  if (leaderLeft || standsBackFor) look("leader.left");
  if (willed) lostLeader = 0;  // once
  if (!peer.voter || said.vote.leader == 0) return hearAbstention(peer, said);
  hearVote(peer, said);
}

/// Source: ZooKeeper, FastLeaderElection.lookForLeader, case LOOKING.
void FastLeader::hearVote(Peer& peer, const Notification& said) {
  peer.abstains = false;
  if (said.vote.round + MUTANT("fle.round.older") < round + MUTANT("fle.round.same")) {
    peer.tell = true;
    return;
  }
  if (said.vote.round + MUTANT("fle.round.newer") > round) beginRound(said.vote.round);
  peer.inRound = said;
  consider(peer);
  // Differs from ZooKeeper, where it waits for our next repetition: who has a worse vote than ours
  // has missed ours.
  if (hasOpinion() && better(vote, said.vote)) peer.tell = true;
}

/// Learners, and voters that must not vote or stand back: answered, counted nowhere.
void FastLeader::hearAbstention(Peer& peer, const Notification& said) {
  peer.abstains = true;
  peer.inRound.reset();
  bool newer = said.vote.round + MUTANT("fle.round.abstains") > round;
  if (peer.voter && newer) beginRound(said.vote.round);
  answer(peer, said);
}

/// Source: ZooKeeper, FastLeaderElection.receivedFollowingNotification.
void FastLeader::hearSettled(Peer& peer, const Notification& said) {
  peer.abstains = !peer.voter;
  if (state != State::LOOKING || !peer.voter) return;
  peer.outside = said;
  if (said.vote.round == round + MUTANT("fle.round.settled")) peer.inRound = said;
  else peer.inRound.reset();
}

void FastLeader::answer(Peer& peer, const Notification& said) {
  // An abstention is never answered by one: two of them would never stop.
  if (!established) peer.asked = true;
  if (hasOpinion() || (said.vote.leader != 0 && peer.voter)) peer.tell = true;
}

/// Takes a peer's vote over if it is better than ours and its leader can be reached from here.
void FastLeader::consider(const Peer& peer) {
  if (state != State::LOOKING || !peer.inRound || peer.inRound->state != State::LOOKING) return;
  auto& theirs = peer.inRound->vote;
  // Differs from ZooKeeper: a vote for somebody this server has no link to is counted, not
  // repeated; it could not follow.
  if (theirs.leader == self || !reaches(theirs.leader)) return;
  if (vote.leader != 0 && !better(theirs, vote)) return;
  if (standsBack() && !gaveUp) {
    auto log = std::tie(theirs.peerEpoch, theirs.last);
    auto ours = std::tie(evidence.viewFence, evidence.last);
    bool worse = MUTANT("fle.vote.heir") ? log <= ours : log < ours;
    if (worse) {
      if (theirs.leader == heir) stopStandingBack();
      return;
    }
  }
  propose(theirs);
}

// ------------------------------------------------------------------------------------------------
// Rounds.

/// Source: ZooKeeper, FastLeaderElection.lookForLeader, its beginning.
void FastLeader::look(const char* reason) {
  if (state != State::LOOKING) {
    failures++;
    lostLeader = vote.leader;
  }
  state = State::LOOKING;
  established = false;
  for (auto& peer : peers) peer.outside.reset();
  beginRound(round + 1);
  tellVoters();  // also if we do not vote: to be told
  note("round.begun round=" + std::to_string(round) + " reason=" + reason +
       " vote=" + std::to_string(vote.leader));
}

/// Differs from ZooKeeper, which waits until nobody leads: who is linked to one other only agrees
/// with it at once, and learns a moment later that it has voted for a third.
bool FastLeader::declines(const Peer& nominee, const Notification& said) const {
  return !established && nominee.id == vote.leader && said.vote.round == round &&
         said.vote.leader != nominee.id && said.vote.leader != 0 && !MUTANT("fle.vote.declined");
}

/// The round was ended too early. It goes on as it was: a new one would disturb those who agree.
void FastLeader::lookOn() {
  state = State::LOOKING;
  interval = timing.notificationMin;
  repeatAt = now + interval;
  tellVoters();
  note("round.reopened round=" + std::to_string(round) + " vote=" + std::to_string(vote.leader));
}

void FastLeader::beginRound(std::uint64_t number) {
  round = number;
  for (auto& peer : peers) peer.inRound.reset();
  propose(initialVote());
}

void FastLeader::propose(const Vote& proposal) {
  vote = proposal;
  vote.round = round;
  finalizeAt = core::NEVER;
  interval = timing.notificationMin;
  repeatAt = now + interval;
  if (votes()) tellVoters();
}

/// For a while somebody else is to win: after `behind` and `resigned`, here and at those who hear
/// of it. Ended by a nomination, or by time if nobody stands.
void FastLeader::standBack(core::MemberId successor, bool led) {
  standBackUntil = now + 5 * timing.notificationMin;
  heir = successor == self ? 0 : successor;
  gaveUp = led;
}

void FastLeader::stopStandingBack() {
  standBackUntil = 0;
  heir = 0;
  auto own = initialVote();
  if (own.leader != 0 && better(own, vote)) propose(own);
}

Vote FastLeader::initialVote() const {
  if (!votes() || standsBack()) return {0, round, 0, {}};
  return {self, round, evidence.viewFence, evidence.last};
}

// ------------------------------------------------------------------------------------------------

/// Whether a notification of ours would carry a vote. Who may not vote does not repeat others'
/// votes either (contract, hole 17).
bool FastLeader::hasOpinion() const {
  return vote.leader != 0 && (state == State::LOOKING ? votes() : state != State::OBSERVING);
}

State FastLeader::stateUnder(core::MemberId leader) const {
  if (leader == self) return State::LEADING;
  return votes() ? State::FOLLOWING : State::OBSERVING;
}

bool FastLeader::reaches(core::MemberId leader) const {
  auto* peer = find(leader);
  return peer != nullptr && peer->link != 0;
}

const FastLeader::Peer* FastLeader::find(core::MemberId id) const {
  auto place = std::lower_bound(peers.begin(), peers.end(), id,
                                [](const Peer& peer, core::MemberId id) { return peer.id < id; });
  return place == peers.end() || place->id != id ? nullptr : &*place;
}

FastLeader::Peer* FastLeader::find(core::MemberId id) {
  return const_cast<Peer*>(std::as_const(*this).find(id));
}

void FastLeader::tellVoters() {
  for (auto& peer : peers) peer.tell |= peer.voter;
}

/// One notification for each peer that is due one, with the state at the end of the step.
void FastLeader::sendLetters() {
  Notification ours{state, vote, 0};
  ours.vote.round = round;
  if (state == State::LOOKING && standsBack() && gaveUp) ours.heir = heir;
  if (!hasOpinion()) ours.vote = {0, round, 0, {}};
  for (auto& peer : peers) {
    if (std::exchange(peer.tell, false) && peer.link != 0) {
      effects.now.push_back(write(ours, peer.id));
    }
  }
}

}  // namespace polyquorum::fast_leader
