// SPDX-License-Identifier: Apache-2.0
// Names for the bodies that one core holds: the driver keeps the bytes, the core a number. See Ticket in
// consensus.capnp.
#pragma once
#include <cstdint>
#include <vector>
#include "kernel/body.h"

namespace polyquorum::kernel {

class Tickets {
public:
  /// One more hold on this body; good until released. Never 0.
  std::uint64_t give(BodyRef body) {
    if (unused.empty()) {
      slots.push_back(kj::mv(body));
      return slots.size();
    }
    auto place = unused.back();
    unused.pop_back();
    slots[place] = kj::mv(body);
    return place + 1;
  }

  /// The body of a ticket that is still held. 0 is a no-op: none.
  kj::Maybe<BodyRef> find(std::uint64_t ticket) {
    if (ticket == 0) return nullptr;
    KJ_REQUIRE(ticket <= slots.size() && slots[ticket - 1].get() != nullptr,
               "a core used a ticket that it does not hold", ticket);
    return slots[ticket - 1]->share();
  }

  void release(std::uint64_t ticket) {
    KJ_REQUIRE(ticket != 0 && ticket <= slots.size() && slots[ticket - 1].get() != nullptr,
               "a core released a ticket that it does not hold", ticket);
    slots[ticket - 1] = nullptr;
    unused.push_back(ticket - 1);
  }

private:
  std::vector<BodyRef> slots;
  std::vector<std::uint64_t> unused;
};

}  // namespace polyquorum::kernel
