// SPDX-License-Identifier: Apache-2.0
// What the leader's desk does by itself: read barriers, expiry, reaping; see desk_leader.h.
#include <capnp/serialize.h>
#include <algorithm>
#include "kernel/desk_leader.h"
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

/// Of one entry.
constexpr std::size_t EXPIRED_MAX = 1024, REAPED_MAX = 256;
constexpr std::uint64_t MS_PER_MINUTE = 60000;
/// Tokens of reads and of proposals are told apart by this bit.
constexpr core::Token READ_BIT = core::Token(1) << 62;

}  // namespace

void DeskLeader::read(core::MemberId home, std::uint64_t barrier) {
  if (!leads) return;
  // The newest barrier of a home answers its older ones.
  auto at = std::find_if(gathered.begin(), gathered.end(),
                         [&](const Reading& reading) { return reading.home == home; });
  if (at == gathered.end()) {
    gathered.push_back({home, barrier});
  } else {
    at->barrier = std::max(at->barrier, barrier);
  }
  asking.soon();
}

/// One quorum round for all that came in this turn.
void DeskLeader::askGathered() {
  if (!leads || gathered.empty()) return;
  auto token = READ_BIT | ++lastRead;
  reads[token] = std::move(gathered);
  gathered.clear();
  host.read(token);
}

void DeskLeader::readable(core::Token token, core::Index index) {
  auto at = reads.find(token);
  if (at == reads.end()) return;
  auto group = std::move(at->second);
  reads.erase(at);
  for (auto& reading : group) tellReadable(reading.home, reading.barrier, index);
}

void DeskLeader::proposeOwn(kj::Function<void(polyquorum::Operation::Builder)> fill) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<polyquorum::Operation>());
  auto words = capnp::messageToFlatArray(message);
  CommandId id;
  id.sequence = tickets.next();
  take(makeCommand(id, words.asBytes()), id, settings.self);
}

bool DeskLeader::touch(std::uint64_t session, std::uint64_t incarnation, kj::TimePoint heard) {
  // It gets a full timeout when its attach is applied here.
  if (ahead(incarnation) && !MUTANT("kernel.touch.ahead")) return true;
  clock.touch(session, heard);
  return !clock.closing(session) || MUTANT("kernel.touch.ending");
}

void DeskLeader::armClock() {
  KJ_IF_MAYBE (moment, clock.next()) clockAlarm.by(*moment);
}

void DeskLeader::ringClock() {
  if (!leads) return;
  auto incarnations = clock.due(timer.now());
  for (std::size_t first = 0; first < incarnations.size(); first += EXPIRED_MAX) {
    auto count = std::min(EXPIRED_MAX, incarnations.size() - first);
    proposeOwn([&](polyquorum::Operation::Builder operation) {
      auto list = operation.initExpire(count);
      for (std::size_t i = 0; i < count; i++) list.set(i, incarnations[first + i]);
    });
  }
  armClock();
}

/// B4: containers and TTL nodes go by ordinary entries that check again.
void DeskLeader::ringReaper() {
  if (!leads) return;
  auto interval = settings.reaping.intervalMs;
  auto countMax = std::max<std::uint64_t>(settings.reaping.perMinute * interval / MS_PER_MINUTE, 1);
  countMax = std::min<std::uint64_t>(countMax, settings.reaping.perMinute);
  auto paths = host.state().reapable(environment.wallTimeMs(), countMax);
  for (std::size_t first = 0; first < paths.size(); first += REAPED_MAX) {
    auto count = std::min(REAPED_MAX, paths.size() - first);
    proposeOwn([&](polyquorum::Operation::Builder operation) {
      auto list = operation.initReap(count);
      for (std::size_t i = 0; i < count; i++) list.set(i, paths[first + i]);
    });
  }
  reapAlarm.by(timer.now() + interval * kj::MILLISECONDS);
}

}  // namespace polyquorum::kernel
