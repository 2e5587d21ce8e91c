// SPDX-License-Identifier: Apache-2.0
// The newest part of the log in memory: what the driver applies and sends without asking the disk.
// Durability is the storage's; this may run ahead of it.
#pragma once
#include <kj/memory.h>
#include <deque>
#include "kernel/body.h"
#include "sdk/core.h"

namespace polyquorum::kernel {

/// Entries from first() to last(), holes allowed (Multi-Paxos). Older ones are on the disk only.
class Log {
public:
  struct Slot {
    core::Fence stamp = 0;
    bool present = false;
    kj::Maybe<BodyRef> body;  ///< nullptr: a no-op
  };

  core::Index first() const { return firstIndex; }
  /// first() - 1 if there is nothing in memory.
  core::Index last() const { return firstIndex + slots.size() - 1; }

  /// The last put for an index wins. Below first(): ignored (the disk has it).
  void put(core::Index index, core::Fence stamp, kj::Maybe<BodyRef> body);
  void truncateFrom(core::Index index);
  /// Everything up to index is inside a snapshot or an earlier segment now.
  void restart(core::Index index);
  /// Nullptr if the entry is not in memory.
  const Slot* find(core::Index index) const;

  /// Forgets the oldest entries while more than bytesMax are held, none above keepFrom.
  void shrink(std::size_t bytesMax, core::Index keepFrom);
  std::size_t bytes() const { return bytesHeld; }

private:
  core::Index firstIndex = 1;
  std::deque<Slot> slots;
  std::size_t bytesHeld = 0;
  static std::size_t sizeOf(const Slot& slot);
};

}  // namespace polyquorum::kernel
