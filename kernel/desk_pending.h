// SPDX-License-Identifier: Apache-2.0
// What one session, or no session, waits for at its home desk. Plain data.
#pragma once
#include <capnp/message.h>
#include <kj/memory.h>
#include <kj/time.h>
#include <algorithm>
#include <cstdint>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "kernel/body.h"
#include "sdk/core.h"
#include "state/state.h"

namespace polyquorum::kernel {

/// One request that is not answered yet.
struct Pending {
  std::uint64_t number = 0;       ///< of this desk, growing
  core::Token token = 0;          ///< the plugin's
  std::uint64_t incarnation = 0;  ///< writes; of its session
  std::uint64_t sequence = 0;     ///< writes; in its session, or its ticket
  BodyRef body;                   ///< writes only
  kj::Own<capnp::MallocMessageBuilder> request;  ///< all others: a copy of the Request
  core::Index readAt = 0;         ///< barriers, when known: answer when this is applied
  core::Index after = 0;
  kj::TimePoint since = kj::origin<kj::TimePoint>();  ///< when it came
  unsigned door = 0;
  bool barrier = false;           ///< waits for a read barrier
  bool known = false;             ///< the barrier is answered
  bool sent = false;              ///< writes: some leader may have it
  bool onItsWay = false;          ///< writes: sent to the present leader over the present link
  bool counted = false;           ///< writes: in the bytes on their way to another member
  bool proposedHere = false;      ///< writes: this node's log may hold this very body
  bool answered = false;          ///< timed out; keeps its place in the line
  bool attach = false;
  bool unheard = false;           ///< no writes: waits until the leader has heard of its session

  bool write() const { return body.get() != nullptr; }
  /// Does it wait for more than the requests of its session before it?
  bool blocks() const { return barrier || after > 0 || unheard; }
};

/// A vector that is emptied from the front. Numbers ascend in it.
class Line {
public:
  bool empty() const { return head == items.size(); }
  std::size_t size() const { return items.size() - head; }
  Pending& front() { return items[head]; }
  Pending* begin() { return items.data() + head; }
  Pending* end() { return items.data() + items.size(); }
  Pending& push(Pending&& item) {
    items.push_back(kj::mv(item));
    return items.back();
  }
  Pending pop() {
    auto item = kj::mv(items[head++]);
    if (empty()) {
      items.clear();
      head = 0;
    } else if (head >= 64 && head * 2 >= items.size()) {
      items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(head));
      head = 0;
    }
    return item;
  }
  Pending* find(std::uint64_t number) {
    auto at = std::lower_bound(begin(), end(), number, [](const Pending& item, std::uint64_t n) {
      return item.number < n;
    });
    return at != end() && at->number == number ? at : nullptr;
  }

private:
  std::vector<Pending> items;
  std::size_t head = 0;
};

/// A session whose connection is at this node.
struct HomeSession {
  std::uint64_t id = 0, incarnation = 0;
  std::uint32_t timeoutMs = 0;
  unsigned door = 0;
  bool adrift = false;            ///< told so; nothing is answered until it leaves or attaches
  bool ghost = false;             ///< nobody asked for it: only its detach is pending
  bool touchWaits = false;
  bool unheard = false;           ///< something in line is
  bool ending = false;            ///< the leader proposed its end
  std::uint64_t lastSequence = 0;
  std::size_t blockers = 0;       ///< in line; writes behind them are not sent yet
  kj::TimePoint touched = kj::origin<kj::TimePoint>();
  kj::TimePoint known = kj::origin<kj::TimePoint>();  ///< newest sign of life that the leader has
  struct Told {
    kj::TimePoint sign = kj::origin<kj::TimePoint>(), at = kj::origin<kj::TimePoint>();
  };
  Told told, toldNext;  ///< signs of which this is not known yet: the oldest, the newest
  Line line;
  std::vector<state::Identity> identities;   ///< who is told of its watches
  std::uint64_t eventTurn = 0, eventBytes = 0;   ///< waiting in the outbox
  bool gapTold = false;

  void knows(kj::TimePoint sign) { known = std::max(known, sign); }
  /// The leader is told of touched now.
  void tell(kj::TimePoint at) { toldNext = {touched, at}; }
  /// It has all that it was told until then.
  void heard(kj::TimePoint until) {
    if (toldNext.at <= until) knows(toldNext.sign);
    if (told.at > until) return;
    knows(told.sign);
    told = toldNext;
  }

  /// Lowest sequence without a reply; see Body in types.capnp.
  std::uint64_t unanswered() {
    for (auto& pending : line) {
      if (pending.write()) return pending.sequence;
    }
    return lastSequence + 1;
  }
};

}  // namespace polyquorum::kernel
