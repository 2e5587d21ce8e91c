// SPDX-License-Identifier: Apache-2.0
// The newest part of the log in memory; see log.h.
#include "kernel/log.h"

namespace polyquorum::kernel {

std::size_t Log::sizeOf(const Slot& slot) {
  std::size_t bytes = sizeof(Slot);
  KJ_IF_MAYBE(body, slot.body) bytes += (*body)->bytes().size();
  return bytes;
}

void Log::put(core::Index index, core::Fence stamp, kj::Maybe<BodyRef> body) {
  if (index < firstIndex) return;
  auto place = index - firstIndex;
  while (slots.size() <= place) {
    slots.emplace_back();
    bytesHeld += sizeof(Slot);
  }
  auto& slot = slots[place];
  bytesHeld -= sizeOf(slot);
  slot.stamp = stamp;
  slot.present = true;
  slot.body = kj::mv(body);
  bytesHeld += sizeOf(slot);
}

void Log::truncateFrom(core::Index index) {
  if (index < firstIndex) {
    slots.clear();
    bytesHeld = 0;
    firstIndex = index;
    return;
  }
  while (!slots.empty() && last() >= index) {
    bytesHeld -= sizeOf(slots.back());
    slots.pop_back();
  }
}

void Log::restart(core::Index index) {
  while (!slots.empty() && firstIndex <= index) {
    bytesHeld -= sizeOf(slots.front());
    slots.pop_front();
    firstIndex++;
  }
  if (slots.empty()) firstIndex = index + 1;
}

const Log::Slot* Log::find(core::Index index) const {
  if (index < firstIndex || index >= firstIndex + slots.size()) return nullptr;
  auto& slot = slots[index - firstIndex];
  return slot.present ? &slot : nullptr;
}

void Log::shrink(std::size_t bytesMax, core::Index keepFrom) {
  while (bytesHeld > bytesMax && !slots.empty() && firstIndex < keepFrom) {
    bytesHeld -= sizeOf(slots.front());
    slots.pop_front();
    firstIndex++;
  }
}

}  // namespace polyquorum::kernel
