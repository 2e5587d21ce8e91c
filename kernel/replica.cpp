// SPDX-License-Identifier: Apache-2.0
// Applying what is decided; see replica.h.
#include "kernel/replica.h"
#include <kj/debug.h>
#include <algorithm>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

constexpr std::uint32_t REPLAY_BYTES = 4 << 20;

}  // namespace

void Replica::commit(core::Index index) {
  KJ_ASSERT(index >= committed, "consensus took back what it had decided", index, committed);
  committed = index;
}

bool Replica::apply(std::size_t countMax) {
  bool any = false;
  for (; countMax > 0 && holds == 0 && !reading && position.index < committed; countMax--) {
    auto next = position.index + 1;
    while (!replay.empty() && replay.front().index < next) replay.pop_front();
    if (!replay.empty() && replay.front().index == next) {
      auto entry = kj::mv(replay.front());
      replay.pop_front();
      applyOne(entry.stamp, kj::mv(entry.body));
    } else if (auto* slot = log.find(next)) {
      kj::Maybe<BodyRef> body;
      KJ_IF_MAYBE(held, slot->body) body = const_cast<SharedBody&>(**held).share();
      applyOne(slot->stamp, kj::mv(body));
    } else {
      missing = true;
      break;
    }
    any = true;
  }
  return any;
}

void Replica::applyOne(core::Fence stamp, kj::Maybe<BodyRef> shared) {
  auto index = position.index + 1;
  position = {stamp, index};
  KJ_IF_MAYBE(body, shared) {
    BodyReader reader(**body);
    auto text = reader.get();
    listener.applied(index, text, tree->apply(index, text));
    // Of several seals the first valid one counts; a later or repeated one is void.
    if (text.isSeal() && text.getSeal().getId() == chain.size()) {
      auto next = copySegment(text.getSeal());
      next->getRoot<Segment>().setBase(index);
      hold();
      committed = index;  // what is above the seal is void
      if (!MUTANT("kernel.void.seal")) replay.clear();
      listener.sealed(next->getRoot<Segment>().asReader());
    }
  } else {
    listener.applied(index, nullptr, tree->apply(index));
  }
}

kj::Maybe<kj::Promise<void>> Replica::refill() {
  if (!missing || reading || held()) return nullptr;
  missing = false;
  reading = true;
  auto first = position.index + 1;
  auto request = storage.readRequest();
  request.setSegment(chain.holding(first));
  request.setFirst(first);
  request.setLast(committed);
  request.setBytesMax(REPLAY_BYTES);
  return request.send().then([this, first](auto response) {
    reading = false;
    if (position.index + 1 != first) return;  // an image came between
    auto entries = response.getEntries();
    KJ_REQUIRE(entries.size() > 0 && entries[0].getIndex() == first,
               "a decided entry is neither in memory nor on this disk: the log is damaged; wipe this "
               "server's data directory and start it again, it will learn from the others", first);
    replay.clear();
    for (auto entry : entries) {
      // Behind a hole is what the next read is for: it asks for the hole itself.
      if (entry.getIndex() != first + replay.size()) break;
      MailEntry copy{entry.getIndex(), entry.getStamp(), nullptr};
      if (entry.getBody().size() > 0) copy.body = copyBody(entry.getBody());
      replay.push_back(kj::mv(copy));
    }
  });
}

void Replica::install(std::unique_ptr<state::State> image, core::Position at) {
  tree = kj::mv(image);
  position = at;
  committed = std::max(committed, at.index);
  replay.clear();
  missing = false;
  log.restart(at.index);
}

}  // namespace polyquorum::kernel
