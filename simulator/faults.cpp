// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a run; see faults.h.
#include "simulator/faults.h"
#include <capnp/message.h>
#include <algorithm>

namespace polyquorum::simulator {
namespace {

constexpr auto QUIET = 2 * kj::SECONDS;  // before the first fault
constexpr auto TRAP_TIME = 10 * kj::SECONDS;

}  // namespace

const char* const Faults::NAMES[ALL_KINDS] = {"kill",       "power off",    "power off while writing",
                                          "all down",   "pause",        "isolate",
                                          "one way",    "bridge",       "flap",
                                          "slow links", "resets",       "conflate loss",
                                          "slow disk",  "stalled disk", "wipe",
                                          "clock skew", "disk error",
                                          "power off while recovering",
                                          "bit rot",    "misdirected write", "stale sector",
                                          "full disk",  "slow sync",    "clog",
                                          "swizzle",    "repeats"};

Faults::Faults(World& world, Random random, Story& story, std::function<void(core::MemberId)> gone,
               Only only)
    : world(world),
      random(random),
      story(story),
      gone(std::move(gone)),
      only(std::move(only)),
      common{0, random.split("times"), 0, world.timer().now() + QUIET},
      disks{1000, random.split("times of disks"), 5000, common.next},
      links{2000, random.split("times of links"), 0, common.next} {
  for (auto& [id, server] : world.servers) ids.push_back(id);
  auto draw = random.split("kinds");
  for (unsigned kind = 0; kind < KINDS; kind++) {
    if (draw.chance(50)) common.kinds.push_back(static_cast<Kind>(kind));
  }
  common.meanMs = draw.between(800, 6000);
  drawDiskKinds();
  drawLinkKinds();
}

std::string Faults::describe() const {
  std::string out = "a fault every " + std::to_string(common.meanMs) + " ms of:";
  for (auto* strand : {&common, &disks, &links}) {
    for (auto kind : strand->kinds) out += std::string(" ") + NAMES[kind] + ",";
  }
  return out;
}

kj::TimePoint Faults::next() const {
  auto at = world.timer().now() + 1 * kj::HOURS;
  if (!healed) {
    for (auto* strand : {&common, &disks, &links}) at = std::min(at, strand->next);
  }
  return plans.empty() ? at : std::min(at, plans.begin()->first);
}

void Faults::plan(Draw& draw, std::uint64_t lowMs, std::uint64_t highMs,
                  std::function<void()> action) {
  auto moment = world.timer().now() + draw->between(lowMs, highMs) * kj::MILLISECONDS;
  plans.emplace(moment, std::move(action));
  if (draw->injection == nullptr) return;
  auto& [number, kind, victims, ms, forMs] = *draw->injection;
  auto ends = world.now() / kj::MICROSECONDS / 1000.0 +
              (moment - world.timer().now()) / kj::MICROSECONDS / 1000.0;
  forMs = std::max(forMs, ends - ms);
}

void Faults::act() {
  for (auto id : ids) {
    if (!world.servers.at(id).powerless) continue;
    story.count("powered off while writing");
    down(id, true);
    restartStopped(id);
  }
  auto now = world.timer().now();
  while (!plans.empty() && plans.begin()->first <= now) {
    auto action = std::move(plans.begin()->second);
    plans.erase(plans.begin());
    action();
  }
  for (auto* strand : {&disks, &common, &links}) act(*strand);
}

void Faults::act(Strand& strand) {
  auto now = world.timer().now();
  if (healed || now < strand.next) return;
  strand.next = now + strand.times.between(strand.meanMs / 4, strand.meanMs * 7 / 4) * kj::MILLISECONDS;
  auto number = strand.before + ++strand.planned;
  if (strand.kinds.empty() || !takesPart(only, number)) return;
  auto draw = std::make_shared<Source>(random.split("fault " + std::to_string(number)));
  draw->number = number;
  inject(strand.kinds[draw->below(strand.kinds.size())], draw);
}

/// A fault takes place; what it plans from here on is its duration.
void Faults::took(Draw& draw, Kind kind, std::vector<core::MemberId> victims,
                  const std::string& text) {
  done.push_back({draw->number, NAMES[kind], std::move(victims), world.now() / kj::MICROSECONDS / 1000.0});
  draw->injection = &done.back();
  Event event;
  event.kind = Event::FAULT;
  event.server = done.back().victims.size() == 1 ? done.back().victims[0] : 0;
  event.id = draw->number;
  event.what = NAMES[kind];
  event.text = text + " (fault " + std::to_string(draw->number) + ")";
  story.tell(std::move(event));
}

void Faults::inject(Kind kind, Draw draw) {
  auto id = someone(draw);
  auto& server = world.servers.at(id);
  auto name = "server " + std::to_string(id);
  switch (kind) {
    case KILL:
    case POWER_OFF:
      if (!server.up()) return;
      took(draw, kind, {id}, name + (kind == POWER_OFF ? " loses power" : " is killed"));
      down(id, kind == POWER_OFF);
      return restartLater(id, draw);
    case POWER_OFF_WRITING: {
      if (!server.up()) return;
      auto countdown = draw->between(1, 40);
      took(draw, kind, {id},
           name + " loses power at disk operation " + std::to_string(countdown) + " from now");
      waiting[id] = draw;
      return world.powerOffAt(id, countdown);
    }
    case ALL_DOWN: {
      bool power = draw->chance(50);
      took(draw, kind, ids, power ? "all servers lose power" : "all servers are killed");
      for (auto each : ids) {
        if (world.servers.at(each).up()) down(each, power);
        restartLater(each, draw);
      }
      return story.count("all down at once");
    }
    case PAUSE:
      return pause(draw);
    case ISOLATE:
      return isolate(draw);
    case BRIDGE:
      return bridge(draw);
    case ONE_WAY: {
      auto other = someone(draw);
      if (other == id) return;
      took(draw, kind, {id, other},
           "nothing passes from " + std::to_string(id) + " to " + std::to_string(other));
      world.network->cut(id, other);
      story.count("one-way partitions");
      return healLater({{id, other}}, draw);
    }
    case FLAP: {
      auto other = someone(draw);
      if (other == id) return;
      took(draw, kind, {id, other},
           "the link of " + std::to_string(id) + " and " + std::to_string(other) + " flaps");
      story.count("flapping links");
      return flap(id, other, 2 * draw->between(1, 4), draw);
    }
    case SLOW_LINKS:
    case RESETS:
    case CONFLATE_LOSS:
      return weather(kind, draw);
    case SLOW_DISK:
    case STALLED_DISK:
      return disk(kind, draw);
    case WIPE:
      return wipe(draw);
    case CLOCK_SKEW:
      server.wallSkewMs = static_cast<std::int64_t>(draw->below(7'200'000)) - 3'600'000;
      took(draw, kind, {id},
           name + " will start next with a wall clock that is " +
               std::to_string(server.wallSkewMs / 1000) + " s off");
      return story.count("clock skews");
    case DISK_ERROR: {
      if (!server.up() || server.powerOffIn > 0) return;
      auto countdown = draw->between(1, 60);
      took(draw, kind, {id}, "disk operation " + std::to_string(countdown) + " of " + name +
                           " from now fails");
      waiting[id] = draw;
      return world.failDiskAt(id, countdown);
    }
    case POWER_OFF_RECOVERING:
      return setTrap(draw);
    case BIT_ROT:
    case MISDIRECTED_WRITE:
    case STALE_SECTOR:
      return rot(kind, draw);
    case FULL_DISK:
      return fullDisk(draw);
    case SLOW_SYNC:
      return slowSync(draw);
    case CLOG:
      return clog(draw);
    case SWIZZLE:
      return swizzle(draw);
    case REPEATS:
      return repeats(draw);
    case ALL_KINDS:
      return;
  }
}

void Faults::down(core::MemberId id, bool power) {
  story.tell(Event::STOP, id,
             "server " + std::to_string(id) + (power ? " loses power" : " is killed"));
  story.count(power ? "power losses" : "kills");
  gone(id);
  if (power) {
    world.powerOff(id);
  } else {
    world.kill(id);
  }
}

void Faults::up(core::MemberId id) {
  if (world.servers.at(id).up()) return;
  story.tell(Event::START, id, "server " + std::to_string(id) + " starts");
  world.start(id);
}

void Faults::restartLater(core::MemberId id, Draw draw) {
  auto most = draw->chance(20) ? 12000 : 3000;
  plan(draw, 50, most, [this, id]() { up(id); });
}

/// After what a fault of its disk did to it.
void Faults::restartStopped(core::MemberId id) {
  auto& draw = waiting[id];
  if (!draw) draw = std::make_shared<Source>(random.split("restart " + std::to_string(id)));
  auto most = draw->chance(20) ? 12000 : 3000;
  auto moment = world.timer().now() + draw->between(50, most) * kj::MILLISECONDS;
  plans.emplace(moment, [this, id]() { up(id); });
}

void Faults::stopped(core::MemberId id) {
  if (!world.servers.at(id).up()) return;
  down(id, true);
  repair(id);
  if (healed) return up(id);
  restartStopped(id);
}

/// told: their connection breaks at once; else they notice by silence.
void Faults::cutBoth(core::MemberId a, core::MemberId b, bool told) {
  world.network->cut(a, b);
  world.network->cut(b, a);
  if (told) world.network->snap(a, b);
}

void Faults::heal(const Pairs& pairs, unsigned fault) {
  story.tell(Event::CURE, 0, "the network heals (fault " + std::to_string(fault) + ")");
  for (auto& [from, to] : pairs) world.network->heal(from, to);
}

/// Undoes these cuts; a pair that another fault has cut too stays cut.
void Faults::healLater(const Pairs& pairs, Draw draw) {
  plan(draw, 100, draw->chance(30) ? 15000 : 4000,
       [this, pairs, number = draw->number]() { heal(pairs, number); });
}

void Faults::setTrap(Draw draw) {
  trap = Trap{draw, world.timer().now() + TRAP_TIME, draw->chance(50)};
  took(draw, POWER_OFF_RECOVERING, {},
       std::string(trap->everyone ? "whoever" : "who next") + " learns a history loses power meanwhile");
  auto id = someone(draw);  // a leader's end makes the others learn
  if (!world.servers.at(id).up()) return;
  down(id, draw->chance(50));
  restartLater(id, draw);
}

void Faults::stood(core::MemberId id, const core::Standing& standing) {
  auto& server = world.servers.at(id);
  bool learns = standing.phase == core::Standing::RECOVERING;
  if (!trap || healed || !learns || !server.up() || server.powerOffIn > 0) return;
  if (world.timer().now() > trap->until) return trap.reset();
  waiting[id] = trap->draw;
  world.powerOffAt(id, trap->draw->between(1, 6));
  story.count("powered off while recovering");
  if (!trap->everyone) trap.reset();
}

/// The machine under all of them slept.
void Faults::pauseAll(Draw draw) {
  took(draw, PAUSE, ids, "all servers are stopped, and will go on");
  story.count("pauses of all");
  for (auto id : ids) world.pause(id);
  plan(draw, 20, draw->chance(50) ? 12000 : 2000, [this]() {
    story.tell(Event::CURE, 0, "all servers go on");
    for (auto id : ids) world.resume(id);
  });
}

void Faults::pause(Draw draw) {
  if (draw->chance(20)) return pauseAll(draw);
  auto id = someone(draw);
  if (!world.servers.at(id).up()) return;
  took(draw, PAUSE, {id}, "server " + std::to_string(id) + " is stopped, and will go on");
  story.count("pauses");
  world.pause(id);
  plan(draw, 20, draw->chance(30) ? 12000 : 2000, [this, id]() {
    story.tell(Event::CURE, id, "server " + std::to_string(id) + " goes on");
    world.resume(id);
  });
}

void Faults::isolate(Draw draw) {
  auto alone = someone(draw);
  took(draw, ISOLATE, {alone}, "server " + std::to_string(alone) + " is cut off");
  story.count("partitions");
  healLater(cutOff(alone, draw->chance(50)), draw);
}

Faults::Pairs Faults::cutOff(core::MemberId alone, bool told) {
  Pairs pairs;
  for (auto id : ids) {
    if (id == alone) continue;
    cutBoth(alone, id, told);
    pairs.insert(pairs.end(), {{alone, id}, {id, alone}});
  }
  return pairs;
}

void Faults::shuffle(std::vector<core::MemberId>& order, Draw& draw) {
  for (auto at = order.size(); at > 1; at--) std::swap(order[at - 1], order[draw->below(at)]);
}

/// Two halves that see one server in common.
void Faults::bridge(Draw draw) {
  auto order = ids;
  shuffle(order, draw);
  took(draw, BRIDGE, {order[0]},
       "two halves see only server " + std::to_string(order[0]) + " in common");
  story.count("partitions");
  Pairs pairs;
  bool told = draw->chance(50);
  for (std::size_t a = 1; a < order.size(); a++) {
    for (std::size_t b = a + 1; b < order.size(); b++) {
      if (a % 2 == b % 2) continue;
      cutBoth(order[a], order[b], told);
      pairs.insert(pairs.end(), {{order[a], order[b]}, {order[b], order[a]}});
    }
  }
  healLater(pairs, draw);
}

/// times: how often its state changes; even, as it begins whole and must end whole.
void Faults::flap(core::MemberId a, core::MemberId b, std::uint64_t times, Draw draw) {
  if (times % 2 == 0) {
    if (times == 0) return;
    cutBoth(a, b);
  } else {
    world.network->heal(a, b);
    world.network->heal(b, a);
  }
  plan(draw, 50, 1500, [this, a, b, times, draw]() { flap(a, b, times - 1, draw); });
}

void Faults::weather(Kind kind, Draw draw) {
  auto& weather = world.network->weather;
  took(draw, kind, {}, NAMES[kind]);
  story.count(NAMES[kind]);
  if (kind == SLOW_LINKS) {
    weather.most = draw->between(2, 150) * kj::MILLISECONDS;
    weather.tailPercent = draw->below(10);
    weather.tail = draw->between(100, 3000) * kj::MILLISECONDS;
  } else if (kind == RESETS) {
    weather.resetPercent = draw->between(1, 30) / 10.0;
  } else {
    weather.conflateLossPercent = draw->between(5, 60);
  }
  plan(draw, 500, 8000, [this]() { world.network->weather = Weather(); });
}

void Faults::disk(Kind kind, Draw draw) {
  auto id = someone(draw);
  auto& server = world.servers.at(id);
  took(draw, kind, {id}, std::string(NAMES[kind]) + " at server " + std::to_string(id));
  story.count(NAMES[kind]);
  if (kind == SLOW_DISK) {
    server.diskTiming.most = draw->between(5, 400) * kj::MILLISECONDS;
  } else {
    server.diskTiming.stallPercent = draw->between(1, 30);
    server.diskTiming.stall = draw->between(200, 5000) * kj::MILLISECONDS;
  }
  if (server.up()) server.environment->timing = server.diskTiming;
  plan(draw, 500, 8000, [this, id]() {
    auto& healed = world.servers.at(id);
    healed.diskTiming = DiskTiming();
    if (healed.up()) healed.environment->timing = healed.diskTiming;
  });
}

/// Every server is up and may vote: then one of them may forget everything.
bool Faults::allVote() {
  for (auto& [id, server] : world.servers) {
    if (!server.up() || server.powerOffIn > 0) return false;
    capnp::MallocMessageBuilder message;
    auto status = message.initRoot<coordination::Status>();
    server.node->status(status);
    if (!status.getMayVote() && !world.observer(id)) return false;
  }
  return true;
}

void Faults::wipe(Draw draw) {
  auto id = someone(draw);
  if (!allVote() || !mayWipe(id)) return;
  took(draw, WIPE, {id}, "server " + std::to_string(id) + " loses power and its disk");
  down(id, true);
  story.count("wipes");
  world.wipe(id);
  restartLater(id, draw);
}

void Faults::heal() {
  healed = true;
  trap.reset();
  plans.clear();
  story.tell("no more faults: everything heals");
  world.network->healAll();
  world.network->unclog();
  world.network->weather = Weather();
  for (auto id : ids) {
    auto& server = world.servers.at(id);
    server.diskTiming = DiskTiming();
    server.disk->full = false;
    server.powerOffIn = 0;
    server.disk->hook = nullptr;
    if (server.powerless || server.diskFailed) down(id, true);
    if (server.up()) {
      world.resume(id);
      server.environment->timing = server.diskTiming;
    }
    up(id);
  }
}

void Faults::coldRestart() {
  story.tell("all servers lose power and are started again");
  for (auto id : ids) {
    if (world.servers.at(id).up()) down(id, true);
  }
  for (auto id : ids) up(id);
}

}  // namespace polyquorum::simulator
