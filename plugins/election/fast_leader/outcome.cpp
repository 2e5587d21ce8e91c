// SPDX-License-Identifier: Apache-2.0
// How a round of fast leader election ends: a quorum agrees, or a running leader is found.
#include <algorithm>
#include "plugins/election/fast_leader/core.h"
#include "sdk/mutant.h"

namespace polyquorum::fast_leader {
namespace {

/// Source: ZooKeeper, Vote.equals: of servers that have a leader only the leadership is compared.
bool agree(const Notification& one, const Notification& other) {
  bool open = one.state == State::LOOKING || other.state == State::LOOKING;
  return open ? one.vote == other.vote : sameLeadership(one.vote, other.vote);
}

}  // namespace

/// Ends the round if it can be ended now; else says when to look again.
void FastLeader::conclude() {
  if (joinRunningLeader()) return;
  auto support = agreeing();
  if (vote.leader == 0 || support < quorum() - MUTANT("fle.quorum.votes")) {
    finalizeAt = core::NEVER;
    return;
  }
  if (finalizeAt == core::NEVER) finalizeAt = now + timing.finalizeWait;
  // Ends early if nobody is left who could have a better vote, unless the last nominations came to
  // nothing: then the full wait keeps two stubborn candidates from spinning.
  bool early = failures < 2 && everyoneAgrees();
  if (early || now >= finalizeAt) settle(vote, support);
}

/// A server that comes late, or left by mistake, takes the leader that a quorum has. The leader
/// must say so itself: its followers may not have noticed yet that it is gone.
/// Source: ZooKeeper, FastLeaderElection.receivedFollowingNotification and checkLeader.
bool FastLeader::joinRunningLeader() {
  auto needed = quorum() - MUTANT("fle.quorum.running");
  for (auto& peer : peers) {
    if (peer.inRound && peer.inRound->state != State::LOOKING) {
      auto running = peer.inRound->vote;
      auto support = supportInRound(*peer.inRound);
      if (support >= needed && leads(running.leader, running, true)) {
        settle(running, support);
        return true;
      }
    }
    if (peer.outside) {
      auto running = peer.outside->vote;
      auto support = supportOutside(running);
      if (support >= needed && leads(running.leader, running, false)) {
        round = running.round;
        settle(running, support);
        return true;
      }
    }
  }
  return false;
}

std::size_t FastLeader::supportOutside(const Vote& running) const {
  return std::count_if(peers.begin(), peers.end(), [&](const Peer& peer) {
    return peer.outside && sameLeadership(peer.outside->vote, running);
  });
}

std::size_t FastLeader::supportInRound(const Notification& running) const {
  Notification ours{State::LOOKING, vote, 0};
  std::size_t own = votes() && agree(ours, running);
  return own + std::count_if(peers.begin(), peers.end(), [&](const Peer& peer) {
    return peer.inRound && agree(*peer.inRound, running);
  });
}

bool FastLeader::leads(core::MemberId leader, const Vote& running, bool within) const {
  bool ofThisRound = running.round == round || MUTANT("fle.round.self");
  if (leader == self) return votes() && !standsBack() && ofThisRound;
  auto* peer = find(leader);
  if (peer == nullptr || peer->link == 0) return false;
  auto& said = within ? peer->inRound : peer->outside;
  return said && said->state == State::LEADING;
}

std::size_t FastLeader::agreeing() const {
  return votes() + std::count_if(peers.begin(), peers.end(), [&](const Peer& peer) {
    return peer.inRound && peer.inRound->vote == vote;
  });
}

/// Every voter whose connection is up has sent our vote in this round, or said that it has none.
bool FastLeader::everyoneAgrees() const {
  return std::all_of(peers.begin(), peers.end(), [&](const Peer& peer) {
    if (!peer.voter || peer.link == 0 || peer.abstains) return true;
    return peer.inRound && peer.inRound->vote == vote;
  });
}

void FastLeader::settle(const Vote& outcome, std::size_t votes) {
  vote = outcome;
  state = stateUnder(vote.leader);
  established = false;
  standBackUntil = 0;
  heir = 0;
  finalizeAt = repeatAt = core::NEVER;
  for (auto& peer : peers) {
    peer.inRound.reset();
    peer.outside.reset();
    peer.tell |= peer.asked;  // asked stays: told again when the leader is established
  }
  effects.nominate = core::Nomination{vote.leader, round};
  note("leader.elected leader=" + std::to_string(vote.leader) + " round=" + std::to_string(round) +
       " votes=" + std::to_string(votes) + "/" + std::to_string(voterCount) +
       " state=" + nameOf(state));
}

}  // namespace polyquorum::fast_leader
