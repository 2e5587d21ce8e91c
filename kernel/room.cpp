// SPDX-License-Identifier: Apache-2.0
// See room.h.
#include "kernel/room.h"

namespace polyquorum::kernel {
namespace {

// Above the limit by so much before it counts as room again: no flapping.
constexpr std::uint64_t DISK_SLACK = 16 << 20;
constexpr std::uint64_t MEMORY_SLACK = 20;  // one part in so many
constexpr std::uint64_t NEAR = 8;           // times what is needed

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

void Room::disk(std::uint64_t free, std::uint64_t needed) {
  diskFree = free;
  diskNeeded = needed;
  diskFull = free < needed + (diskFull ? DISK_SLACK : 0);
  diskNear = free / NEAR < needed;
}

void Room::memory(std::uint64_t used) {
  memoryUsed = used;
  memoryFull = used > stateMax - (memoryFull ? stateMax / MEMORY_SLACK : 0);
}

std::string Room::why() const {
  if (diskFull) {
    return "the disk has " + mebibytes(diskFree) + " free and " + mebibytes(diskNeeded) +
           " are kept for what must still be written; free some space, it goes on by itself";
  }
  if (memoryFull) {
    return "the state takes " + mebibytes(memoryUsed) + " of memory and may take " +
           mebibytes(stateMax) + "; delete nodes or raise limits.memory";
  }
  return "";
}

}  // namespace polyquorum::kernel
