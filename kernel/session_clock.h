// SPDX-License-Identifier: Apache-2.0
// The leader's clock of sessions: who was heard when, and whose time is up. Keeps no timer and
// proposes nothing itself.
// Source: ZooKeeper's SessionTrackerImpl, ExpiryQueue.
#pragma once
#include <kj/time.h>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <map>
#include <vector>

namespace polyquorum::kernel {

/// A session is never due before its timeout has passed since its last touch, and never later than
/// one tick after that. Touches are told late (homes gather them, letters travel), so a quarter of
/// the tick is kept for those on their way; buckets are half a tick wide.
/// Differs from ExpiryQueue, whose buckets are a whole tick: there a report that is late by a hair
/// expires a session early.
class SessionClock {
public:
  using Session = std::uint64_t;

  explicit SessionClock(std::uint32_t tickMs);

  /// From now on; nobody is known.
  void clear();
  /// Opened or resumed, or known when this node began to lead: a full timeout from now. A session
  /// under a new incarnation is no longer closing.
  void add(Session session, std::uint64_t incarnation, std::uint32_t timeoutMs, kj::TimePoint now);
  /// It was heard at this moment. Unknown and closing sessions are ignored.
  void touch(Session session, kj::TimePoint heard);
  void remove(Session session);

  /// The incarnations of those whose time is up; they are closing from now on. Ascending.
  /// Called late by more than a quarter tick, this process was not running: touches may wait in its
  /// sockets, so everybody due is given another tick; by more than a tick, everybody gets a full
  /// timeout (mutant M26, etcd #15247).
  std::vector<std::uint64_t> due(kj::TimePoint now);
  /// When due() is to be called next.
  kj::Maybe<kj::TimePoint> next() const;

  /// Its expiry is on its way to the log.
  bool closing(Session session) const;
  std::size_t count() const { return sessions.size(); }

private:
  struct Row {
    std::uint64_t incarnation;
    std::uint32_t timeoutMs;
    std::int64_t bucket;   ///< where it is due
    std::int64_t filed;    ///< where it is listed: at or before bucket
    bool closing;
  };

  std::int64_t bucketOf(kj::TimePoint heard, std::uint32_t timeoutMs) const;
  kj::TimePoint momentOf(std::int64_t bucket) const;
  void file(Session session, Row& row);
  void restart(kj::TimePoint now);

  const std::int64_t widthNs, graceNs, tickNs;
  boost::unordered_flat_map<Session, Row> sessions;
  std::map<std::int64_t, std::vector<Session>> buckets;
};

}  // namespace polyquorum::kernel
