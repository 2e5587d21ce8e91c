// SPDX-License-Identifier: Apache-2.0
// What voters tell each other in fast leader election: votes, their order, and notifications as
// letters. No state of an election lives here.
#pragma once
#include <cstdint>
#include <optional>
#include "sdk/core.h"

namespace polyquorum::fast_leader {

/// Numbered as in ZooKeeper's QuorumPeer.ServerState.
enum class State : std::uint8_t { LOOKING, FOLLOWING, LEADING, OBSERVING };

const char* nameOf(State state);

/// One opinion on who should lead. Source: ZooKeeper, Vote.
struct Vote {
  core::MemberId leader = 0;   ///< 0: none; the sender abstains
  std::uint64_t round = 0;     ///< the voter's logical clock when it voted
  core::Fence peerEpoch = 0;   ///< the leader's view fence; its own fence once it is established
  core::Position last;         ///< the leader's last entry when it stood
  bool operator==(const Vote&) const = default;
};

/// The order of candidates: view fence, then last entry, then id. Source: ZooKeeper,
/// FastLeaderElection.totalOrderPredicate; the position takes the place of the zxid.
bool better(const Vote& one, const Vote& other);

/// The same leadership, seen by servers that may have joined it in different rounds and with
/// different logs (ZOOKEEPER-1732, ZOOKEEPER-1805).
bool sameLeadership(const Vote& one, const Vote& other);

/// Source: ZooKeeper, FastLeaderElection.Notification. The sender is the letter's peer.
struct Notification {
  State state = State::LOOKING;
  Vote vote;
  core::MemberId heir = 0;     ///< LOOKING only: the sender led and wants this one to lead next
};

constexpr std::uint16_t NOTIFICATION = 1;   // the one kind of letter
constexpr std::uint64_t ROUND_MAX = std::uint64_t{1} << 62;   // beyond it a letter is broken

core::Letter write(const Notification& notification, core::MemberId to);

/// None if the letter is malformed or of an unknown kind or state; it must harm nobody
/// (ZOOKEEPER-3769).
std::optional<Notification> read(const core::Letter& letter);

}  // namespace polyquorum::fast_leader
