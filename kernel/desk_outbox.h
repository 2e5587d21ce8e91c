// SPDX-License-Identifier: Apache-2.0
// What one API plugin is told: deliveries written straight into the message of the next call, one
// call at a time, one per turn. Decides nothing.
#pragma once
#include <capnp/orphan.h>
#include <kj/async.h>
#include <cstdint>
#include <deque>
#include "interfaces/coordination.capnp.h"
#include "sdk/later.h"
#include "state/state.h"

namespace polyquorum::kernel {

class DeskOutbox {
public:
  using Error = polyquorum::Error;

  /// failures hears when the plugin throws; outlives this.
  explicit DeskOutbox(kj::TaskSet::ErrorHandler& failures)
      : DeskOutbox(failures, kj::newPromiseAndFulfiller<coordination::Outbox::Client>()) {}
  KJ_DISALLOW_COPY(DeskOutbox);

  /// Until then deliveries wait.
  void set(coordination::Outbox::Client client);

  void reply(std::uint64_t session, std::uint64_t index, std::uint64_t token,
             const state::Outcome& outcome);
  void error(std::uint64_t session, std::uint64_t index, std::uint64_t token, Error error);
  /// To be filled at once.
  polyquorum::Answer::Builder answer(std::uint64_t session, std::uint64_t index,
                                     std::uint64_t token);
  void event(std::uint64_t session, std::uint64_t index, kj::StringPtr path,
             polyquorum::Change::What what);
  void gap(std::uint64_t session, std::uint64_t index, kj::StringPtr why);
  void ended(std::uint64_t session, std::uint64_t index, Error why);
  void adrift(std::uint64_t session, std::uint64_t index, kj::StringPtr why);

  /// Grows with every batch that leaves: what was added under an older number is no longer here.
  std::uint64_t turn() const { return sent; }
  /// Approximate size of what waits for the plugin.
  std::uint64_t bytes() const { return bytesWaiting; }
  /// Counts payload written through answer().
  void count(std::uint64_t bytes);
  /// Resolves when all that was added has been taken by the plugin.
  kj::Promise<void> drained();

private:
  using Params = coordination::Outbox::DeliverParams;
  using Results = coordination::Outbox::DeliverResults;
  using Deliveries = capnp::List<coordination::Delivery>;

  struct Batch {
    capnp::Request<Params, Results> request;
    capnp::Orphan<Deliveries> list;
    Deliveries::Builder slots;
    unsigned count = 0;
    std::uint64_t bytes = 0;
  };

  coordination::Delivery::Builder next(std::uint64_t session, std::uint64_t index);
  void open();
  void schedule();
  void flush();

  DeskOutbox(kj::TaskSet::ErrorHandler& failures,
             kj::PromiseFulfillerPair<coordination::Outbox::Client> given)
      : client(kj::mv(given.promise)), giver(kj::mv(given.fulfiller)), tasks(failures),
        turnsEnd(failures, [this]() { flush(); }) {}

  coordination::Outbox::Client client;
  kj::Own<kj::PromiseFulfiller<coordination::Outbox::Client>> giver;
  std::deque<Batch> batches;
  kj::TaskSet tasks;
  sdk::Later turnsEnd;
  unsigned capacity = 16;
  std::uint64_t sent = 1, bytesWaiting = 0;
  bool delivering = false;
  kj::Vector<kj::Own<kj::PromiseFulfiller<void>>> waiters;
};

}  // namespace polyquorum::kernel
