// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a run: each seed draws its own kinds, rates and times, and every fault plans
// its own end. Knows the world, not the workload; judges nothing.
#pragma once
#include <functional>
#include <map>
#include <vector>
#include "simulator/story.h"
#include "simulator/world.h"

namespace polyquorum::simulator {

class Faults {
 public:
  /// gone: a server's process is about to end.
  Faults(World& world, Random random, Story& story, std::function<void(core::MemberId)> gone);

  /// When something is to be done next.
  kj::TimePoint next() const;
  /// Does what is due now, and ends the life of servers that lost power inside an operation.
  void act();
  /// A server stopped by itself; it is started again after a while.
  void stopped(core::MemberId id);
  /// No more faults: heals the network, lets everything run, starts every server.
  void heal();
  /// All at once lose power and are started again.
  void coldRestart();
  std::string describe() const;

 private:
  enum Kind {
    KILL,
    POWER_OFF,
    POWER_OFF_WRITING,
    ALL_DOWN,
    PAUSE,
    ISOLATE,
    ONE_WAY,
    BRIDGE,
    FLAP,
    SLOW_LINKS,
    RESETS,
    CONFLATE_LOSS,
    SLOW_DISK,
    STALLED_DISK,
    WIPE,
    CLOCK_SKEW,
    DISK_ERROR,
    KINDS
  };
  static const char* const NAMES[KINDS];

  World& world;
  Random random;
  Story& story;
  std::function<void(core::MemberId)> gone;
  std::vector<core::MemberId> ids;
  std::vector<Kind> enabled;
  std::uint64_t meanMs = 3000;
  bool healed = false;
  kj::TimePoint nextFault;
  std::multimap<kj::TimePoint, std::function<void()>> plans;

  void plan(std::uint64_t lowMs, std::uint64_t highMs, std::function<void()> action);
  void inject(Kind kind);
  void down(core::MemberId id, bool power);
  void up(core::MemberId id);
  void restartLater(core::MemberId id);
  void cutBoth(core::MemberId a, core::MemberId b);
  void healLater();
  void pause();
  void isolate();
  void bridge();
  void flap(core::MemberId a, core::MemberId b, unsigned times);
  void weather(Kind kind);
  void disk(Kind kind);
  void wipe();
  core::MemberId someone();
  bool allVote();
};

}  // namespace polyquorum::simulator
