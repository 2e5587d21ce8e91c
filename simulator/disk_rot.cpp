// SPDX-License-Identifier: Apache-2.0
// What disks do to data: bits that flip, sectors that go back, writes that land elsewhere, no space;
// see disk.h.
#include <kj/debug.h>
#include <algorithm>
#include <cstring>
#include "simulator/disk.h"

namespace polyquorum::simulator {
namespace {

constexpr std::uint64_t SYNCS_TO_SETTLE = 2;

}  // namespace

std::vector<Disk::Place> Disk::settled(const std::string& prefix, std::uint64_t syncsSince) const {
  std::vector<Place> out;
  for (auto found = current.lower_bound(prefix);
       found != current.end() && found->first.compare(0, prefix.size(), prefix) == 0; ++found) {
    auto& inode = *found->second;
    auto sectors = std::min<std::uint64_t>(inode.syncedAt.size(), inode.size / SECTOR);
    for (std::uint64_t number = 0; number < sectors; number++) {
      auto at = inode.syncedAt[number];
      if (at == 0 || inode.dataSyncs < at + syncsSince || inode.isTouched[number]) continue;
      auto* bytes = inode.bytes.data() + number * SECTOR;
      bool holds = std::any_of(bytes, bytes + SECTOR, [](kj::byte byte) { return byte != 0; });
      if (holds) out.push_back({found->first, number});
    }
  }
  return out;
}

void Disk::flip(const Place& place, std::uint64_t bit) {
  auto& inode = *current.at(place.file);
  inode.sector(place.sector)[bit / 8 % SECTOR] ^= 1 << (bit % 8);
}

bool Disk::goBack(const Place& place) {
  auto& inode = *current.at(place.file);
  auto older = inode.older.find(place.sector);
  if (older == inode.older.end()) return false;
  memcpy(inode.sector(place.sector), older->second.data(), SECTOR);
  inode.older.erase(older);
  return true;
}

bool Disk::goesAstray(const std::string& file, const std::shared_ptr<Inode>& inode,
                      std::uint64_t offset, kj::ArrayPtr<const kj::byte> data) {
  if (!misdirecting() || file.compare(0, stray.first.size(), stray.first) != 0) return false;
  auto place = stray.second;
  auto hit = current.find(place.file);
  auto at = place.sector * SECTOR;
  if (hit == current.end() || at >= hit->second->size) return false;
  if (hit->second == inode && at == offset) return false;
  stray = {};
  // No more than the sector that has settled: zeros for a whole file would take the log's very end too.
  auto bytes = std::min({data.size(), hit->second->size - at, SECTOR});
  strayed = std::make_shared<Strayed>();
  strayed->meant = inode;
  strayed->hit = hit->second;
  strayed->offset = offset;
  strayed->hitOffset = at;
  strayed->syncs = inode->syncs;
  strayed->data.assign(data.begin(), data.end());
  strayed->overwritten.resize(bytes);
  read(*hit->second, at, kj::arrayPtr(strayed->overwritten.data(), bytes));
  if (offset + data.size() > inode->size) resize(*inode, offset + data.size());
  write(*hit->second, at, data.slice(0, bytes));
  return true;
}

void Disk::undoStray() {
  stray = {};
  auto was = std::move(strayed);
  strayed = nullptr;
  if (was == nullptr || was->meant->syncs >= was->syncs + SYNCS_TO_SETTLE) return;
  auto put = [](Inode& inode, std::uint64_t offset, const std::vector<kj::byte>& bytes) {
    if (inode.bytes.size() < offset + bytes.size()) {
      inode.bytes.resize((offset + bytes.size() + SECTOR - 1) / SECTOR * SECTOR);
    }
    memcpy(inode.bytes.data() + offset, bytes.data(), bytes.size());
  };
  put(*was->hit, was->hitOffset, was->overwritten);
  if (was->meant->syncs > was->syncs) {
    put(*was->meant, was->offset, was->data);
  } else {
    write(*was->meant, was->offset, kj::arrayPtr(was->data.data(), was->data.size()));
  }
}

void Disk::needSpace(const Inode* inode, std::uint64_t end) {
  if (!full || (inode != nullptr && end <= inode->size)) return;
  if (refused) refused();
  kj::throwFatalException(KJ_EXCEPTION(OVERLOADED, "No space left on device (simulated)"));
}

}  // namespace polyquorum::simulator
