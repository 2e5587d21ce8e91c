// SPDX-License-Identifier: Apache-2.0
// The home side of the desk: sessions whose connections are here, what they wait for, their
// watches. Numbers their commands, sends them to the leader's desk, answers from what is applied
// here. Proposes nothing.
#pragma once
#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <queue>
#include <vector>
#include "kernel/desk.h"
#include "kernel/desk_alarm.h"
#include "kernel/desk_leader.h"
#include "kernel/desk_outbox.h"
#include "kernel/desk_pending.h"
#include "kernel/desk_post.h"
#include "kernel/watches.h"

namespace polyquorum::kernel {

class DeskHome {
public:
  using Request = coordination::Request::Reader;
  using Error = polyquorum::Error;

  DeskHome(const DeskSettings& settings, DeskHost& host, sdk::Environment& environment,
           kj::TaskSet::ErrorHandler& failures, Tickets& tickets, DeskLeader& leader,
           DeskPost& post);
  KJ_DISALLOW_COPY(DeskHome);

  /// Of one API plugin; made on demand.
  DeskOutbox& outbox(unsigned door);
  void submit(unsigned door, capnp::List<coordination::Request>::Reader requests);

  void standing(const core::Standing& standing);
  void linkUp(core::MemberId peer);
  /// peer leads now, and may have dropped what it got before.
  void ready(core::MemberId peer);
  void contact();
  void entered(const state::Applied& applied) { tell(applied.changes); }
  void applied(core::Index index, kj::Maybe<polyquorum::Body::Reader> body,
               const state::Applied& applied);
  void settle();
  void readable(std::uint64_t barrier, core::Index index);
  /// The leader has the touches that were gathered until then.
  void heard(core::Nanos told);
  /// It proposed this session's end: nothing is answered before that took place, or another leads.
  void ending(std::uint64_t id, std::uint64_t incarnation);
  void stateReplaced();
  /// Takes nothing more.
  void close() { closed = true; }
  kj::Promise<void> drained();

  const Watches& watched() const { return watches; }
  std::uint64_t pending() const { return pendingCount; }

private:
  struct Place {  ///< of a pending request; session 0: among the loose ones
    std::uint64_t session, number;
  };
  struct Due {
    std::uint64_t when;  ///< an index, or nanoseconds
    Place place;
    bool operator>(const Due& other) const {
      return when != other.when ? when > other.when : place.number > other.place.number;
    }
  };
  struct Dues : std::priority_queue<Due, std::vector<Due>, std::greater<Due>> {
    template <typename Gone>
    void forget(Gone gone) {
      std::erase_if(c, [&](const Due& due) { return gone(due.place); });
      std::make_heap(c.begin(), c.end(), comp);
    }
  };
  struct Waiting {
    std::uint64_t barrier;
    Place place;
  };

  // desk_home.cpp: requests in
  void one(unsigned door, Request request);
  void loose(unsigned door, Request request);
  void write(HomeSession& session, Request request);
  void looseWrite(unsigned door, Request request);
  void later(HomeSession& session, Request request);
  Pending hold(unsigned door, Request request);
  void wait(const Place& place, Pending& pending, std::uint32_t deadlineMs);
  void tidy();
  void stranger(unsigned door, Request request);
  void forget(HomeSession& session);
  bool full(unsigned door, Request request);
  bool readyNow(Request request) const;
  HomeSession* find(std::uint64_t id);
  Pending* find(const Place& place);
  void finish(Pending& pending);
  void drop(HomeSession& session);

  // desk_answers.cpp: answers out
  bool drain(HomeSession& session);
  bool ready(const Pending& pending) const;
  void act(HomeSession* session, unsigned door, Request request);
  void query(HomeSession* session, unsigned door, Request request);
  void watch(HomeSession& session, Request request);
  void rewatch(HomeSession& session, coordination::Watch::Reader watch, std::uint8_t bits);
  void unwatch(HomeSession& session, Request request, bool remove);
  void remember(HomeSession& session, capnp::List<polyquorum::Identity>::Reader identities);
  void tell(const std::vector<state::Change>& changes);
  void tellOne(HomeSession& session, kj::StringPtr path, polyquorum::Change::What what);
  void dismiss(HomeSession& session, const char* why);
  bool alone() const;
  bool inTouch(const HomeSession& session) const;
  bool heardOf(HomeSession& session, kj::TimePoint since) const;
  void lookRound();
  void armLook();
  void ringDeadlines();
  void expireOne(const Place& place);

  // desk_forward.cpp: to the leader, and what comes back decided
  bool reachable() const;
  void send(const Place& place, Pending& pending);
  void forward(const Place& place, Pending& pending);
  void pump();
  void sendAgain();
  void queueUnsent(HomeSession& session);
  void touch(HomeSession& session);
  void sendTouches();
  void heardAll(kj::TimePoint until);
  void askBarrier();
  void settleWrite(HomeSession& session, polyquorum::Body::Reader body,
                   const state::Applied& applied);
  void settleTicket(polyquorum::Body::Reader body, const state::Applied& applied);
  void take(unsigned door, const state::Attached& attached, kj::TimePoint since);
  void haunt(const state::Attached& attached);
  void sessionOver(const state::SessionChange& change, bool asked);
  std::vector<std::uint64_t> sortedSessions() const;

  const DeskSettings& settings;
  DeskHost& host;
  kj::Timer& timer;
  kj::TaskSet::ErrorHandler& failures;
  Tickets& tickets;
  DeskLeader& leader;
  DeskPost& post;

  std::map<unsigned, kj::Own<DeskOutbox>> outboxes;
  boost::unordered_flat_map<std::uint64_t, kj::Own<HomeSession>> sessions;
  std::map<std::uint32_t, std::size_t> timeouts;   ///< of sessions that are not adrift
  boost::unordered_flat_map<std::uint64_t, Pending> looseOnes;   ///< by number
  boost::unordered_flat_map<std::uint64_t, std::uint64_t> byTicket;  ///< to number
  Watches watches;
  std::uint64_t lastNumber = 0, pendingCount = 0;
  bool closed = false;

  core::Standing now;
  core::Index index = 0;                 ///< applied
  kj::TimePoint lastContact;
  std::deque<Place> unsent;              ///< writes, per session in order
  std::size_t bytesOut = 0;              ///< on their way to another member, not applied yet
  std::uint64_t barrier = 0;             ///< number of the newest barrier
  bool barrierOpen = false;              ///< it is not asked for yet
  std::deque<Waiting> barriers;          ///< not known yet, oldest first
  Dues atIndex, deadlines;
  std::vector<std::uint64_t> touched;    ///< sessions to be told to the leader
  std::vector<std::uint64_t> unheard;    ///< sessions that wait until the leader has heard of them
  kj::TimePoint touchesSent, heardUntil = kj::origin<kj::TimePoint>();
  Alarm touchAlarm, lookAlarm, deadlineAlarm;
};

}  // namespace polyquorum::kernel
