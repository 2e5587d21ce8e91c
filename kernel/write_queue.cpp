// SPDX-License-Identifier: Apache-2.0
// The one queue of writes of a node; see write_queue.h.
#include "kernel/write_queue.h"
#include <kj/debug.h>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

std::size_t sizeOf(const PendingWrite& write) {
  std::size_t bytes = 128 + 32 * write.entries.size() + 64 * write.facts.size();
  for (auto& entry : write.entries) {
    KJ_IF_MAYBE(body, entry.body) bytes += (*body)->bytes().size() + 8;
  }
  if (write.next != nullptr) bytes += write.next->sizeInWords() * sizeof(capnp::word);
  return bytes;
}

void fill(storage::Write::Builder out, const PendingWrite& write) {
  out.setSegment(write.segment);
  if (write.base) {
    auto base = out.initBase();
    base.setStamp(write.base->stamp);
    base.setIndex(write.base->index);
  }
  out.setTrim(write.trim);
  out.setTruncateFrom(write.truncateFrom);
  auto entries = out.initEntries(write.entries.size());
  for (unsigned i = 0; i < write.entries.size(); i++) {
    auto& entry = write.entries[i];
    entries[i].setIndex(entry.index);
    entries[i].setStamp(entry.stamp);
    KJ_IF_MAYBE(body, entry.body) entries[i].setBody((*body)->bytes());
  }
  auto facts = out.initFacts(write.facts.size());
  for (unsigned i = 0; i < write.facts.size(); i++) {
    facts[i].setName(write.facts[i].first);
    facts[i].setValue(write.facts[i].second);
  }
  if (write.next != nullptr) out.setNext(write.next->getRoot<Segment>().asReader());
}

}  // namespace

void WriteQueue::add(PendingWrite&& write) {
  added++;
  if (witness != nullptr) witness->queued(added, write);
  writes.push_back(kj::mv(write));
}

void WriteQueue::hold(Claims&& claims) {
  if (claims.empty()) return;
  if (settled() || MUTANT("kernel.claims.wait")) {
    release(kj::mv(claims));
  } else {
    waiting.push_back({added, kj::mv(claims)});
  }
}

kj::Maybe<kj::Promise<void>> WriteQueue::flush() {
  if (writes.empty()) return nullptr;
  std::size_t bytes = 0;
  for (auto& write : writes) bytes += sizeOf(write);
  auto request = storage.writeRequest(capnp::MessageSize{bytes / sizeof(capnp::word) + 16, 0});
  auto list = request.initWrites(writes.size());
  for (unsigned i = 0; i < writes.size(); i++) fill(list[i], writes[i]);
  writes.clear();
  return request.send().then([this, number = added](auto&&) { reached(number); });
}

void WriteQueue::reached(std::uint64_t number) {
  // Storage answers in order, but the loop may bring two answers in the other one (it runs what was
  // just fulfilled first). A write is durable only when every earlier one is, so the later answer
  // says it all.
  if (number <= durable) return;
  durable = number;
  if (witness != nullptr) witness->durable(number);
  while (!waiting.empty() && waiting.front().after <= durable) {
    auto claims = kj::mv(waiting.front().claims);
    waiting.pop_front();
    release(kj::mv(claims));
  }
}

}  // namespace polyquorum::kernel
