// SPDX-License-Identifier: Apache-2.0
// For tests only: servers of one segment in virtual time under the driver's laws, with fifo links
// that stall or lose their tail, disks that forget what was not synced, snapshots and trimming.
// Throws a Violation; knows nothing of the protocol but core.h.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>
#include "plugins/consensus/zab/core.h"
#include "plugins/consensus/zab/letters.h"

namespace polyquorum::zab {

constexpr core::Nanos MS = 1'000'000;

struct Violation : std::runtime_error {
  using runtime_error::runtime_error;
};

/// Times are drawn evenly from 0 (disk) or letterMin (letters) up to these.
struct Weather {
  core::Nanos letterMin = MS / 10, letterMax = MS / 2;
  core::Nanos diskMax = MS / 2;
  core::Nanos downSeenMax = 0;       // until a cut is noticed; each side on its own
  core::Nanos snapshotMax = 5 * MS;
  unsigned snapshotEvery = 0;        // entries between own snapshots; 0: never
  unsigned snapshotKeeps = 10;       // entries below it that stay in the log
};

/// What a crash leaves.
struct Disk {
  core::Position base;
  std::map<core::Index, core::Entry> log;
  core::Index damagedTo = 0;  ///< the last entry that was there, if the log's end is damaged
  std::map<std::string, std::uint64_t> facts;
  void write(const core::Batch& batch);
  /// Of what has no hole.
  core::Position last() const {
    auto last = base;
    for (auto next = log.upper_bound(base.index); next != log.end(); ++next) {
      if (next->first != last.index + 1) break;
      last = next->second.at();
    }
    return last;
  }
  std::uint64_t fact(const char* name) const {
    auto found = facts.find(name);
    return found == facts.end() ? 0 : found->second;
  }
};

class Cluster {
public:
  struct Write {
    core::Batch batch;
    core::Index trim = 0;            // own snapshot at batch.base: entries below this go
  };
  struct Held {
    std::uint64_t batch;
    std::vector<core::Letter> letters;
    std::optional<core::Evidence> evidence;
  };
  struct Server {
    core::MemberId id = 0;
    core::Role role = core::Role::VOTER;
    bool mayVote = true;
    Settings settings;
    std::unique_ptr<Zab> core;       // null: not running
    std::uint64_t life = 0;
    std::deque<core::ConsensusEvent> inbox;
    bool stepDue = false;
    core::Nanos wakeAt = core::NEVER;

    Disk disk;                       // durable
    Disk memory;                     // what the driver sees
    std::deque<Write> queue;
    std::uint64_t issued = 0, durable = 0;
    core::Nanos diskFreeAt = 0;
    bool diskHeld = false;           // nothing becomes durable until it is released
    std::deque<Held> held;

    core::Index committed = 0, ownSnapshot = 0;
    bool snapshotPending = false;
    std::optional<core::Position> staged;  // an image that the core may adopt
    core::Standing standing;
    core::Evidence evidence;
    core::MemberId nominee = 0;
    std::vector<core::Feedback> feedback;
    std::vector<std::string> notes;
    std::vector<core::Readable> readable;
    std::vector<core::Refused> refused;
    std::size_t steps = 0;
  };

  Weather weather;
  core::Nanos now = 0;
  /// Sees each letter before it is sent; false loses it.
  std::function<bool(core::MemberId from, const core::Letter&)> onSend;
  std::function<void(core::MemberId, const core::Feedback&)> onFeedback;
  /// Told what happens, one line each: letters, writes, standings, commits, feedback.
  std::function<void(const std::string&)> onEvent;
  /// False: the snapshot that went over is lost at the receiver.
  std::function<bool(core::MemberId to)> onSnapshot;
  std::size_t fetches = 0, lettersSent = 0, decidedAgain = 0, snapshotsAdopted = 0, cuts = 0;
  std::map<std::uint16_t, std::size_t> kinds;
  std::map<std::uint64_t, std::size_t> modes;

  explicit Cluster(unsigned voters, unsigned learners = 0, std::uint64_t seed = 1,
                   Settings settings = {});

  Server& at(core::MemberId id) { return servers.at(id); }
  std::map<core::MemberId, Server>& all() { return servers; }
  std::uint64_t draw(std::uint64_t below) { return below == 0 ? 0 : random() % below; }

  void start(core::MemberId id);
  void startAll();
  /// Any prefix of the queued writes reached the disk; keep of them, or a random number.
  void crash(core::MemberId id, std::optional<std::size_t> keep = std::nullopt);

  void cut(core::MemberId a, core::MemberId b);
  void join(core::MemberId a, core::MemberId b);
  void isolate(core::MemberId id);
  void heal();
  /// Letters from a to b stay on their way until released or cut.
  void stall(core::MemberId from, core::MemberId to) { stalled.insert({from, to}); }
  void release();
  void holdDisk(core::MemberId id) { at(id).diskHeld = true; }
  void releaseDisk(core::MemberId id);
  /// So many writes of a held disk become durable.
  void makeDurable(core::MemberId id, std::size_t count);

  void nominate(core::MemberId at, core::MemberId leader);
  void nominateAll(core::MemberId leader);
  /// Proposes count bodies at the server; they are numbered.
  void propose(core::MemberId at, unsigned count = 1, std::uint32_t bytes = 100);
  /// The same for a client of home.
  void proposeFor(core::MemberId home, core::MemberId at);
  core::Token read(core::MemberId at);
  void tell(core::MemberId at, core::ConsensusEvent event);
  void ownSnapshot(core::MemberId at);

  void run(core::Nanos duration);
  /// Until the condition holds, or false after duration.
  bool runUntil(core::Nanos duration, const std::function<bool()>& condition);
  /// From now on everyone is called to leader again and again when it was lost; feedback may name
  /// another one.
  void adviseGood(core::MemberId leader);
  void adviseNothing() { good = 0; }
  /// Calls everyone to leader; true once it leads and all that run have converged, false after 3 s.
  bool elect(core::MemberId leader);
  /// The same from the start of all servers.
  bool startUnder(core::MemberId leader) {
    startAll();
    return elect(leader);
  }
  /// Calls these two only; true once leader leads.
  bool electAmong(core::MemberId leader, core::MemberId follower);
  bool leads(core::MemberId id) { return at(id).standing.phase == core::Standing::LEADING; }
  bool follows(core::MemberId id) { return at(id).standing.phase == core::Standing::FOLLOWING; }
  /// Everyone that runs has the same log, all of it decided, under one leader.
  bool converged();
  core::Index decided() const { return history.size(); }
  bool heardOf(core::MemberId at, core::Feedback::What what);
  bool noted(core::MemberId at, const std::string& part);
  /// Body number at index, 0 if it has none.
  std::uint64_t body(core::MemberId at, core::Index index);

private:
  struct Link {
    core::Link number = 0;
    bool up = false;
    std::deque<core::Letter> waiting;       // stalled
    core::Nanos lastArrival = 0;
  };
  struct Happening {
    core::Nanos at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Happening& other) const {
      return std::tie(other.at, other.order) < std::tie(at, order);
    }
  };
  struct Decided {
    core::Fence stamp;
    std::uint64_t body;
    core::Fence under;               // the epoch that decided it
  };

  std::map<core::MemberId, Server> servers;
  std::map<std::pair<core::MemberId, core::MemberId>, Link> links;   // from, to
  std::set<std::pair<core::MemberId, core::MemberId>> blocked, stalled;
  std::priority_queue<Happening> happenings;
  std::uint64_t order = 0, linkCount = 0, bodyCount = 0;
  core::Token tokenCount = 0;
  std::mt19937_64 random;
  std::vector<Decided> history;                                       // index 1 first
  std::map<core::Fence, std::pair<core::MemberId, std::uint64_t>> leaders;
  std::map<core::Token, core::Index> readsSince;
  core::MemberId good = 0;

  void note(const std::string& line) {
    if (onEvent) onEvent(line);
  }
  static std::string describe(const core::Batch& batch, core::Index trim);
  void later(core::Nanos delay, std::function<void()> what);
  void wake(Server& server);
  void step(Server& server);
  void perform(Server& server, core::ConsensusEffects&& effects);
  void persist(Server& server, core::Batch&& batch, core::Index trim);
  void schedule(Server& server);
  void oneDurable(Server& server);
  void releaseHeld(Server& server);
  void send(Server& from, core::Letter letter);
  void carry(core::MemberId from, core::MemberId to, core::Letter letter);
  void answer(Server& server, const core::Fetch& fetch);
  void stream(Server& server, const core::SendSnapshot& wish);
  void decide(Server& server, core::Index index);
  void stand(Server& server, const core::Standing& standing);
  void advise(Server& server, const core::Feedback& feedback);
  static std::uint64_t bodyOf(const core::Entry& entry);
};

}  // namespace polyquorum::zab
