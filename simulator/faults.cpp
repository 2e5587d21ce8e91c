// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a run; see faults.h.
#include "simulator/faults.h"
#include <capnp/message.h>
#include <algorithm>

namespace polyquorum::simulator {

const char* const Faults::NAMES[KINDS] = {"kill",       "power off",    "power off while writing",
                                          "all down",   "pause",        "isolate",
                                          "one way",    "bridge",       "flap",
                                          "slow links", "resets",       "conflate loss",
                                          "slow disk",  "stalled disk", "wipe",
                                          "clock skew", "disk error"};

Faults::Faults(World& world, Random random, Story& story, std::function<void(core::MemberId)> gone)
    : world(world),
      random(random),
      story(story),
      gone(std::move(gone)),
      nextFault(world.timer().now()) {
  for (auto& [id, server] : world.servers) ids.push_back(id);
  auto draw = this->random.split("kinds");
  for (unsigned kind = 0; kind < KINDS; kind++) {
    if (draw.chance(50)) enabled.push_back(static_cast<Kind>(kind));
  }
  meanMs = draw.between(800, 6000);
  nextFault += 2 * kj::SECONDS;
}

std::string Faults::describe() const {
  std::string out = "a fault every " + std::to_string(meanMs) + " ms of:";
  for (auto kind : enabled) out += std::string(" ") + NAMES[kind] + ",";
  return out;
}

kj::TimePoint Faults::next() const {
  auto at = healed ? world.timer().now() + 1 * kj::HOURS : nextFault;
  return plans.empty() ? at : std::min(at, plans.begin()->first);
}

void Faults::plan(std::uint64_t lowMs, std::uint64_t highMs, std::function<void()> action) {
  auto moment = world.timer().now() + random.between(lowMs, highMs) * kj::MILLISECONDS;
  plans.emplace(moment, std::move(action));
}

void Faults::act() {
  for (auto id : ids) {
    if (!world.servers.at(id).powerless) continue;
    story.count("powered off while writing");
    down(id, true);
    restartLater(id);
  }
  auto now = world.timer().now();
  while (!plans.empty() && plans.begin()->first <= now) {
    auto action = std::move(plans.begin()->second);
    plans.erase(plans.begin());
    action();
  }
  if (healed || now < nextFault) return;
  nextFault = now + random.between(meanMs / 4, meanMs * 7 / 4) * kj::MILLISECONDS;
  if (!enabled.empty()) inject(enabled[random.below(enabled.size())]);
}

core::MemberId Faults::someone() { return ids[random.below(ids.size())]; }

void Faults::inject(Kind kind) {
  auto id = someone();
  switch (kind) {
    case KILL:
    case POWER_OFF:
      if (!world.servers.at(id).up()) return;
      down(id, kind == POWER_OFF);
      return restartLater(id);
    case POWER_OFF_WRITING: {
      if (!world.servers.at(id).up()) return;
      auto countdown = random.between(1, 40);
      story.tell("fault: server " + std::to_string(id) + " loses power at disk operation " +
                 std::to_string(countdown) + " from now");
      return world.powerOffAt(id, countdown);
    }
    case ALL_DOWN: {
      bool power = random.chance(50);
      for (auto each : ids) {
        if (!world.servers.at(each).up()) continue;
        down(each, power);
        restartLater(each);
      }
      return story.count("all down at once");
    }
    case PAUSE:
      return pause();
    case ISOLATE:
      return isolate();
    case BRIDGE:
      return bridge();
    case ONE_WAY: {
      auto other = someone();
      if (other == id) return;
      story.tell("fault: nothing passes from " + std::to_string(id) + " to " +
                 std::to_string(other));
      world.network->cut(id, other);
      story.count("one-way partitions");
      return healLater();
    }
    case FLAP: {
      auto other = someone();
      if (other == id) return;
      story.tell("fault: the link of " + std::to_string(id) + " and " + std::to_string(other) +
                 " flaps");
      story.count("flapping links");
      return flap(id, other, random.between(2, 8));
    }
    case SLOW_LINKS:
    case RESETS:
    case CONFLATE_LOSS:
      return weather(kind);
    case SLOW_DISK:
    case STALLED_DISK:
      return disk(kind);
    case WIPE:
      return wipe();
    case CLOCK_SKEW:
      // Of the server's next life.
      world.servers.at(id).wallSkewMs =
          static_cast<std::int64_t>(random.below(7'200'000)) - 3'600'000;
      return story.count("clock skews");
    case DISK_ERROR: {
      auto& server = world.servers.at(id);
      if (!server.up() || server.powerOffIn > 0) return;
      auto countdown = random.between(1, 60);
      story.tell("fault: disk operation " + std::to_string(countdown) + " of server " +
                 std::to_string(id) + " from now fails");
      return world.failDiskAt(id, countdown);
    }
    case KINDS:
      return;
  }
}

void Faults::down(core::MemberId id, bool power) {
  story.tell("fault: server " + std::to_string(id) + (power ? " loses power" : " is killed"));
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
  story.tell("server " + std::to_string(id) + " starts");
  world.start(id);
}

void Faults::restartLater(core::MemberId id) {
  plan(50, random.chance(20) ? 12000 : 3000, [this, id]() { up(id); });
}

void Faults::stopped(core::MemberId id) {
  if (!world.servers.at(id).up()) return;
  down(id, true);
  restartLater(id);
}

void Faults::cutBoth(core::MemberId a, core::MemberId b) {
  world.network->cut(a, b);
  world.network->cut(b, a);
}

void Faults::healLater() {
  plan(100, random.chance(30) ? 15000 : 4000, [this]() {
    story.tell("the network heals");
    world.network->healAll();
  });
}

void Faults::pause() {
  auto id = someone();
  if (!world.servers.at(id).up()) return;
  story.tell("fault: server " + std::to_string(id) + " is stopped, and will go on");
  story.count("pauses");
  world.pause(id);
  plan(20, random.chance(30) ? 12000 : 2000, [this, id]() {
    story.tell("server " + std::to_string(id) + " goes on");
    world.resume(id);
  });
}

void Faults::isolate() {
  auto alone = someone();
  story.tell("fault: server " + std::to_string(alone) + " is cut off");
  story.count("partitions");
  for (auto id : ids) {
    if (id != alone) cutBoth(alone, id);
  }
  healLater();
}

/// Two halves that see one server in common.
void Faults::bridge() {
  auto order = ids;
  for (auto at = order.size(); at > 1; at--) std::swap(order[at - 1], order[random.below(at)]);
  story.tell("fault: two halves see only server " + std::to_string(order[0]) + " in common");
  story.count("partitions");
  for (std::size_t a = 1; a < order.size(); a++) {
    for (std::size_t b = a + 1; b < order.size(); b++) {
      if (a % 2 != b % 2) cutBoth(order[a], order[b]);
    }
  }
  healLater();
}

void Faults::flap(core::MemberId a, core::MemberId b, unsigned times) {
  if (times % 2 == 0) {
    cutBoth(a, b);
  } else {
    world.network->heal(a, b);
    world.network->heal(b, a);
  }
  if (times > 0) plan(50, 1500, [this, a, b, times]() { flap(a, b, times - 1); });
  if (times == 0) healLater();
}

void Faults::weather(Kind kind) {
  auto& weather = world.network->weather;
  story.tell(std::string("fault: ") + NAMES[kind]);
  story.count(NAMES[kind]);
  if (kind == SLOW_LINKS) {
    weather.most = random.between(2, 150) * kj::MILLISECONDS;
    weather.tailPercent = random.below(10);
    weather.tail = random.between(100, 3000) * kj::MILLISECONDS;
  } else if (kind == RESETS) {
    weather.resetPercent = random.between(1, 30) / 10.0;
  } else {
    weather.conflateLossPercent = random.between(5, 60);
  }
  plan(500, 8000, [this]() { world.network->weather = Weather(); });
}

void Faults::disk(Kind kind) {
  auto id = someone();
  auto& server = world.servers.at(id);
  story.tell("fault: " + std::string(NAMES[kind]) + " at server " + std::to_string(id));
  story.count(NAMES[kind]);
  if (kind == SLOW_DISK) {
    server.diskTiming.most = random.between(5, 400) * kj::MILLISECONDS;
  } else {
    server.diskTiming.stallPercent = random.between(1, 30);
    server.diskTiming.stall = random.between(200, 5000) * kj::MILLISECONDS;
  }
  if (server.up()) server.environment->timing = server.diskTiming;
  plan(500, 8000, [this, id]() {
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

void Faults::wipe() {
  auto id = someone();
  if (!allVote()) return;
  down(id, true);
  story.tell("fault: server " + std::to_string(id) + " lost its disk");
  story.count("wipes");
  world.wipe(id);
  restartLater(id);
}

void Faults::heal() {
  healed = true;
  plans.clear();
  story.tell("no more faults: everything heals");
  world.network->healAll();
  world.network->weather = Weather();
  for (auto id : ids) {
    auto& server = world.servers.at(id);
    server.diskTiming = DiskTiming();
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
