// SPDX-License-Identifier: Apache-2.0
// The requests of all connections of one turn of the loop, built as one list for one call of the
// desk. Decides nothing.
#pragma once
#include <kj/async.h>
#include <cstdint>
#include "interfaces/coordination.capnp.h"

namespace polyquorum::zookeeper {

/// Owned by the server. Slots are handed out one at a time; submit() sends those that were taken.
class Batch {
public:
  explicit Batch(coordination::Desk::Client desk) : desk(kj::mv(desk)) {}

  /// The next free slot. Asking again without take() gives the same one. The list holds room for a
  /// bounded number: when it is full it goes to `submitted` and a new one begins.
  coordination::Request::Builder slot(std::uint64_t token, std::uint64_t session);
  /// The slot last given is filled.
  void take() { count++; }
  bool empty() const { return count == 0 && full.size() == 0; }

  /// Sends everything taken, in order. The promise rejects if the desk failed.
  kj::Promise<void> submit();

private:
  coordination::Desk::Client desk;
  using Call = capnp::Request<coordination::Desk::SubmitParams, coordination::Desk::SubmitResults>;
  kj::Maybe<Call> call;
  capnp::List<coordination::Request>::Builder list;
  unsigned count = 0, room = 0, expected = 16;
  kj::Vector<kj::Promise<void>> full;

  void begin();
  kj::Promise<void> send();
};

}  // namespace polyquorum::zookeeper
