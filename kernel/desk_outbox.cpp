// SPDX-License-Identifier: Apache-2.0
// Deliveries to one API plugin; see desk_outbox.h.
#include "kernel/desk_outbox.h"
#include <algorithm>

namespace polyquorum::kernel {
namespace {

constexpr unsigned CAPACITY_MIN = 4, CAPACITY_MAX = 512;
constexpr std::uint64_t DELIVERY_WORDS = 1 + sizeof(std::uint64_t);

}  // namespace

void DeskOutbox::set(coordination::Outbox::Client outbox) {
  giver->fulfill(kj::cp(outbox));
  client = kj::mv(outbox);
}

void DeskOutbox::open() {
  auto request =
      client.deliverRequest(capnp::MessageSize{16 + capacity * DELIVERY_WORDS * 4, 0});
  auto list = capnp::Orphanage::getForMessageContaining(Params::Builder(request))
                  .newOrphan<Deliveries>(capacity);
  auto slots = list.get();
  batches.push_back(Batch{kj::mv(request), kj::mv(list), slots});
}

coordination::Delivery::Builder DeskOutbox::next(std::uint64_t session, std::uint64_t index) {
  if (batches.empty() || batches.back().count == batches.back().slots.size()) {
    if (!batches.empty()) capacity = std::min(capacity * 2, CAPACITY_MAX);
    open();
  }
  schedule();
  auto& batch = batches.back();
  batch.bytes += DELIVERY_WORDS * sizeof(capnp::word);
  bytesWaiting += DELIVERY_WORDS * sizeof(capnp::word);
  auto delivery = batch.slots[batch.count++];
  delivery.setSession(session);
  delivery.setIndex(index);
  return delivery;
}

void DeskOutbox::count(std::uint64_t bytes) {
  batches.back().bytes += bytes;
  bytesWaiting += bytes;
}

void DeskOutbox::reply(std::uint64_t session, std::uint64_t index, std::uint64_t token,
                       const state::Outcome& outcome) {
  auto reply = next(session, index).initReply();
  reply.setToken(token);
  state::write(outcome, reply.initOutcome());
  count(outcome.path.size());
}

void DeskOutbox::error(std::uint64_t session, std::uint64_t index, std::uint64_t token,
                       Error error) {
  auto reply = next(session, index).initReply();
  reply.setToken(token);
  reply.initOutcome().setError(error);
}

polyquorum::Answer::Builder DeskOutbox::answer(std::uint64_t session, std::uint64_t index,
                                               std::uint64_t token) {
  auto reply = next(session, index).initReply();
  reply.setToken(token);
  return reply.initAnswer();
}

void DeskOutbox::event(std::uint64_t session, std::uint64_t index, kj::StringPtr path,
                       polyquorum::Change::What what) {
  auto event = next(session, index).initEvent();
  event.setPath(path);
  event.setWhat(what);
  count(path.size());
}

void DeskOutbox::gap(std::uint64_t session, std::uint64_t index, kj::StringPtr why) {
  next(session, index).setGap(why);
}

void DeskOutbox::ended(std::uint64_t session, std::uint64_t index, Error why) {
  next(session, index).setEnded(why);
}

void DeskOutbox::adrift(std::uint64_t session, std::uint64_t index, kj::StringPtr why) {
  next(session, index).setAdrift(why);
}

void DeskOutbox::schedule() {
  if (!delivering) turnsEnd.last();
}

void DeskOutbox::flush() {
  if (delivering || batches.empty()) return;
  auto batch = kj::mv(batches.front());
  batches.pop_front();
  if (batches.empty()) {
    capacity = std::clamp(std::max(capacity / 2, batch.count), CAPACITY_MIN, CAPACITY_MAX);
  }
  sent++;
  batch.list.truncate(batch.count);
  Params::Builder(batch.request).adoptDeliveries(kj::mv(batch.list));
  delivering = true;
  tasks.add(batch.request.send().ignoreResult().then([this, bytes = batch.bytes] {
    delivering = false;
    bytesWaiting -= bytes;
    if (!batches.empty()) {
      schedule();
    } else {
      for (auto& waiter : waiters) waiter->fulfill();
      waiters.clear();
    }
  }));
}

kj::Promise<void> DeskOutbox::drained() {
  if (!delivering && batches.empty()) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  waiters.add(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

}  // namespace polyquorum::kernel
