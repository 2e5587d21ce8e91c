// SPDX-License-Identifier: Apache-2.0
// See out_queue.h.
#include "out_queue.h"
#include <kj/debug.h>

namespace polyquorum::tcp {
namespace {

/// Neighbours in one chunk become one slice up to this size: fewer pieces for the system call, and
/// still no long wait for a more important lane.
constexpr std::size_t MERGE_MAX = 64 << 10;

}  // namespace

bool OutQueue::push(std::size_t lane, Chunk& chunk, kj::ArrayPtr<const kj::byte> frames) {
  auto& waiting = lanes[lane];
  if (rules[lane].conflate) {
    std::size_t keep = begun == lane ? 1 : 0;
    while (waiting.slices.size() > keep) {
      bytes -= waiting.slices.back().frames.size();
      waiting.bytes -= waiting.slices.back().frames.size();
      waiting.slices.pop_back();
    }
  } else if (waiting.bytes + frames.size() > rules[lane].bytesMax) {
    return false;
  }
  waiting.bytes += frames.size();
  bytes += frames.size();
  if (!rules[lane].conflate && !waiting.slices.empty()) {
    auto& last = waiting.slices.back();
    bool mayGrow = begun != lane || waiting.slices.size() > 1;
    if (mayGrow && last.chunk.get() == &chunk && last.frames.end() == frames.begin() &&
        last.frames.size() + frames.size() <= MERGE_MAX) {
      last.frames = kj::arrayPtr(last.frames.begin(), frames.end());
      return true;
    }
  }
  waiting.slices.push_back({kj::addRef(chunk), frames});
  return true;
}

bool OutQueue::gather(Pieces& pieces, std::size_t piecesMax, std::size_t bytesMax) const {
  std::size_t total = 0;
  auto add = [&](const Slice& slice) {
    if (pieces.size() >= piecesMax || total >= bytesMax) return false;
    pieces.push_back(slice.frames);
    total += slice.frames.size();
    return true;
  };
  if (begun != NONE && !add(lanes[begun].slices.front())) return false;
  for (std::size_t lane = 0; lane < lanes.size(); lane++) {
    auto& slices = lanes[lane].slices;
    for (std::size_t i = lane == begun ? 1 : 0; i < slices.size(); i++) {
      if (!add(slices[i])) return false;
    }
  }
  return true;
}

std::size_t OutQueue::take(std::size_t lane, std::size_t size) {
  auto& waiting = lanes[lane];
  std::size_t taken = 0;
  while (taken < size && !waiting.slices.empty()) {
    auto& slice = waiting.slices.front();
    auto part = kj::min(size - taken, slice.frames.size());
    taken += part;
    waiting.bytes -= part;
    bytes -= part;
    if (part < slice.frames.size()) {
      slice.frames = slice.frames.slice(part, slice.frames.size());
      begun = lane;
      return taken;
    }
    waiting.slices.pop_front();
    if (begun == lane) {
      begun = NONE;
      return taken;  // what was begun came first, then the lanes in their order again
    }
  }
  return taken;
}

void OutQueue::consumed(std::size_t size) {
  if (begun != NONE) size -= take(begun, size);
  for (std::size_t lane = 0; lane < lanes.size() && size > 0; lane++) size -= take(lane, size);
  KJ_ASSERT(size == 0, "the socket took more than was given");
}

}  // namespace polyquorum::tcp
