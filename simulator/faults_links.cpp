// SPDX-License-Identifier: Apache-2.0
// What links do beyond cuts: they stand still and then bring everything at once, servers drop out
// one after the other and come back in another order, parcels come twice. Drawn apart from the
// other faults, which come as if there were none of these. Fault 2001 is the first of them.
#include "simulator/faults.h"

namespace polyquorum::simulator {

void Faults::drawLinkKinds() {
  auto draw = random.split("kinds of links");
  for (auto kind : {CLOG, SWIZZLE, REPEATS}) {
    if (draw.chance(50)) links.kinds.push_back(kind);
  }
  links.meanMs = draw.between(2000, 10000);
}

/// Nothing arrives for a while, in one direction or from and at one server; then all of it, in
/// order.
void Faults::clog(Draw draw) {
  auto id = someone(draw), other = someone(draw);
  auto ms = draw->between(50, draw->chance(30) ? 8000 : 2000);
  auto until = world.timer().now() + ms * kj::MILLISECONDS;
  story.count("clogged links");
  if (id != other) {
    took(draw, CLOG, {id, other},
         "what " + std::to_string(id) + " sends to " + std::to_string(other) + " is held up");
    world.network->clog(id, other, until);
  } else {
    took(draw, CLOG, {id}, "all links of server " + std::to_string(id) + " are held up");
    clogAll(id, until);
  }
  draw->injection->forMs = static_cast<double>(ms);
}

void Faults::clogAll(core::MemberId id, kj::TimePoint until) {
  for (auto other : ids) {
    if (other == id) continue;
    world.network->clog(id, other, until);
    world.network->clog(other, id, until);
  }
}

/// Some drop out one after the other and come back in another order: who comes back first holds
/// what nobody else knows of, and misses what they decided. After FoundationDB's swizzled clogging.
void Faults::swizzle(Draw draw) {
  auto order = ids;
  shuffle(order, draw);
  if (order.size() > 2) order.resize(draw->between(2, order.size()));
  bool held = draw->chance(30), told = draw->chance(50);
  std::string names;
  for (auto id : order) names += (names.empty() ? "" : ", ") + std::to_string(id);
  auto what = std::string("one after the other is ") + (held ? "held up: " : "cut off: ") + names;
  took(draw, SWIZZLE, order, what);
  story.count("swizzles");
  std::map<core::MemberId, std::uint64_t> begins;  // ms from now
  std::uint64_t ms = 0;
  for (auto id : order) begins[id] = ms += draw->between(0, 2500);
  shuffle(order, draw);
  for (auto id : order) {
    ms += draw->between(50, 2500);
    auto lasts = ms - begins[id];
    plan(draw, begins[id], begins[id], [this, id, held, told, lasts, draw]() mutable {
      if (held) return clogAll(id, world.timer().now() + lasts * kj::MILLISECONDS);
      plan(draw, lasts, lasts,
           [this, pairs = cutOff(id, told), fault = draw->number]() { heal(pairs, fault); });
    });
  }
  draw->injection->forMs = static_cast<double>(ms);
}

/// Parcels of conflating lanes, which promise no more, come twice.
void Faults::repeats(Draw draw) {
  took(draw, REPEATS, {}, "parcels of conflating lanes come twice");
  story.count("repeats");
  world.network->weather.conflateTwicePercent = draw->between(5, 50);
  plan(draw, 500, 8000, [this]() { world.network->weather.conflateTwicePercent = 0; });
}

}  // namespace polyquorum::simulator
