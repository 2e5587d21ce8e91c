// SPDX-License-Identifier: Apache-2.0
// One client of the workload: a session that moves between servers with requests in flight and
// judges every answer it gets. Checkers: reply, durability, linearizable-writes,
// linearizable-reads, sync, never-back, session-replies, reads, watches, exactly-once, ephemerals.
#pragma once
#include <kj/async.h>
#include <kj/timer.h>
#include <deque>
#include <map>
#include <string>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "simulator/history.h"
#include "simulator/random.h"
#include "simulator/story.h"

namespace polyquorum::simulator {

/// The way from a client to a server's desk.
class Roads {
 public:
  virtual ~Roads() noexcept(false) {}
  /// Servers whose doors are open.
  virtual std::vector<core::MemberId> open() = 0;
  /// The request is on its way; what comes back is given to the client.
  virtual void submit(core::MemberId to,
                      const std::function<void(coordination::Request::Builder)>& fill) = 0;
};

class Client {
 public:
  Client(unsigned number, Random random, kj::Timer& timer, Roads& roads, History& history,
         Story& story);

  /// Acts for ever.
  kj::Promise<void> live();
  /// From now on it only finishes what it began.
  void calmDown() { calm = true; }
  /// Attached, and nothing is unanswered.
  bool settled() const { return phase == ATTACHED && line.empty(); }
  std::string describe() const;

  void delivered(core::MemberId from, coordination::Delivery::Reader delivery);
  void serverGone(core::MemberId server);
  /// Its session was ended by expiry.
  void expired(std::uint64_t session, std::uint64_t incarnation);
  bool owns(std::uint64_t session) const { return this->session == session; }

  std::size_t dataBytes = 8;  ///< of what it writes to a node; its number in front
  std::uint64_t pauseMsMost = 2400;  ///< between two bursts

 private:
  enum Phase : std::uint8_t { AWAY, ATTACHING, ATTACHED };
  struct Sent {
    enum Kind : std::uint8_t { WRITE, GET, EXISTS, CHILDREN, SYNC, DETACH, RENEW } kind = WRITE;
    std::uint64_t token = 0, sequence = 0;
    core::Index acknowledgedBefore = 0;  ///< by anybody, when it was sent
    std::string path;
    coordination::Level level = coordination::Level::SESSION;
    bool watch = false;
    kj::TimePoint at = kj::origin<kj::TimePoint>();
  };
  struct Watched {
    core::Index data = 0, children = 0;  ///< since; 0: not watched
    bool existed = false;                ///< the node, when its data was watched
  };
  /// One watch that is renewed; due: what must be told of it.
  using Renewal = std::pair<std::string, polyquorum::Change::What>;

  const unsigned number;
  Random random;
  kj::Timer& timer;
  Roads& roads;
  History& history;
  Story& story;
  bool calm = false;

  Phase phase = AWAY;
  core::MemberId server = 0;
  std::uint64_t lastToken, attachToken = 0, nonce = 0, lastData = 0;
  kj::TimePoint attachedAt = kj::origin<kj::TimePoint>();
  std::uint64_t session = 0, incarnation = 0, sequence = 0;
  std::uint32_t timeoutMs = 0;
  std::vector<kj::byte> password;
  core::Index seen = 0, seenHere = 0;  ///< ever; on this connection
  kj::TimePoint heard =
      kj::origin<kj::TimePoint>();  ///< when the last request that was answered was sent
  kj::TimePoint spokeAgain =
      kj::origin<kj::TimePoint>();  ///< when it ended a silence of more than its timeout
  std::deque<Sent> line;
  std::vector<CommandName> unknown;
  std::map<std::string, Watched> watches;
  std::map<std::string, Watched> kept;  ///< of an earlier connection, not renewed yet
  core::Index keptSince = 0;            ///< the last index seen there
  bool renewing = false;                ///< what is told now was missed before
  std::vector<Renewal> renewed;
  std::map<std::uint64_t, std::pair<Sent, core::Index>> loose;  ///< asked elsewhere; seen by then
  std::vector<std::string> made;  ///< sequential nodes, to be deleted

  void act();
  void come();
  void leave(bool politely);
  void lose(const char* why);
  void ask();
  void write();
  void query(Sent::Kind kind);
  void askElsewhere();
  void renew();
  void multi(polyquorum::Operation::Builder operation);
  void fill(polyquorum::Operation::Builder operation);
  void submitOperation(Sent sent, const std::function<void(polyquorum::Operation::Builder)>& fill);
  Sent sent(Sent::Kind kind);
  std::string someDirectory();
  std::string somePath();

  void replied(coordination::Delivery::Reader delivery);
  void attached(core::Index index, polyquorum::Outcome::Reader outcome);
  void resolve(polyquorum::Attached::Reader attached, core::Index index);
  void wrote(const Sent& sent, core::Index index, polyquorum::Outcome::Reader outcome);
  void read(const Sent& sent, core::Index index, polyquorum::Answer::Reader answer);
  void told(core::Index index, polyquorum::Change::Reader event);
  void checkWatches(core::Index index);
  void checkRenewal(core::Index index);
  bool elsewhere(coordination::Delivery::Reader delivery);
  bool progress(core::Index index);
  void violate(const char* checker, const std::string& what);
};

}  // namespace polyquorum::simulator
