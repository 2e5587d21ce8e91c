// SPDX-License-Identifier: Apache-2.0
// For tests only: servers of one segment in virtual time, with links that come and go, letters that
// are late, lost or conflated, and a consensus that does nothing but answer nominations.
#pragma once
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>
#include "plugins/election/fast_leader/core.h"

namespace polyquorum::fast_leader {

constexpr core::Nanos MS = 1'000'000;

struct Weather {
  core::Nanos delayMin = MS / 2, delayMax = MS / 2;
  unsigned lossPercent = 0;
  bool conflate = false;   // a newer letter replaces one that is still on its way
};

class Cluster {
public:
  struct Server {
    core::MemberId id = 0;
    core::Role role = core::Role::VOTER;
    core::Evidence evidence;
    std::unique_ptr<FastLeader> core;          // null: not running
    std::vector<core::ElectionEvent> inbox;
    core::Nanos wakeAt = core::NEVER;
    core::MemberId nominee = 0;                // consensus tries it; 0: idle
    core::Nanos nominatedAt = 0;
    bool established = false;
    core::Fence fence = 0;
    std::vector<core::Nomination> nominations;
    std::vector<std::string> notes;
  };

  Weather weather;
  Timing timing;
  core::Nanos now = 0;
  core::Nanos leaderTimeout = 1000 * MS;
  std::size_t lettersSent = 0;
  bool logGrows = true;   // an established leader's log becomes everyone's
  /// Told what happens, one line each: letters, nominations, what consensus makes of them.
  std::function<void(const std::string&)> onEvent;

  explicit Cluster(unsigned voters, unsigned learners = 0, std::uint64_t seed = 1) : random(seed) {
    for (core::MemberId id = 1; id <= voters + learners; id++) {
      auto& server = servers[id];
      server.id = id;
      server.role = id <= voters ? core::Role::VOTER : core::Role::LEARNER;
      quorum = voters / 2 + 1;
    }
  }

  Server& at(core::MemberId id) { return servers.at(id); }
  std::map<core::MemberId, Server>& all() { return servers; }

  void setLog(core::MemberId id, core::Fence viewFence, core::Fence stamp, core::Index last) {
    servers.at(id).evidence = {viewFence, {stamp, last}, last, true};
  }

  void start(core::MemberId id) {
    auto& server = servers.at(id);
    server.core = std::make_unique<FastLeader>(timing);
    core::ElectionOpened opened{id, {}, {}, server.evidence, id};
    for (auto& [other, peer] : servers) opened.members.push_back({other, peer.role});
    server.inbox.push_back(opened);
    for (auto& [other, peer] : servers) link(id, other);
  }

  void startAll() {
    for (auto& [id, server] : servers) start(id);
  }

  void stop(core::MemberId id) {
    auto& server = servers.at(id);
    for (auto& [other, peer] : servers) unlink(id, other);
    server.core.reset();
    server.inbox.clear();
    server.wakeAt = core::NEVER;
    server.nominee = 0;
    server.established = false;
  }

  void cut(core::MemberId a, core::MemberId b) {
    blocked.insert(std::minmax(a, b));
    unlink(a, b);
  }

  void heal() {
    blocked.clear();
    for (auto& [a, one] : servers) {
      for (auto& [b, other] : servers) link(a, b);
    }
  }

  bool linked(core::MemberId a, core::MemberId b) const {
    return a == b || links.count(std::minmax(a, b)) != 0;
  }

  void tell(core::MemberId id, core::ElectionEvent event) {
    auto& server = servers.at(id);
    if (server.core) server.inbox.push_back(std::move(event));
  }

  /// Consensus at id gives up what it was nominated for.
  void giveUp(core::MemberId id, core::Feedback::What what, core::MemberId peer) {
    auto& server = servers.at(id);
    server.nominee = 0;
    server.established = false;
    note(std::to_string(id) + "'s consensus gives up" +
         (what == core::Feedback::LOST ? ": lost " + std::to_string(peer) : ""));
    tell(id, core::Feedback{what, peer, 0});
  }

  /// Runs until this much virtual time has passed.
  void run(core::Nanos duration) {
    auto until = now + duration;
    for (;;) {
      settleInstant();
      auto next = nextTime();
      if (next > until) break;
      now = std::max(now, next);
    }
    now = until;
  }

  /// Runs until every running server has the same established leader, or duration has passed.
  /// Returns the leader, or 0.
  core::MemberId runUntilLed(core::Nanos duration) {
    auto until = now + duration;
    for (;;) {
      settleInstant();
      if (auto leader = commonLeader()) return leader;
      auto next = nextTime();
      if (next > until) break;
      now = std::max(now, next);
    }
    now = until;
    return 0;
  }

  /// The established leader of every running server, or 0 if they disagree or have none.
  core::MemberId commonLeader() const {
    core::MemberId leader = 0;
    for (auto& [id, server] : servers) {
      if (!server.core) continue;
      if (!server.established || (leader != 0 && leader != server.nominee)) return 0;
      leader = server.nominee;
    }
    return leader;
  }

  std::uint64_t draw(std::uint64_t below) { return random() % below; }

private:
  using Pair = std::pair<core::MemberId, core::MemberId>;
  struct Parcel {
    core::MemberId from, to;
    core::Link link;
    core::Letter letter;
  };

  std::map<core::MemberId, Server> servers;
  std::size_t quorum = 1;
  std::map<Pair, core::Link> links;
  std::set<Pair> blocked;
  std::map<std::pair<core::Nanos, std::uint64_t>, Parcel> inFlight;
  std::map<Pair, core::Nanos> lastArrival;   // by sender and receiver: a link keeps its order
  core::Link lastLink = 0;
  core::Fence lastFence = 100;
  std::uint64_t sequence = 0;
  std::mt19937_64 random;

  void link(core::MemberId a, core::MemberId b) {
    Pair pair = std::minmax(a, b);
    if (a == b || links.count(pair) || blocked.count(pair)) return;
    if (!servers.at(a).core || !servers.at(b).core) return;
    links[pair] = ++lastLink;
    tell(a, core::PeerUp{b, lastLink, 1});
    tell(b, core::PeerUp{a, lastLink, 1});
  }

  void unlink(core::MemberId a, core::MemberId b) {
    auto found = links.find(std::minmax(a, b));
    if (found == links.end()) return;
    tell(a, core::PeerDown{b, found->second});
    tell(b, core::PeerDown{a, found->second});
    links.erase(found);
  }

  core::Nanos nextTime() const {
    auto next = inFlight.empty() ? core::NEVER : inFlight.begin()->first.first;
    for (auto& [id, server] : servers) {
      if (!server.core) continue;
      next = std::min(next, server.wakeAt);
      if (server.nominee != 0 && !server.established) {
        next = std::min(next, server.nominatedAt + leaderTimeout);
      }
    }
    return next;
  }

  /// All that happens at this moment, until it is quiet.
  void settleInstant() {
    for (int turns = 0;; turns++) {
      if (turns > 10000) throw std::runtime_error("the election spins without time passing");
      bool quiet = true;
      while (!inFlight.empty() && inFlight.begin()->first.first <= now) deliverOne();
      for (auto& [id, server] : servers) {
        if (!server.core || (server.inbox.empty() && server.wakeAt > now)) continue;
        stepOne(server);
        quiet = false;
      }
      for (auto& [id, server] : servers) {
        if (server.core && server.nominee != 0) quiet &= !answer(server);
      }
      if (quiet) return;
    }
  }

  void deliverOne() {
    auto parcel = std::move(inFlight.begin()->second);
    inFlight.erase(inFlight.begin());
    auto found = links.find(std::minmax(parcel.from, parcel.to));
    if (found == links.end() || found->second != parcel.link) return;
    parcel.letter.peer = parcel.from;
    parcel.letter.link = parcel.link;
    tell(parcel.to, core::Received{std::move(parcel.letter)});
  }

  void stepOne(Server& server) {
    auto events = std::exchange(server.inbox, {});
    auto effects = server.core->step(now, events);
    server.wakeAt = effects.wakeAt;
    if (server.wakeAt <= now) throw std::runtime_error("an election wants to wake in the past");
    for (auto& line : effects.notes) server.notes.push_back(line);
    for (auto& letter : effects.now) send(server.id, std::move(letter));
    if (!effects.nominate) return;
    server.nominations.push_back(*effects.nominate);
    note(std::to_string(server.id) + " nominates " + std::to_string(effects.nominate->leader) +
         " in round " + std::to_string(effects.nominate->round));
    server.nominee = effects.nominate->leader;
    server.nominatedAt = now;
    server.established = false;
  }

  void send(core::MemberId from, core::Letter letter) {
    lettersSent++;
    if (auto said = read(letter)) {
      auto& vote = said->vote;
      note(std::to_string(from) + " -> " + std::to_string(letter.peer) + ": " + nameOf(said->state) +
           ", votes " + std::to_string(vote.leader) + " (view " + std::to_string(vote.peerEpoch) +
           ", last " + std::to_string(vote.last.stamp) + "/" + std::to_string(vote.last.index) +
           ") in round " + std::to_string(vote.round) +
           (said->heir != 0 ? ", for heir " + std::to_string(said->heir) : ""));
    }
    auto found = links.find(std::minmax(from, letter.peer));
    if (found == links.end() || draw(100) < weather.lossPercent) return;
    Parcel parcel{from, letter.peer, found->second, std::move(letter)};
    for (auto& [when, waiting] : inFlight) {
      if (!weather.conflate) break;
      if (waiting.from != from || waiting.to != parcel.to) continue;
      waiting = std::move(parcel);
      return;
    }
    auto span = weather.delayMax - weather.delayMin + 1;
    auto arrival = now + weather.delayMin + static_cast<core::Nanos>(draw(span));
    auto& last = lastArrival[{from, parcel.to}];
    last = std::max(last, arrival);
    inFlight.emplace(std::pair{last, ++sequence}, std::move(parcel));
  }

  /// Consensus at one server: whether it had something to say.
  bool answer(Server& server) {
    return server.nominee == server.id ? answerLeader(server) : answerFollower(server);
  }

  bool answerLeader(Server& server) {
    std::size_t support = 0;
    for (auto& [id, other] : servers) {
      support += other.core && other.role == core::Role::VOTER && other.nominee == server.id &&
                 linked(server.id, id);
    }
    bool late = now >= server.nominatedAt + leaderTimeout;
    if (support < quorum && (server.established || late)) {
      giveUp(server.id, core::Feedback::QUORUM_LOST, 0);
      return true;
    }
    if (support < quorum || server.established) return false;
    server.fence = ++lastFence;
    establish(server, server);
    return true;
  }

  bool answerFollower(Server& server) {
    auto& leader = servers.at(server.nominee);
    bool leads = leader.core && leader.nominee == leader.id;
    bool ready = leads && leader.established;
    bool late = now >= server.nominatedAt + leaderTimeout;
    if (!linked(server.id, leader.id) || (server.established ? !leads : late && !ready)) {
      giveUp(server.id, core::Feedback::LOST, leader.id);
      return true;
    }
    if (!ready || server.established) return false;
    establish(server, leader);
    return true;
  }

  void note(const std::string& line) {
    if (onEvent) onEvent(line);
  }

  void establish(Server& server, Server& leader) {
    bool leads = server.id == leader.id;
    note(std::to_string(server.id) + (leads ? " leads" : " follows " + std::to_string(leader.id)) +
         " in epoch " + std::to_string(leader.fence));
    server.established = true;
    server.fence = leader.fence;
    if (logGrows) {
      auto last = leader.evidence.last;
      server.evidence.viewFence = leader.fence;
      server.evidence.last = last;
      tell(server.id, server.evidence);
    }
    tell(server.id, core::Feedback{core::Feedback::ESTABLISHED, leader.id, leader.fence});
  }
};

}  // namespace polyquorum::fast_leader
