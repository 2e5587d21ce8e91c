// SPDX-License-Identifier: Apache-2.0
// Recounting disks; see ledger.h.
#include "simulator/ledger.h"

namespace polyquorum::simulator {
namespace {

constexpr const char* OF_CONSENSUS = "consensus.";

std::uint64_t lifeIn(Segment::Reader segment, core::MemberId server) {
  for (auto member : segment.getMembers()) {
    if (member.getId() == server) return member.getIncarnation();
  }
  return 0;
}

std::string name(core::MemberId server) { return "server " + std::to_string(server); }

}  // namespace

// ----------------------------------------------------------------------------------------- disks

/// In the order of Write in storage.capnp.
void Ledger::perform(Held& held, const Write& write) {
  held.base = std::max(held.base, write.base.index);
  if (write.trim > held.trim) {
    held.trim = write.trim;
    for (auto& [segment, log] : held.logs) {
      log.entries.erase(log.entries.begin(), log.entries.lower_bound(write.trim));
    }
  }
  auto& log = held.logs[write.segment];
  if (write.truncateFrom != 0) {
    log.entries.erase(log.entries.lower_bound(write.truncateFrom), log.entries.end());
  }
  for (auto& [index, stamp] : write.entries) {
    log.entries.insert_or_assign(log.entries.end(), index, stamp);
  }
  for (auto& [name, value] : write.facts) log.facts[name] = value;
  if (!write.next) return;
  held.segments = write.next->id + 1;
  held.life = write.next->life;
  if (write.next->id > write.segment) {
    log.entries.erase(log.entries.upper_bound(write.next->base), log.entries.end());
  }
}

/// Empty, or what is wrong. What is below the trim may or may not be there still.
std::string Ledger::differs(const Held& held, storage::Storage::OpenResults::Reader found,
                            bool excused) {
  if (found.getChain().size() != held.segments) return "another chain";
  auto base = found.hasSnapshot() ? found.getSnapshot().getAt().getIndex() : 0;
  if (excused ? base > held.base : base != held.base) {
    return "an image of " + std::to_string(base) + ", not of " + std::to_string(held.base);
  }
  if (held.segments == 0) return "";
  static const Log NOTHING;
  auto known = held.logs.find(held.segments - 1);
  auto& log = known == held.logs.end() ? NOTHING : known->second;
  std::map<std::string, std::uint64_t> facts;
  auto at = log.entries.lower_bound(held.trim);
  auto reported = [&](storage::Log::Reader theirs, core::Index index) {
    for (auto range : theirs.getDamaged()) {
      if (excused && range.getFirst() <= index && index <= range.getLast()) return true;
    }
    return false;
  };
  for (auto theirs : found.getLogs()) {
    if (theirs.getSegment() + 1 != held.segments) continue;
    for (auto fact : theirs.getFacts()) facts[fact.getName().cStr()] = fact.getValue();
    for (auto run : theirs.getRuns()) {
      auto end = run.getFirst() + run.getCount();
      for (auto index = std::max(run.getFirst(), held.trim); index < end; index++, ++at) {
        while (at != log.entries.end() && at->first < index && reported(theirs, at->first)) ++at;
        bool same =
            at != log.entries.end() && at->first == index && at->second == run.getStamp();
        if (!same) return "another entry at " + std::to_string(index);
      }
    }
    while (at != log.entries.end() && reported(theirs, at->first)) ++at;
  }
  if (at != log.entries.end()) return "nothing at " + std::to_string(at->first);
  for (auto& [name, value] : log.facts) {
    if (facts[name] != value) {
      return name + " is " + std::to_string(facts[name]) + ", not " + std::to_string(value);
    }
  }
  return facts.size() == log.facts.size() ? "" : "another fact";
}

/// It reports damage, if not all of it.
bool Ledger::saysSo(const Held& held, storage::Storage::OpenResults::Reader found) {
  auto base = found.hasSnapshot() ? found.getSnapshot().getAt().getIndex() : 0;
  bool says = base < held.base;
  for (auto log : found.getLogs()) says = says || log.getDamaged().size() > 0;
  return says;
}

Ledger::Held Ledger::believe(core::MemberId server, storage::Storage::OpenResults::Reader found) {
  Held held;
  held.segments = found.getChain().size();
  if (held.segments > 0) held.life = lifeIn(found.getChain()[held.segments - 1], server);
  if (found.hasSnapshot()) held.base = found.getSnapshot().getAt().getIndex();
  held.trim = held.base + 1;
  for (auto theirs : found.getLogs()) {
    auto& log = held.logs[theirs.getSegment()];
    for (auto fact : theirs.getFacts()) log.facts[fact.getName().cStr()] = fact.getValue();
    for (auto run : theirs.getRuns()) {
      for (std::uint64_t i = 0; i < run.getCount(); i++) {
        if (run.getFirst() + i >= held.trim) log.entries[run.getFirst() + i] = run.getStamp();
      }
    }
  }
  return held;
}

void Ledger::booted(core::MemberId server, storage::Storage::OpenResults::Reader found) {
  auto& disk = disks[server];
  disk.claim = {};
  auto known = disk.durable;
  auto wrong = differs(known, found, disk.excused);
  auto fit = wrong.empty();
  for (auto at = disk.pending.begin(); !fit && at != disk.pending.end(); ++at) {
    perform(known, *at);
    auto still = differs(known, found, disk.excused);
    fit = still.empty();
    wrong += "; with write " + std::to_string(at->number) + ": " + still;
  }
  if (!fit && !(disk.excused && saysSo(known, found))) {
    story.violate("storage", name(server) +
                                 " finds on its disk what is no prefix of its writes with all that "
                                 "was called durable: " +
                                 wrong);
  }
  disk.pending.clear();
  disk.durable = fit ? known : believe(server, found);
  disk.newest = disk.durable;
  for (auto& [segment, log] : disk.durable.logs) {
    for (auto& [index, stamp] : log.entries) count(server, segment, index, stamp);
    countFacts(server, segment, log);
  }
}

void Ledger::queued(core::MemberId server, std::uint64_t number,
                    const kernel::PendingWrite& write) {
  auto& disk = disks[server];
  Write kept{number, write.segment, write.base.value_or(core::Position()), write.trim,
             write.truncateFrom, {}, write.facts, {}};
  for (auto& entry : write.entries) kept.entries.emplace_back(entry.index, entry.stamp);
  if (write.next != nullptr) {
    auto next = write.next->getRoot<Segment>().asReader();
    kept.next = Write::Next{next.getId(), next.getBase(), lifeIn(next, server)};
  }
  perform(disk.newest, kept);
  disk.pending.push_back(std::move(kept));
}

void Ledger::durable(core::MemberId server, std::uint64_t number) {
  auto& disk = disks[server];
  while (!disk.pending.empty() && disk.pending.front().number <= number) {
    auto& write = disk.pending.front();
    bool named = write.next && write.next->life != disk.durable.life && disk.durable.segments > 0;
    perform(disk.durable, write);
    if (named) disk.muted = false;
    for (auto& [index, stamp] : write.entries) count(server, write.segment, index, stamp);
    if (!write.facts.empty()) {
      countFacts(server, write.segment, disk.durable.logs[write.segment]);
    }
    disk.pending.pop_front();
  }
}

void Ledger::wiped(core::MemberId server) {
  auto& disk = disks[server];
  disk = Disk();
  disk.muted = true;
}

// ---------------------------------------------------------------------------------------- quorums

void Ledger::count(core::MemberId server, std::uint32_t segment, core::Index index,
                   core::Fence stamp) {
  if (disks[server].muted || voters.count(server) == 0 || index <= decidedAs.size()) return;
  auto& list = holders[{segment, index}];
  for (auto& holder : list) {
    if (holder.stamp != stamp) continue;
    holder.servers |= std::uint64_t{1} << server;
    return;
  }
  list.push_back({stamp, std::uint64_t{1} << server});
}

void Ledger::countFacts(core::MemberId server, std::uint32_t segment, const Log& log) {
  if (disks[server].muted || voters.count(server) == 0) return;
  auto& highest = promised[{server, segment}];
  for (auto& [name, value] : log.facts) {
    if (name.rfind(OF_CONSENSUS, 0) == 0) highest = std::max(highest, value);
  }
}

void Ledger::decided(core::MemberId server, core::Index index) {
  if (voters.empty()) return;
  auto& logs = disks[server].newest.logs;
  for (auto log = logs.rbegin(); log != logs.rend(); ++log) {
    auto entry = log->second.entries.find(index);
    if (entry == log->second.entries.end()) continue;
    auto stamp = entry->second;
    std::size_t disksThatHold = 0;
    for (auto& holder : holders[{log->first, index}]) {
      if (holder.stamp == stamp) disksThatHold = __builtin_popcountll(holder.servers);
    }
    decidedAs.emplace_back(log->first, stamp);
    holders.erase({log->first, index});
    if (disksThatHold < quorum()) {
      story.violate("quorum", "index " + std::to_string(index) + " was decided at " + name(server) +
                                  " while " + std::to_string(disksThatHold) + " of " +
                                  std::to_string(voters.size()) + " voters' disks held it");
    }
    return;
  }
  decidedAs.emplace_back();
  story.violate("quorum", "index " + std::to_string(index) + " was applied at " + name(server) +
                              ", which never wrote it");
}

void Ledger::standing(core::MemberId server, std::uint32_t segment,
                      const core::Standing& standing) {
  auto& claim = disks[server].claim;
  if (standing.phase <= core::Standing::CLAIMING) {
    claim = {segment, standing.fence};
    return;
  }
  if (standing.fence != 0 && claim == std::make_pair(segment, standing.fence)) {
    claim = {};
    checkPromises(server, segment, standing.fence);
  }
  if (standing.phase == core::Standing::LEADING) checkCompleteness(server, segment, standing.fence);
}

/// Who claimed a fence and goes on has a quorum's promises: whatever a protocol calls them, they are
/// facts on disks that say this fence or a higher one.
void Ledger::checkPromises(core::MemberId server, std::uint32_t segment, core::Fence fence) {
  std::size_t promises = 0;
  for (auto voter : voters) {
    auto found = promised.find({voter, segment});
    promises += found != promised.end() && found->second >= fence;
  }
  if (promises >= quorum()) return;
  story.violate("promises", name(server) + " goes on under fence " + std::to_string(fence) +
                                " while " + std::to_string(promises) + " of " +
                                std::to_string(voters.size()) + " voters' disks say it");
}

/// Log matching: one equal stamp means an equal log up to there. A leader may learn late that it once was
/// established: what was decided under higher fences meanwhile is not for it to hold.
void Ledger::checkCompleteness(core::MemberId server, std::uint32_t segment, core::Fence fence) {
  auto index = decidedAs.size();
  while (index > 0 && decidedAs[index - 1].first == segment && decidedAs[index - 1].second > fence) {
    index--;
  }
  if (index == 0 || decidedAs[index - 1].first != segment) return;
  auto& held = disks[server].newest;
  if (held.base >= index) return;
  auto& entries = held.logs[segment].entries;
  auto entry = entries.find(index);
  if (entry != entries.end() && entry->second == decidedAs[index - 1].second) return;
  story.violate("leader-completeness", name(server) + " leads and does not hold index " +
                                           std::to_string(index) + ", which is decided");
}

}  // namespace polyquorum::simulator
