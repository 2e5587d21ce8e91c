// SPDX-License-Identifier: Apache-2.0
// What disks do to data: rot, misdirected and stale sectors, no space, slow syncs. Drawn apart from
// the other faults, which come as if there were none of these. Fault 1001 is the first of them.
#include <algorithm>
#include "simulator/faults.h"

namespace polyquorum::simulator {
namespace {

constexpr double ROT_PERCENT = 40, KIND_PERCENT = 60;
/// A log's last group may be taken for a torn one until another follows it.
constexpr std::uint64_t SYNCS_TO_SETTLE = 2;
const char* const FILES[] = {"wal-", "wal-", "wal-", "snapshot-", "identity"};

}  // namespace

void Faults::drawDiskKinds() {
  auto draw = random.split("kinds of disks");
  bool rots = draw.chance(ROT_PERCENT);
  for (auto kind : {BIT_ROT, MISDIRECTED_WRITE, STALE_SECTOR}) {
    if (rots && draw.chance(KIND_PERCENT)) disks.kinds.push_back(kind);
  }
  // Of a majority every disk is sound, so that each entry is whole on one of any quorum's.
  if (!disks.kinds.empty()) {
    std::vector<core::MemberId> voters;
    for (auto id : ids) {
      if (!world.observer(id)) voters.push_back(id);
    }
    if (voters.size() < 3) disks.kinds.clear();
    for (auto count = (voters.size() - 1) / 2; count > 0; count--) {
      auto chosen = voters.begin() + draw.below(voters.size());
      unsound.push_back(*chosen);
      world.servers.at(*chosen).disk->remembersOlder = true;
      voters.erase(chosen);
    }
  }
  for (auto kind : {FULL_DISK, SLOW_SYNC}) {
    if (draw.chance(ROT_PERCENT)) disks.kinds.push_back(kind);
  }
}

/// With a server whose disk is not sound no other may lose all that it has.
bool Faults::mayWipe(core::MemberId id) const {
  return unsound.empty() || std::find(unsound.begin(), unsound.end(), id) != unsound.end();
}

void Faults::rot(Kind kind, Draw draw) {
  auto id = unsound[draw->below(unsound.size())];
  auto& server = world.servers.at(id);
  auto& disk = *server.disk;
  auto prefix = FILES[draw->below(std::size(FILES))];
  bool log = prefix[0] == 'w';
  auto places = disk.settled(prefix, log ? SYNCS_TO_SETTLE : 0);
  if (places.empty()) return;
  auto place = places[draw->below(places.size())];
  auto where = place.file + " at " + std::to_string(place.sector * SECTOR) + " of server " +
               std::to_string(id);
  if (kind == BIT_ROT) {
    disk.flip(place, draw->below(SECTOR * 8));
    took(draw, kind, {id}, "a bit flips in " + where);
  } else if (kind == STALE_SECTOR) {
    if (!disk.goBack(place)) return;
    took(draw, kind, {id}, "a sector is what it was before: " + where);
  } else {
    if (!server.up()) return;
    static const char* const WRITTEN[] = {"wal-", "wal-", "snapshot-"};
    auto written = WRITTEN[draw->below(std::size(WRITTEN))];
    disk.misdirect(written, place);
    took(draw, kind, {id}, std::string("the next write to ") + written + " lands in " + where);
  }
  world.spoil(id);
  story.count(NAMES[kind]);
  // What nobody reads nobody finds.
  if (!draw->chance(60)) return;
  plan(draw, 200, 4000, [this, id, draw]() {
    if (!world.servers.at(id).up()) return;
    down(id, draw->chance(50));
    restartLater(id, draw);
  });
}

void Faults::fullDisk(Draw draw) {
  auto id = someone(draw);
  auto& disk = *world.servers.at(id).disk;
  took(draw, FULL_DISK, {id}, "the disk of server " + std::to_string(id) + " is full");
  story.count(NAMES[FULL_DISK]);
  disk.full = true;
  disk.refused = [this, id]() {
    world.servers.at(id).diskFailed = true;
    story.count("refused for want of space");
  };
  plan(draw, 300, 8000, [this, id]() {
    story.tell(Event::CURE, id, "the disk of server " + std::to_string(id) + " has space again");
    world.servers.at(id).disk->full = false;
  });
}

void Faults::slowSync(Draw draw) {
  auto id = someone(draw);
  auto& server = world.servers.at(id);
  server.diskTiming.sync = draw->between(5, 900) * kj::MILLISECONDS;
  took(draw, SLOW_SYNC, {id}, "syncs of server " + std::to_string(id) + " are slow");
  story.count(NAMES[SLOW_SYNC]);
  if (server.up()) server.environment->timing = server.diskTiming;
  plan(draw, 500, 8000, [this, id]() {
    auto& healed = world.servers.at(id);
    healed.diskTiming.sync = 0 * kj::SECONDS;
    if (healed.up()) healed.environment->timing = healed.diskTiming;
  });
}

/// What its operator does to a server that stopped: first it is only started again; if it stops over
/// damage once more, it begins anew with an empty disk.
void Faults::repair(core::MemberId id) {
  if (!world.servers.at(id).rotten || ++stops[id] < 2) return;
  stops[id] = 0;
  story.tell(Event::LOG, id, "its operator empties its disk");
  story.count("emptied after damage");
  world.wipe(id);
}

}  // namespace polyquorum::simulator
