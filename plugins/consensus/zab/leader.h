// SPDX-License-Identifier: Apache-2.0
// The side of the sessions that leads, or tries to. Following is in learner.h.
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <vector>
#include "plugins/consensus/zab/ledger.h"
#include "plugins/consensus/zab/letters.h"

namespace polyquorum::zab {

/// A FOLLOWER_INFO that waits for a leader, or begins a session.
struct Caller {
  core::MemberId peer = 0;
  core::Link link = 0;
  std::uint64_t session = 0;
  core::Fence accepted = 0;
  bool votes = false;
};

/// Discovery in discovery.cpp, synchronisation and the rest of the phases in leader.cpp, the
/// established leader's work in broadcast.cpp. The leader has a session with itself: its own
/// promise and acknowledgements come back as letters when they are durable. Source: ZooKeeper's
/// Leader and LearnerHandler; DSN'11 paper, algorithms 1 to 3.
class Leader {
public:
  explicit Leader(Ledger& ledger) : ledger(ledger) {}

  bool active() const { return phase != IDLE; }
  bool leading() const { return phase == LEADING; }

  /// Try to lead, with those who called already.
  void start(const std::map<core::MemberId, Caller>& callers);
  /// Give up or step down: everybody is told, waiting reads are refused; no feedback.
  void leave();
  /// Nominated once more: answered again if there is an answer already.
  void renominated();

  void called(const Caller& caller);
  void peerDown(core::MemberId peer, core::Link link);
  /// A well-formed letter of a learner, maybe of this node itself.
  void hear(const core::Letter& letter);
  void propose(const core::Proposal& proposal);
  void read(core::Token token);
  void fetched(const core::Fetched& fetched);
  void arrived(const core::SnapshotArrived& snapshot);
  void sent(const core::SnapshotSent& snapshot);
  void handOver(core::MemberId to);

  /// End of a step: letters of this step, clocks.
  void finish();
  core::Nanos wakeAt() const;

private:
  enum Phase { IDLE, GATHERING, PROMISING, ADOPTING, SYNCING, LEADING };
  enum Stage {
    CALLED,     // FOLLOWER_INFO came
    INFORMED,   // LEADER_INFO went
    PROMISED,   // ACK_EPOCH came
    SNAPSHOT,   // must adopt a snapshot first
    SYNCED,     // gets entries
    OFFERED,    // NEW_LEADER went
    FOLLOWS,    // ACK_LEADER came
  };

  /// One learner's session. Keyed by peer, but bound to (link, number): what comes from an earlier
  /// one is not heard.
  struct Session {
    Caller caller;
    Stage stage = CALLED;
    bool counts = false;               // its promise counts
    Report report;
    core::Index next = 0;              // to be sent next
    core::Index acked = 0;             // durable there
    core::Index commitTold = 0;        // it knows, or will when its disk is done
    core::Index heldTold = 0;
    core::Index released = 0;          // without a vote: may be sent so far
    core::Index wanted = 0;            // somebody there waits for it
    core::Nanos releaseAt = 0;         // when more may be sent anyway
    std::uint64_t withheld = 0;        // bytes decided since
    std::deque<std::pair<core::Index, std::uint64_t>> inFlight;   // last index, bytes
    std::uint64_t inFlightBytes = 0;
    core::Token fetch = 0;             // 0: none outstanding
    core::Index fetchLast = 0;
    bool streaming = false;            // a snapshot is on its way
    core::Nanos streamSince = 0, retryAt = core::NEVER;
    core::Nanos heardAt = 0, progressAt = 0;
    std::uint64_t progress = 0;
    std::uint64_t round = 0;           // last round of reads it confirmed
    bool voter() const { return caller.votes; }
  };

  struct WaitingRead {
    core::Token token;
    core::Index index;
    std::uint64_t round;
  };

  Ledger& ledger;
  Phase phase = IDLE;
  core::Fence epoch = 0;
  bool selfCalled = false;             // its own FOLLOWER_INFO came back
  std::map<core::MemberId, Session> sessions;
  core::Nanos deadline = 0;            // of GATHERING and PROMISING
  core::Nanos progressAt = 0;          // of ADOPTING and SYNCING
  std::uint64_t progress = 0;
  core::Nanos quorumAt = 0;            // a quorum was heard from
  core::Nanos pingAt = core::NEVER;
  core::Index historyEnd = 0;

  // Adopting.
  core::MemberId best = 0;

  // Broadcast.
  std::deque<core::Entry> tail;        // undecided entries, and what a fetch will not bring
  std::uint64_t undecidedBytes = 0;
  core::Index heldTold = 0;            // the most that anyone was told: it may be decided there
  bool appended = false, acksChanged = false, pingNow = false;
  std::vector<core::Token> newReads;
  std::deque<WaitingRead> reads;
  std::uint64_t roundLast = 0, roundConfirmed = 0;
  std::optional<core::MemberId> heir;  // 0: anyone
  core::Nanos heirUntil = core::NEVER;

  // Phases.
  void stop(core::Feedback::What what, core::MemberId peer, core::Fence fence, const char* why);
  bool drop(core::MemberId peer, const char* why);
  Session* find(const core::Letter& letter);
  void heard(Session& session);
  bool selfIn(Stage stage) const;
  std::size_t votersIn(Stage stage) const;
  void advanced(Session& session);

  // Discovery.
  void tryEpoch();
  void inform(Session& session);
  void onAckEpoch(Session& session, const core::Letter& letter);
  void tryHistory();
  void beginAdopting(Session& owner);
  void pull();
  void onPulled(Session& session, const core::Letter& letter);
  void finishAdopting();

  // Synchronisation.
  void beginSync();
  void sync(Session& session);
  void sendSnapshot(Session& session);
  void onPosition(Session& session, const core::Letter& letter);
  void onAckLeader(Session& session, core::Index index);
  void establish();
  void upToDate(Session& session);

  // Broadcast.
  void acknowledge(Session& session, core::Index index);
  void countAcks();
  core::Index heldBeside(const Session& session) const;
  void pump(Session& session);
  void tell(Session& session);
  void sendEntries(Session& session, std::vector<core::Entry>&& entries);
  core::Index limit(Session& session);
  bool withholds(const Session& session) const;
  void shortenTail();
  void startRound();
  void confirmReads();
  void ping(Session& session);
  void tryHandOver();
  void checkClocks();
  core::Nanos quorumHeardAt() const;
};

}  // namespace polyquorum::zab
