// SPDX-License-Identifier: Apache-2.0
// Fast leader election as a pure core: ZooKeeper's FastLeaderElection over the events of
// sdk/core.h. Nothing durable, no clock, no wire format (vote.h has the letters).
#pragma once
#include <optional>
#include <string>
#include <vector>
#include "plugins/election/fast_leader/vote.h"
#include "sdk/core.h"

namespace polyquorum::fast_leader {

/// How long to wait, all in nanoseconds.
struct Timing {
  core::Nanos finalizeWait = 200'000'000;      ///< for better votes once a quorum agrees
  core::Nanos notificationMin = 200'000'000;   ///< until an unanswered vote is told again; doubles
  core::Nanos notificationMax = 60'000'000'000;
};

/// One life of one segment. Every election is a numbered round (ZooKeeper's logical clock): each
/// voter votes, repeats the best vote it hears, and nominates whom a quorum agrees on. A server
/// that comes late joins the leader that a quorum and the leader itself name. Outcomes are told
/// only as nominations; what becomes of them comes back as feedback.
class FastLeader final : public core::ElectionCore {
public:
  explicit FastLeader(Timing timing) : timing(timing) {}

  /// Throws std::logic_error if the first event is not `opened` or a later one is.
  core::ElectionEffects step(core::Nanos now, std::span<const core::ElectionEvent> events) override;

private:
  /// Another member, and what it said. Sorted by id, so every pass over them is deterministic.
  struct Peer {
    core::MemberId id = 0;
    bool voter = false;
    core::Link link = 0;                     // 0: down
    std::optional<Notification> inRound;     // its vote in this round (ZooKeeper's recvset)
    std::optional<Notification> outside;     // the leader it has (outofelection)
    bool abstains = false;                   // said that it does not vote
    bool asked = false;                      // looks for a leader; to be told when there is one
    bool tell = false;                       // gets a notification at the end of this step
    void forget();
  };

  const Timing timing;
  core::MemberId self = 0;
  bool voter = false;
  std::size_t voterCount = 0;
  std::vector<Peer> peers;
  core::Evidence evidence;

  State state = State::LOOKING;
  std::uint64_t round = 0;
  Vote vote;                                 // LOOKING: what we propose; else the leader we have
  bool established = false;
  unsigned failures = 0;                     // nominations in a row that came to nothing

  core::Nanos now = 0;
  core::Nanos interval = 0;
  core::Nanos repeatAt = core::NEVER;
  core::Nanos finalizeAt = core::NEVER;      // NEVER: no quorum agrees with us
  core::Nanos standBackUntil = 0;            // until then we do not stand
  core::MemberId heir = 0;                   // while standing back: whom we wait for
  core::MemberId lostLeader = 0;             // LOOKING: whom we had, and whose last will counts
  bool gaveUp = false;                       // we stand back because we led
  core::ElectionEffects effects;

  // Events.
  void on(const core::ElectionOpened& opened);
  void on(const core::PeerUp& up);
  void on(const core::PeerDown& down);
  void on(const core::Received& received);
  void on(const core::Evidence& changed);
  void on(const core::Feedback& feedback);

  // What a peer said.
  void hearLooking(Peer& peer, const Notification& said);
  void hearVote(Peer& peer, const Notification& said);
  void hearAbstention(Peer& peer, const Notification& said);
  void hearSettled(Peer& peer, const Notification& said);
  void answer(Peer& peer, const Notification& said);
  void consider(const Peer& peer);

  // Rounds.
  void look(const char* reason);
  bool declines(const Peer& nominee, const Notification& said) const;
  void lookOn();
  void beginRound(std::uint64_t number);
  void propose(const Vote& proposal);
  void standBack(core::MemberId successor, bool led);
  void stopStandingBack();

  // Endings.
  void conclude();
  bool joinRunningLeader();
  std::size_t supportOutside(const Vote& running) const;
  std::size_t supportInRound(const Notification& running) const;
  bool leads(core::MemberId leader, const Vote& running, bool within) const;
  std::size_t agreeing() const;
  bool everyoneAgrees() const;
  void settle(const Vote& outcome, std::size_t votes);

  bool votes() const { return voter && evidence.eligible; }
  bool hasOpinion() const;
  bool standsBack() const { return now < standBackUntil; }
  std::size_t quorum() const { return voterCount / 2 + 1; }
  State stateUnder(core::MemberId leader) const;
  bool reaches(core::MemberId leader) const;
  Vote initialVote() const;
  Peer* find(core::MemberId id);
  const Peer* find(core::MemberId id) const;
  void tellVoters();
  void sendLetters();
  void note(std::string line) { effects.notes.push_back(std::move(line)); }
};

}  // namespace polyquorum::fast_leader
