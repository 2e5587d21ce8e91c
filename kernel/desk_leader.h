// SPDX-License-Identifier: Apache-2.0
// The leader's side of the desk: proposes each session's next command and each one once at a time,
// keeps a bounded window in the log, answers read barriers, lets the sessions' clock and the reaper
// propose. Idle while this node does not lead. Knows no connection and no client.
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <deque>
#include <vector>
#include "kernel/body.h"
#include "kernel/desk.h"
#include "kernel/desk_alarm.h"
#include "kernel/session_clock.h"
#include "sdk/later.h"

namespace polyquorum::kernel {

/// Names of commands without a session: <self, life of the process, count>, unique in the cluster.
class Tickets {
public:
  Tickets(core::MemberId self, std::uint64_t incarnation)
      : prefix(static_cast<std::uint64_t>(self) << 56 | (incarnation & 0xffffff) << 32) {}
  std::uint64_t next() { return prefix | ++counted; }
  /// Made by this object.
  bool mine(std::uint64_t ticket) const { return ticket >> 32 == prefix >> 32; }

private:
  const std::uint64_t prefix;
  std::uint32_t counted = 0;
};

/// The tickets applied last, on every node: a command that is sent again to a new leader although
/// its entry was decided must not be proposed twice.
class AppliedTickets {
public:
  void add(std::uint64_t ticket);
  bool has(std::uint64_t ticket) const { return known.count(ticket) != 0; }

private:
  static constexpr std::size_t KEPT = 1 << 16;
  boost::unordered_flat_set<std::uint64_t> known;
  std::vector<std::uint64_t> ring;
  std::size_t oldest = 0;
};

class DeskLeader {
public:
  /// A barrier that a home waits for may be answered.
  using Readable = kj::Function<void(core::MemberId home, std::uint64_t barrier, core::Index)>;

  DeskLeader(const DeskSettings& settings, DeskHost& host, sdk::Environment& environment,
             kj::TaskSet::ErrorHandler& failures, Tickets& tickets, Readable readable);
  KJ_DISALLOW_COPY(DeskLeader);

  /// This node leads now. Nothing is proposed before through is applied.
  void begin(core::Index through);
  /// It does no longer. Everything waiting is dropped: the homes send it again.
  void end();
  bool leading() const { return leads; }

  /// A command of another member's desk; anything else is dropped. home: that member.
  void take(BodyRef body, core::MemberId home);
  /// The same, not opened again.
  void take(BodyRef body, const CommandId& id, core::MemberId home);
  void read(core::MemberId home, std::uint64_t barrier);
  /// False if its end is on its way: that sign came too late.
  bool touch(std::uint64_t session, std::uint64_t incarnation, kj::TimePoint heard);

  /// Also while not leading.
  void applied(core::Index index, kj::Maybe<polyquorum::Body::Reader> body,
               const state::Applied& applied);
  void settle();
  void refused(core::Token token, core::Refused::Why why);
  void readable(core::Token token, core::Index index);
  void stateReplaced();

private:
  struct Command {
    BodyRef body;
    std::uint64_t session, incarnation, sequence;
    core::MemberId home;
    core::Token token;  ///< of its last proposal; 0: none yet
  };
  struct Flying {
    Command command;
    bool gone = false;  ///< refused, or applied
  };
  struct Turn {  ///< of one session
    std::uint64_t incarnation, next;
  };
  struct Reading {
    core::MemberId home;
    std::uint64_t barrier;
  };

  enum class Verdict { PROPOSE, DROP, LATER };
  Verdict judge(const Command& command);
  void admit(Command command);
  void admitEarly();
  /// The sender has applied the attach, this node has not yet: a follower may find an entry decided
  /// before its leader does.
  bool ahead(std::uint64_t incarnation) { return incarnation > host.state().index(); }
  Turn* turnOf(std::uint64_t session, std::uint64_t incarnation);
  void pump();
  void propose(Command command);
  void land(const polyquorum::Body::Reader& body, const state::Applied& applied);
  bool stillNext(const Command& command) const;
  void askGathered();
  void proposeOwn(kj::Function<void(polyquorum::Operation::Builder)> fill);
  void armClock();
  void ringClock();
  void ringReaper();

  const DeskSettings& settings;
  DeskHost& host;
  kj::Timer& timer;
  sdk::Environment& environment;
  Tickets& tickets;
  Readable tellReadable;

  bool leads = false, opened = false, refusing = false;
  core::Index through = 0;
  core::Token lastProposal = 0, lastRead = 0;

  std::vector<Command> early;       ///< came before they could be judged
  std::deque<Command> queue;        ///< judged, waiting for the window
  std::vector<Command> again;       ///< refused; go first, in the order of their tokens
  std::deque<Flying> flying;        ///< proposed, tokens without a gap
  std::size_t flyingCount = 0, flyingBytes = 0;
  boost::unordered_flat_map<std::uint64_t, Turn> turns;
  boost::unordered_flat_set<std::uint64_t> ticketsHere;  ///< in queue, again or flying
  AppliedTickets ticketsApplied;

  std::vector<Reading> gathered;
  boost::unordered_flat_map<core::Token, std::vector<Reading>> reads;

  SessionClock clock;
  Alarm clockAlarm, reapAlarm, retryAlarm;
  sdk::Later asking;
};

}  // namespace polyquorum::kernel
