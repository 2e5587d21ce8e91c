// SPDX-License-Identifier: Apache-2.0
// Is there room for a larger state? Disk and memory are looked at before they are full: then writes that
// make the state grow are refused, and all else goes on. (promises.md, P1.5 and P4)
#pragma once
#include <cstdint>
#include <string>

namespace polyquorum::kernel {

class Room {
public:
  /// memoryMax: of the whole server; the state may take three quarters of it.
  explicit Room(std::uint64_t memoryMax) : stateMax(memoryMax / 4 * 3) {}

  /// needed: what storage must still be able to write when no more is taken.
  void disk(std::uint64_t free, std::uint64_t needed);
  /// used: by the state and the log's tail.
  void memory(std::uint64_t used);

  bool full() const { return diskFull || memoryFull; }
  /// Where, how much, and what helps; empty if there is room.
  std::string why() const;
  /// It is time to look at the disk often.
  bool near() const { return diskNear; }

private:
  const std::uint64_t stateMax;
  std::uint64_t diskFree = 0, diskNeeded = 0, memoryUsed = 0;
  bool diskFull = false, diskNear = false, memoryFull = false;
};

}  // namespace polyquorum::kernel
