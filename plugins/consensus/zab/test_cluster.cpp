// SPDX-License-Identifier: Apache-2.0
// The servers' life: starting, stepping, performing effects, and the checks on them; see
// test_cluster.h. Links and disks are in test_world.cpp.
#include "plugins/consensus/zab/test_cluster.h"

namespace polyquorum::zab {

Cluster::Cluster(unsigned voters, unsigned learners, std::uint64_t seed, Settings settings)
    : random(seed) {
  for (core::MemberId id = 1; id <= voters + learners; id++) {
    auto& server = servers[id];
    server.id = id;
    server.role = id <= voters ? core::Role::VOTER : core::Role::LEARNER;
    server.settings = settings;
  }
}

void Cluster::start(core::MemberId id) {
  auto& server = at(id);
  server.core = std::make_unique<Zab>(server.settings);
  server.life++;
  server.memory = server.disk;
  server.committed = server.ownSnapshot = server.disk.base.index;
  server.standing = {};
  core::ConsensusOpened opened;
  opened.self = id;
  opened.mayVote = server.mayVote;
  for (auto& [other, peer] : servers) opened.members.push_back({other, peer.role});
  opened.base = server.disk.base;
  for (auto& [index, entry] : server.disk.log) {
    auto& log = opened.log;
    if (!log.empty() && log.back().stamp == entry.stamp &&
        log.back().first + log.back().count == index) {
      log.back().count++;
    } else {
      log.push_back({index, 1, entry.stamp});
    }
  }
  if (server.disk.damagedTo > 0) opened.log.push_back({server.disk.damagedTo + 1, 0, 0});
  for (auto& fact : server.disk.facts) opened.facts.push_back(fact);
  tell(id, opened);
  for (auto& [other, peer] : servers) join(id, other);
  if (good != 0) nominate(id, good);
}

void Cluster::startAll() {
  for (auto& [id, server] : servers) start(id);
}

void Cluster::crash(core::MemberId id, std::optional<std::size_t> keep) {
  auto& server = at(id);
  if (!server.core) return;
  auto kept = keep ? *keep : draw(server.queue.size() + 1);
  while (kept-- > 0 && !server.queue.empty()) oneDurable(server);
  server.queue.clear();
  server.held.clear();
  server.inbox.clear();
  server.staged.reset();
  server.core.reset();
  server.life++;
  server.issued = server.durable;
  server.diskHeld = false;
  server.wakeAt = core::NEVER;
  server.snapshotPending = false;
  server.standing = {};
  for (auto& [other, peer] : servers) cut(id, other);
  for (auto& [other, peer] : servers) blocked.erase(std::minmax(id, other));
}

void Cluster::nominate(core::MemberId at, core::MemberId leader) {
  servers.at(at).nominee = leader;
  tell(at, core::Nominated{leader, draw(1000)});
}

void Cluster::nominateAll(core::MemberId leader) {
  for (auto& [id, server] : servers) nominate(id, leader);
}

void Cluster::propose(core::MemberId at, unsigned count, std::uint32_t bytes) {
  for (unsigned i = 0; i < count; i++) {
    core::Body body{std::make_shared<const std::uint64_t>(++bodyCount), bytes};
    tell(at, core::Proposal{++tokenCount, body});
  }
}

void Cluster::proposeFor(core::MemberId home, core::MemberId at) {
  core::Body body{std::make_shared<const std::uint64_t>(++bodyCount), 100};
  tell(at, core::Proposal{++tokenCount, body, home});
}

core::Token Cluster::read(core::MemberId at) {
  auto token = ++tokenCount;
  readsSince[token] = decided();
  tell(at, core::Read{token});
  return token;
}

void Cluster::tell(core::MemberId id, core::ConsensusEvent event) {
  auto& server = at(id);
  if (!server.core) return;
  server.inbox.push_back(std::move(event));
  wake(server);
}

void Cluster::wake(Server& server) {
  if (server.stepDue) return;
  server.stepDue = true;
  later(0, [this, &server] {
    server.stepDue = false;
    step(server);
  });
}

void Cluster::step(Server& server) {
  if (!server.core || (server.inbox.empty() && server.wakeAt > now)) return;
  std::vector<core::ConsensusEvent> events;
  while (!server.inbox.empty() && events.size() < 64) {
    events.push_back(std::move(server.inbox.front()));
    server.inbox.pop_front();
  }
  if (++server.steps > 2'000'000) throw Violation("a server does not come to rest");
  server.wakeAt = core::NEVER;
  perform(server, server.core->step(now, events));
  if (!server.inbox.empty()) wake(server);
  if (server.wakeAt == core::NEVER) return;
  if (server.wakeAt <= now) throw Violation("a core wants to be woken in the past");
  later(server.wakeAt - now, [this, &server, life = server.life] {
    if (life == server.life && server.wakeAt <= now) wake(server);
  });
}

void Cluster::perform(Server& server, core::ConsensusEffects&& effects) {
  for (auto& note : effects.notes) server.notes.push_back(std::move(note));
  if (effects.persist) persist(server, std::move(*effects.persist), 0);
  bool offered = std::any_of(server.inbox.begin(), server.inbox.end(), [](auto& event) {
    return std::holds_alternative<core::SnapshotArrived>(event);
  });
  if (!effects.keepsImage && !offered) server.staged.reset();
  for (auto& letter : effects.now) send(server, std::move(letter));
  Held held{server.issued, std::move(effects.afterPersist), effects.evidence};
  if (!held.letters.empty() || held.evidence) server.held.push_back(std::move(held));
  releaseHeld(server);
  for (auto& fetch : effects.fetch) answer(server, fetch);
  for (auto& wish : effects.snapshots) stream(server, wish);
  if (effects.committed) {
    note(std::to_string(server.id) + " decides up to " + std::to_string(*effects.committed));
    if (*effects.committed <= server.committed) throw Violation("commit goes back");
    while (server.committed < *effects.committed) decide(server, server.committed + 1);
    if (weather.snapshotEvery != 0 && !server.snapshotPending &&
        server.committed >= server.ownSnapshot + weather.snapshotEvery) {
      ownSnapshot(server.id);
    }
  }
  if (effects.standing) stand(server, *effects.standing);
  for (auto& readable : effects.readable) {
    if (readable.index < readsSince.at(readable.token)) throw Violation("a stale read");
    server.readable.push_back(readable);
  }
  for (auto& refused : effects.refused) server.refused.push_back(refused);
  for (auto& feedback : effects.feedback) {
    server.feedback.push_back(feedback);
    static const char* const WORDS[] = {"leaderAlive", "established", "lost", "quorumLost",
                                        "fenced", "behind", "resigned"};
    if (feedback.what != core::Feedback::LEADER_ALIVE) {
      note(std::to_string(server.id) + " tells its election: " + WORDS[feedback.what] + " " +
           std::to_string(feedback.peer));
    }
    if (onFeedback) onFeedback(server.id, feedback);
    advise(server, feedback);
  }
  server.wakeAt = effects.wakeAt;
}

/// One body for each index everywhere; and when it is decided first, a quorum's disks hold it.
void Cluster::decide(Server& server, core::Index index) {
  auto& memory = server.memory;
  server.committed = index;
  auto found = memory.log.find(index);
  if (found == memory.log.end()) {
    if (index > memory.base.index) throw Violation("a decided entry is not in the log");
    if (index > history.size()) throw Violation("a snapshot holds what nobody decided");
    return;
  }
  auto& entry = found->second;
  if (index <= history.size()) {
    auto& known = history[index - 1];
    if (known.body != bodyOf(entry) || known.stamp != entry.stamp) {
      throw Violation("two bodies at index " + std::to_string(index));
    }
    decidedAgain++;
    return;
  }
  if (index != history.size() + 1) throw Violation("decided with a gap");
  std::size_t holders = 0, voters = 0;
  for (auto& [id, other] : servers) {
    if (other.role != core::Role::VOTER) continue;
    voters++;
    auto copy = other.disk.log.find(index);
    bool has = other.disk.base.index >= index ||
               (copy != other.disk.log.end() && bodyOf(copy->second) == bodyOf(entry) &&
                copy->second.stamp == entry.stamp);
    holders += has && other.mayVote;
  }
  if (holders < voters / 2 + 1) {
    throw Violation("decided, but not on a quorum's disks: index " + std::to_string(index));
  }
  history.push_back({entry.stamp, bodyOf(entry), server.standing.fence});
}

void Cluster::stand(Server& server, const core::Standing& standing) {
  static const char* const PHASES[] = {"idle", "claiming", "recovering", "following", "leading"};
  note(std::to_string(server.id) + " is " + PHASES[standing.phase] + ", leader " +
       std::to_string(standing.leader) + ", epoch " + std::to_string(standing.fence));
  server.standing = standing;
  if (standing.phase != core::Standing::LEADING) return;
  auto [known, first] =
      leaders.try_emplace(standing.fence, std::pair{server.id, server.life});
  if (!first) throw Violation("two leaderships under fence " + std::to_string(standing.fence));
  // Leader completeness. A leader may learn late that it once was established.
  for (core::Index index = server.memory.base.index + 1; index <= decided(); index++) {
    if (history[index - 1].under > standing.fence) break;
    auto found = server.memory.log.find(index);
    bool whole = found != server.memory.log.end() &&
                 bodyOf(found->second) == history[index - 1].body;
    if (!whole) throw Violation("a leader lacks decided index " + std::to_string(index));
  }
}

void Cluster::adviseGood(core::MemberId leader) {
  good = leader;
  for (auto& [id, server] : servers) nominate(id, leader);
}

bool Cluster::elect(core::MemberId leader) {
  adviseGood(leader);
  bool elected = runUntil(3000 * MS, [&] { return converged() && leads(leader); });
  adviseNothing();
  return elected;
}

bool Cluster::electAmong(core::MemberId leader, core::MemberId follower) {
  nominate(leader, leader);
  nominate(follower, leader);
  return runUntil(3000 * MS, [&] { return leads(leader); });
}

void Cluster::advise(Server& server, const core::Feedback& feedback) {
  if (good == 0) return;
  switch (feedback.what) {
    case core::Feedback::LEADER_ALIVE:
    case core::Feedback::ESTABLISHED: return;
    case core::Feedback::BEHIND:
    case core::Feedback::RESIGNED: good = feedback.peer; break;
    default: break;
  }
  later(20 * MS, [this, &server] {
    if (server.core) nominate(server.id, good);
    if (server.id != good && at(good).core) nominate(good, good);
  });
}

bool Cluster::converged() {
  core::MemberId leader = 0;
  for (auto& [id, server] : servers) {
    if (!server.core) continue;
    if (leads(id)) {
      if (leader != 0) return false;
      leader = id;
    }
  }
  if (leader == 0) return false;
  auto last = at(leader).memory.last();
  for (auto& [id, server] : servers) {
    if (!server.core) continue;
    bool part = id == leader || (follows(id) && server.standing.leader == leader);
    if (!part || server.memory.last() != last || server.committed != last.index) return false;
  }
  return decided() == last.index;
}

bool Cluster::heardOf(core::MemberId id, core::Feedback::What what) {
  for (auto& feedback : at(id).feedback) {
    if (feedback.what == what) return true;
  }
  return false;
}

bool Cluster::noted(core::MemberId id, const std::string& part) {
  for (auto& note : at(id).notes) {
    if (note.find(part) != std::string::npos) return true;
  }
  return false;
}

std::uint64_t Cluster::body(core::MemberId id, core::Index index) {
  auto& log = at(id).memory.log;
  auto found = log.find(index);
  return found == log.end() ? 0 : bodyOf(found->second);
}

std::uint64_t Cluster::bodyOf(const core::Entry& entry) {
  return entry.body ? *static_cast<const std::uint64_t*>(entry.body.held.get()) : 0;
}

}  // namespace polyquorum::zab
