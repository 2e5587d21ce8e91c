// SPDX-License-Identifier: Apache-2.0
// Time, links and disks of the test cluster; see test_cluster.h.
#include "plugins/consensus/zab/test_cluster.h"

namespace polyquorum::zab {

void Disk::write(const core::Batch& batch) {
  if (batch.base) {
    base = *batch.base;
    log.erase(log.begin(), log.upper_bound(base.index));
  }
  if (batch.truncateFrom) log.erase(log.lower_bound(*batch.truncateFrom), log.end());
  for (auto& entry : batch.entries) log[entry.index] = entry;
  for (auto& [name, value] : batch.facts) facts[name] = value;
}

void Cluster::later(core::Nanos delay, std::function<void()> what) {
  happenings.push({now + delay, order++, std::move(what)});
}

bool Cluster::runUntil(core::Nanos duration, const std::function<bool()>& condition) {
  auto until = now + duration;
  while (!happenings.empty() && happenings.top().at <= until) {
    if (condition && condition()) return true;
    auto happening = std::move(const_cast<Happening&>(happenings.top()));
    happenings.pop();
    now = happening.at;
    happening.what();
  }
  now = until;
  return condition && condition();
}

void Cluster::run(core::Nanos duration) { runUntil(duration, nullptr); }

// ------------------------------------------------------------------------------------------ disks

void Cluster::persist(Server& server, core::Batch&& batch, core::Index trim) {
  if (trim == 0) {
    if (batch.truncateFrom) {
      if (*batch.truncateFrom <= server.committed) throw Violation("a decided entry is cut");
      cuts++;
    }
    if (batch.base) {
      if (batch.base->index > decided()) throw Violation("an undecided snapshot is adopted");
      if (server.staged != batch.base) throw Violation("a snapshot is adopted that was let go");
      server.staged.reset();
      snapshotsAdopted++;
      server.ownSnapshot = batch.base->index;
    }
    server.memory.write(batch);
  }
  server.queue.push_back({std::move(batch), trim});
  server.issued++;
  schedule(server);
}

void Cluster::schedule(Server& server) {
  auto at = std::max(server.diskFreeAt, now + core::Nanos(draw(weather.diskMax)));
  server.diskFreeAt = at;
  later(at - now, [this, &server, life = server.life] {
    if (life != server.life || server.diskHeld || server.queue.empty()) return;
    oneDurable(server);
    releaseHeld(server);
  });
}

std::string Cluster::describe(const core::Batch& batch, core::Index trim) {
  std::string out;
  if (batch.base) out += (trim == 0 ? " adopts=" : " snapshot=") + std::to_string(batch.base->index);
  if (batch.truncateFrom) out += " cuts=" + std::to_string(*batch.truncateFrom);
  if (!batch.entries.empty()) {
    out += " entries=" + std::to_string(batch.entries.front().index) + ".." +
           std::to_string(batch.entries.back().index);
  }
  for (auto& [name, value] : batch.facts) out += " " + name + "=" + std::to_string(value);
  return out;
}

void Cluster::makeDurable(core::MemberId id, std::size_t count) {
  auto& server = at(id);
  for (; count > 0 && !server.queue.empty(); count--) {
    oneDurable(server);
    releaseHeld(server);
  }
}

void Cluster::oneDurable(Server& server) {
  auto write = std::move(server.queue.front());
  server.queue.pop_front();
  server.durable++;
  note(std::to_string(server.id) + " disk:" + describe(write.batch, write.trim));
  if (write.trim == 0) return server.disk.write(write.batch);
  // An own snapshot: entries above trim stay in the log.
  auto base = *write.batch.base;
  server.snapshotPending = false;
  if (base.index <= server.disk.base.index) return;
  server.disk.base = base;
  auto& log = server.disk.log;
  log.erase(log.begin(), log.lower_bound(write.trim));
  auto& memory = server.memory;
  if (base.index > memory.base.index) memory.base = base;
  memory.log.erase(memory.log.begin(), memory.log.lower_bound(write.trim));
  server.ownSnapshot = std::max(server.ownSnapshot, base.index);
  tell(server.id, core::Trimmed{write.trim});
}

void Cluster::releaseHeld(Server& server) {
  while (!server.held.empty() && server.held.front().batch <= server.durable) {
    auto held = std::move(server.held.front());
    server.held.pop_front();
    for (auto& letter : held.letters) send(server, std::move(letter));
    if (!held.evidence) continue;
    server.evidence = *held.evidence;
    bool exact = held.batch == server.durable;
    if (exact && server.disk.fact("view") != held.evidence->viewFence) {
      throw Violation("evidence names a view that is not durable");
    }
    if (exact && server.disk.last() != held.evidence->last) {
      throw Violation("evidence names a log that is not durable");
    }
  }
}

void Cluster::releaseDisk(core::MemberId id) {
  auto& server = at(id);
  server.diskHeld = false;
  for (auto count = server.queue.size(); count > 0; count--) schedule(server);
}

void Cluster::ownSnapshot(core::MemberId id) {
  auto& server = at(id);
  auto found = server.memory.log.find(server.committed);
  if (found == server.memory.log.end()) return;
  core::Batch batch;
  batch.base = found->second.at();
  auto index = batch.base->index;
  server.snapshotPending = true;
  persist(server, std::move(batch),
          index > weather.snapshotKeeps ? index - weather.snapshotKeeps + 1 : 1);
}

// ------------------------------------------------------------------------------------------ links

void Cluster::join(core::MemberId a, core::MemberId b) {
  if (a == b || blocked.count(std::minmax(a, b)) || !at(a).core || !at(b).core) return;
  if (links[{a, b}].up) return;
  auto number = ++linkCount;
  for (auto [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    links[{from, to}] = {number, true, {}, now};
    tell(from, core::PeerUp{to, number, at(to).life});
  }
}

void Cluster::cut(core::MemberId a, core::MemberId b) {
  if (a == b) return;
  blocked.insert(std::minmax(a, b));
  if (!links[{a, b}].up) return;
  for (auto [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    auto& link = links[{from, to}];
    link.up = false;
    link.waiting.clear();
    later(draw(weather.downSeenMax), [this, &server = at(from), to, number = link.number,
                                      life = at(from).life] {
      if (life == server.life) tell(server.id, core::PeerDown{to, number});
    });
  }
}

void Cluster::isolate(core::MemberId id) {
  for (auto& [other, peer] : servers) cut(id, other);
}

void Cluster::release() {
  stalled.clear();
  for (auto& [ends, link] : links) {
    auto waiting = std::move(link.waiting);
    link.waiting.clear();
    for (auto& letter : waiting) carry(ends.first, ends.second, std::move(letter));
  }
}

void Cluster::heal() {
  blocked.clear();
  release();
  for (auto& [a, one] : servers) {
    for (auto& [b, other] : servers) join(a, b);
  }
}

void Cluster::send(Server& from, core::Letter letter) {
  lettersSent++;
  kinds[letter.kind]++;
  if (letter.kind == SYNC) modes[letter.numbers[2]]++;
  auto to = letter.peer;
  if (onEvent) {
    std::string line = std::to_string(from.id) + " -> " + std::to_string(to) + ": " +
                       (wellFormed(letter) ? wellFormed(letter) : "?");
    for (std::size_t i = 1; i < letter.numbers.size(); i++) {
      line += " " + std::to_string(letter.numbers[i]);
    }
    if (!letter.entries.empty()) {
      line += " entries=" + std::to_string(letter.entries.front().index) + ".." +
              std::to_string(letter.entries.back().index);
    }
    note(line);
  }
  letter.peer = from.id;
  if (to == from.id) return tell(to, core::Received{std::move(letter)});
  auto& link = links[{from.id, to}];
  if (!link.up || (letter.link != 0 && letter.link != link.number)) return;
  letter.link = link.number;
  if (onSend && !onSend(from.id, letter)) return;
  carry(from.id, to, std::move(letter));
}

void Cluster::carry(core::MemberId from, core::MemberId to, core::Letter letter) {
  auto& link = links[{from, to}];
  if (stalled.count({from, to})) {
    link.waiting.push_back(std::move(letter));
    return;
  }
  auto delay = weather.letterMin + core::Nanos(draw(weather.letterMax - weather.letterMin));
  link.lastArrival = std::max(link.lastArrival, now + delay);
  later(link.lastArrival - now, [this, from, to, number = link.number, letter = std::move(letter)] {
    auto& link = links[{from, to}];
    if (link.up && link.number == number) tell(to, core::Received{letter});
  });
}

// ------------------------------------------------------------------------- questions of the cores

void Cluster::answer(Server& server, const core::Fetch& fetch) {
  fetches++;
  later(draw(weather.diskMax), [this, &server, fetch, life = server.life] {
    if (life != server.life) return;
    auto& log = server.memory.log;
    core::Fetched answer{fetch.token, log.empty() ? server.memory.base.index + 1
                                                  : log.begin()->first, {}};
    std::uint64_t bytes = 0;
    for (auto at = log.lower_bound(fetch.first); at != log.end() && at->first <= fetch.last; ++at) {
      bytes += at->second.body.bytes;
      if (bytes > fetch.bytesMax && !answer.entries.empty()) break;
      answer.entries.push_back(at->second);
    }
    tell(server.id, std::move(answer));
  });
}

void Cluster::stream(Server& server, const core::SendSnapshot& wish) {
  auto number = links[{server.id, wish.peer}].number;
  bool up = links[{server.id, wish.peer}].up && (wish.link == 0 || wish.link == number);
  core::Position at = server.memory.base;
  if (wish.atLeast > at.index) {
    auto found = server.memory.log.find(server.committed);
    if (found == server.memory.log.end() || wish.atLeast > server.committed) {
      throw Violation("a snapshot is asked for that cannot be had");
    }
    at = found->second.at();
  }
  later(draw(weather.snapshotMax), [this, &server, wish, at, up, number, life = server.life] {
    if (life != server.life) return;
    auto& link = links[{server.id, wish.peer}];
    auto& receiver = servers.at(wish.peer);
    bool whole = up && link.up && link.number == number && receiver.core &&
                 at.index > receiver.committed && !receiver.staged;
    if (whole && (!onSnapshot || onSnapshot(wish.peer))) {
      receiver.staged = at;
      tell(wish.peer, core::SnapshotArrived{server.id, number, at});
    }
    tell(server.id, core::SnapshotSent{wish.peer, number, at, whole});
  });
}

}  // namespace polyquorum::zab
