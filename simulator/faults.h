// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a run: each seed draws its own kinds, rates and times, and every fault plans
// its own end. Faults are numbered, and each draws from its own source: one can be left out and the
// draws of the others stay. Knows the world, not the workload; judges nothing.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include "simulator/only.h"
#include "simulator/story.h"
#include "simulator/world.h"

namespace polyquorum::simulator {

/// One fault that took place.
struct Injection {
  unsigned number = 0;  ///< 1, 2, 3 ... as planned by the seed
  std::string kind;
  std::vector<core::MemberId> victims;
  double ms = 0;
  double forMs = 0;  ///< until it is undone; 0: not planned, or when a disk gets there
};

class Faults {
 public:
  /// gone: a server's process is about to end. only: the faults that are to take place.
  Faults(World& world, Random random, Story& story, std::function<void(core::MemberId)> gone,
         Only only = {});

  /// When something is to be done next.
  kj::TimePoint next() const;
  /// Does what is due now, and ends the life of servers that lost power inside an operation.
  void act();
  /// A server stopped by itself; it is started again after a while.
  void stopped(core::MemberId id);
  /// A server's standing changed: a fault may have waited for that.
  void stood(core::MemberId id, const core::Standing& standing);
  /// No more faults: heals the network, lets everything run, starts every server.
  void heal();
  /// All at once lose power and are started again.
  void coldRestart();
  std::string describe() const;
  /// Those that took place so far, in order.
  const std::deque<Injection>& injected() const { return done; }

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
    POWER_OFF_RECOVERING,
    KINDS,
    // What disks do; drawn apart, see faults_disks.cpp.
    BIT_ROT = KINDS,
    MISDIRECTED_WRITE,
    STALE_SECTOR,
    FULL_DISK,
    SLOW_SYNC,
    // What links do; drawn apart, see faults_links.cpp.
    CLOG,
    SWIZZLE,
    REPEATS,
    ALL_KINDS
  };
  static const char* const NAMES[ALL_KINDS];

  /// The source of one fault's draws, which lives until the fault's end is done.
  struct Source : Random {
    using Random::Random;
    explicit Source(Random random) : Random(random) {}
    unsigned number = 0;
    Injection* injection = nullptr;  ///< once it took place
  };
  using Draw = std::shared_ptr<Source>;
  using Pairs = std::vector<std::pair<core::MemberId, core::MemberId>>;

  /// Kinds that are drawn together, and apart from those of other strands: these come as if there
  /// were none of the others.
  struct Strand {
    unsigned before;  ///< the number of its first fault, less one
    Random times;     ///< when the next one is due: the same for every choice of `only`
    std::uint64_t meanMs;
    kj::TimePoint next;
    std::vector<Kind> kinds = {};
    unsigned planned = 0;
  };

  World& world;
  const Random random;
  Story& story;
  std::function<void(core::MemberId)> gone;
  const Only only;
  std::vector<core::MemberId> ids;
  Strand common, disks, links;
  std::vector<core::MemberId> unsound;  ///< only disks of a minority of the voters are ever damaged
  std::map<core::MemberId, unsigned> stops;  ///< over damage, since its disk was whole
  std::deque<Injection> done;
  bool healed = false;
  std::multimap<kj::TimePoint, std::function<void()>> plans;
  /// Of faults that wait for a server's disk: what its restart is drawn from.
  std::map<core::MemberId, Draw> waiting;
  /// Who learns the history of a new leader loses power at an operation of its disk.
  struct Trap {
    Draw draw;
    kj::TimePoint until;
    bool everyone;
  };
  std::optional<Trap> trap;

  void plan(Draw& draw, std::uint64_t lowMs, std::uint64_t highMs, std::function<void()> action);
  void act(Strand& strand);
  void inject(Kind kind, Draw draw);
  void took(Draw& draw, Kind kind, std::vector<core::MemberId> victims, const std::string& text);
  void down(core::MemberId id, bool power);
  void up(core::MemberId id);
  void restartLater(core::MemberId id, Draw draw);
  void restartStopped(core::MemberId id);
  void cutBoth(core::MemberId a, core::MemberId b, bool told = false);
  Pairs cutOff(core::MemberId alone, bool told);
  void heal(const Pairs& pairs, unsigned fault);
  void healLater(const Pairs& pairs, Draw draw);
  void pause(Draw draw);
  void pauseAll(Draw draw);
  void setTrap(Draw draw);
  void isolate(Draw draw);
  void bridge(Draw draw);
  void flap(core::MemberId a, core::MemberId b, std::uint64_t times, Draw draw);
  void weather(Kind kind, Draw draw);
  void disk(Kind kind, Draw draw);
  void wipe(Draw draw);
  void drawDiskKinds();
  bool mayWipe(core::MemberId id) const;
  void rot(Kind kind, Draw draw);
  void fullDisk(Draw draw);
  void slowSync(Draw draw);
  void drawLinkKinds();
  void clog(Draw draw);
  void clogAll(core::MemberId id, kj::TimePoint until);
  void swizzle(Draw draw);
  void repeats(Draw draw);
  void repair(core::MemberId id);
  core::MemberId someone(Draw& draw) { return ids[draw->below(ids.size())]; }
  void shuffle(std::vector<core::MemberId>& order, Draw& draw);
  bool allVote();
};

}  // namespace polyquorum::simulator
