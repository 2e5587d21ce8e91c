// SPDX-License-Identifier: Apache-2.0
// Order of votes and the letters that carry them; see vote.h.
#include "plugins/election/fast_leader/vote.h"
#include <limits>
#include <tuple>
#include "sdk/mutant.h"

namespace polyquorum::fast_leader {
namespace {

enum Place : std::size_t { STATE, ROUND, LEADER, PEER_EPOCH, STAMP, INDEX, HEIR, COUNT };

bool isMember(std::uint64_t number) {
  return number <= std::numeric_limits<core::MemberId>::max();
}

/// Each state says something else of the leader: a leader names itself, a follower another.
bool isConsistent(const Notification& said, core::MemberId sender) {
  auto leader = said.vote.leader;
  switch (said.state) {
    case State::LOOKING: return true;
    case State::FOLLOWING: return leader != 0 && leader != sender && said.heir == 0;
    case State::LEADING: return leader == sender && said.heir == 0;
    case State::OBSERVING: return said.heir == 0;
  }
  return false;
}

}  // namespace

const char* nameOf(State state) {
  switch (state) {
    case State::LOOKING: return "looking";
    case State::FOLLOWING: return "following";
    case State::LEADING: return "leading";
    case State::OBSERVING: return "observing";
  }
  return "unknown";
}

bool better(const Vote& one, const Vote& other) {
  auto left = std::tie(one.peerEpoch, one.last, one.leader);
  auto right = std::tie(other.peerEpoch, other.last, other.leader);
  if (MUTANT("fle.vote.epoch")) return std::tie(one.last, one.leader) > std::tie(other.last, other.leader);
  return MUTANT("fle.vote.equal") ? left >= right : left > right;
}

bool sameLeadership(const Vote& one, const Vote& other) {
  bool same = one.peerEpoch == other.peerEpoch || MUTANT("fle.epoch.leadership");
  return one.leader == other.leader && same;
}

core::Letter write(const Notification& said, core::MemberId to) {
  core::Letter letter;
  letter.peer = to;
  letter.kind = NOTIFICATION;
  letter.numbers = {static_cast<std::uint64_t>(said.state), said.vote.round, said.vote.leader,
                    said.vote.peerEpoch, said.vote.last.stamp, said.vote.last.index, said.heir};
  return letter;
}

std::optional<Notification> read(const core::Letter& letter) {
  auto& numbers = letter.numbers;
  if (letter.kind != NOTIFICATION || numbers.size() != COUNT || !letter.entries.empty()) return {};
  if (numbers[STATE] > static_cast<std::uint64_t>(State::OBSERVING)) return {};
  if (numbers[ROUND] == 0 || numbers[ROUND] > ROUND_MAX) return {};
  if (!isMember(numbers[LEADER]) || !isMember(numbers[HEIR])) return {};
  Notification said{static_cast<State>(numbers[STATE]),
                    {static_cast<core::MemberId>(numbers[LEADER]), numbers[ROUND],
                     numbers[PEER_EPOCH], {numbers[STAMP], numbers[INDEX]}},
                    static_cast<core::MemberId>(numbers[HEIR])};
  if (!isConsistent(said, letter.peer)) return {};
  return said;
}

}  // namespace polyquorum::fast_leader
