// SPDX-License-Identifier: Apache-2.0
// The receiving end of one bulk stream: chunks that its sink has not taken yet.
#pragma once
#include <kj/async.h>
#include <deque>
#include "link.h"

namespace polyquorum::tcp {

struct Link::BulkIn {
  explicit BulkIn(std::uint32_t id) : id(id) {}

  const std::uint32_t id;
  std::deque<kj::Array<kj::byte>> chunks;
  std::uint32_t window = BULK_WINDOW;  ///< what the sender may still send
  bool ended = false;                  ///< no more chunks will come
  bool over = false;                   ///< its answer was sent
  kj::Own<kj::PromiseFulfiller<void>> arrived;
  kj::Promise<void> receiving = nullptr;

  void wake() {
    if (!arrived) return;
    arrived->fulfill();
    arrived = nullptr;
  }
};

}  // namespace polyquorum::tcp
