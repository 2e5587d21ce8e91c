// SPDX-License-Identifier: Apache-2.0
// One cell of the grid; see grid.h. The scenarios are in grid_scenarios.cpp.
#include "simulator/grid.h"
#include <kj/debug.h>
#include "simulator/stage.h"

namespace polyquorum::simulator {
namespace {

constexpr unsigned CLIENTS = 5;
constexpr auto RESTART_AFTER = 300 * kj::MILLISECONDS;
constexpr auto LEADER_SEEN = 900 * kj::MILLISECONDS;
constexpr auto CONVERGENCE = 15 * kj::SECONDS;

/// One run: a play with a fixed script, and the strike.
class Run final {
 public:
  Run(const GridScenario& scenario, const kernel::Config& config, const kernel::Wiring& wiring,
      core::MemberId target, Strike strike, std::uint64_t at, std::ostream* trace)
      : scenario(scenario),
        target(target),
        strike(strike),
        at(at),
        stage({.seed = SEED,
               .clients = CLIENTS,
               .dataBytes = scenario.dataBytes,
               .trace = trace,
               .pauseMsMost = 1000},  // a scenario is over in seconds
              config, wiring) {
    auto& world = stage.world;
    world.beforeParcel = stage.beforeDelivery = [this](core::MemberId id) {
      if (armed && id == this->target) effect();
    };
  }

  GridResult run() {
    stage.story.tell(scenario.name);
    stage.perform([this]() { play(); });
    GridResult result;
    result.violation = stage.story.violation();
    result.last.assign(stage.story.last().begin(), stage.story.last().end());
    result.counters = stage.counters();
    result.leader = firstLeader;
    result.operations = operations;
    result.effects = effects;
    result.struck = struck;
    result.simulatedSeconds = stage.world.now() / kj::MILLISECONDS / 1000.0;
    return result;
  }

 private:
  static constexpr std::uint64_t SEED = 1;
  const GridScenario& scenario;
  const core::MemberId target;
  const Strike strike;
  const std::uint64_t at;
  Stage stage;
  std::multimap<kj::Duration, std::function<void()>> plans;  ///< by time since the begin
  std::uint64_t operations = 0, effects = 0;
  bool armed = true, struck = false, wiped = false;
  core::MemberId firstLeader = 0;

  Server& server(core::MemberId id) { return stage.world.servers.at(id); }

  // ---------------------------------------------------------------------------------- the strike

  void effect() {
    effects++;
    if (strike == Strike::KILL && effects == at) end();
  }

  void end() {
    struck = true;
    stage.story.tell("strike: server " + std::to_string(target) + " ends here");
    stage.world.silence(target);
  }

  void operation(const DiskOperation& operation) {
    auto& server = this->server(target);
    if (armed && !server.powerless) {
      operations++;
      effect();
      if (operations == at && strike == Strike::CRASH) end();
      if (operations == at && strike == Strike::FAIL) {
        struck = true;
        server.diskFailed = true;
        stage.story.tell("strike: disk operation " + std::to_string(at) + " of server " +
                         std::to_string(target) + " fails: " + describe(operation));
        kj::throwFatalException(KJ_EXCEPTION(FAILED, "input/output error (simulated)"));
      }
    }
    if (server.powerless) kj::throwFatalException(KJ_EXCEPTION(FAILED, "the power is off"));
  }

  static std::string describe(const DiskOperation& operation) {
    static const char* const KINDS[] = {"read",   "write",  "sync",      "rename",
                                        "create", "remove", "sync names"};
    return std::string(KINDS[operation.kind]) + " " + operation.file + " at " +
           std::to_string(operation.offset);
  }

  // ------------------------------------------------------------------------------------ the play

  void start(core::MemberId id) {
    if (server(id).up()) return;
    stage.story.tell("server " + std::to_string(id) + " starts");
    stage.world.start(id);
    watch(id);
  }

  void watch(core::MemberId id) {
    if (id != target) return;
    server(id).disk->hook = [this](const DiskOperation& operation) { this->operation(operation); };
    server(id).disk->chance(Random(at));
  }

  void down(core::MemberId id, bool power) {
    if (!server(id).up()) return;
    stage.story.tell("server " + std::to_string(id) + (power ? " loses power" : " is killed"));
    stage.gone(id);
    if (power) {
      stage.world.powerOff(id);
    } else {
      stage.world.kill(id);
    }
  }

  void restart(core::MemberId id, bool power, kj::Duration after = RESTART_AFTER) {
    down(id, power);
    plan(stage.world.now() + after, [this, id]() { start(id); });
  }

  void plan(kj::Duration when, std::function<void()> what) { plans.emplace(when, std::move(what)); }

  core::MemberId someOther() { return target == 1 ? 2 : 1; }

  void wipe(core::MemberId id) {
    down(id, true);
    stage.story.tell("server " + std::to_string(id) + " lost its disk");
    stage.world.wipe(id);
    wiped = true;
    plan(stage.world.now() + RESTART_AFTER, [this, id]() { start(id); });
  }

  void isolate(core::MemberId alone) {
    if (alone == 0) return;
    stage.story.tell("server " + std::to_string(alone) + " is cut off");
    for (auto& [id, server] : stage.world.servers) {
      if (id == alone) continue;
      stage.world.network->cut(alone, id);
      stage.world.network->cut(id, alone);
    }
  }

  /// Plans what the scenario does; returns when it is over.
  kj::Duration script() {
    using Play = GridScenario::Play;
    auto ms = [](int count) { return count * kj::MILLISECONDS; };
    plan(LEADER_SEEN, [this]() { firstLeader = stage.world.leader(); });
    switch (scenario.play) {
      case Play::CALM:
        return ms(2500);
      case Play::RESTART:
      case Play::POWER:
        plan(ms(1200), [this]() { restart(target, scenario.play == Play::POWER); });
        return ms(2800);
      case Play::COLD:
        plan(ms(1500), [this]() {
          for (auto& [id, server] : stage.world.servers) restart(id, true);
        });
        return ms(3000);
      case Play::DEPOSED:
        plan(ms(1000), [this]() { isolate(stage.world.leader()); });
        plan(ms(2900), [this]() { stage.world.network->healAll(); });
        return ms(4200);
      case Play::LEADER_KILLED:
        plan(ms(1200), [this]() {
          if (auto id = stage.world.leader()) restart(id, false, 800 * kj::MILLISECONDS);
        });
        return ms(3500);
      case Play::BEHIND:
        plan(ms(1000), [this]() { restart(target, false, 1500 * kj::MILLISECONDS); });
        return ms(3800);
      case Play::WIPED:
        plan(ms(1500), [this]() { wipe(scenario.atLeader ? someOther() : target); });
        return ms(4500);
    }
    KJ_UNREACHABLE;
  }

  void play() {
    auto& world = stage.world;
    auto& story = stage.story;
    auto begin = world.timer().now();
    auto end = script();
    stage.begin();
    watch(target);
    while (world.now() < end && !story.violation()) {
      auto next = plans.empty() ? end : std::min(end, plans.begin()->first);
      world.runUntil(begin + next);
      endBroken();
      while (!plans.empty() && plans.begin()->first <= world.now()) {
        auto what = std::move(plans.begin()->second);
        plans.erase(plans.begin());
        what();
      }
    }
    armed = false;
    if (story.violation()) return;
    if (strike != Strike::NONE && !struck) {
      return story.violate("grid", "the moment of the strike never came");
    }
    story.tell("the script is over: everything heals");
    world.network->healAll();
    for (auto& [id, server] : world.servers) {
      if (server.powerless || server.diskFailed) down(id, server.powerless && strike == Strike::CRASH);
      start(id);
    }
    stage.calmDown();
    stage.converge("at the end", CONVERGENCE);
    if (story.violation()) return;
    for (auto& [id, server] : world.servers) down(id, true);
    for (auto& [id, server] : world.servers) start(id);
    stage.converge("after a cold restart", CONVERGENCE);
  }

  void endBroken() {
    if (server(target).powerless) restart(target, strike == Strike::CRASH);
    // After a failed operation the machine may go too, or not.
    for (auto id : stage.stoppedByThemselves()) restart(id, at % 2 == 0);
  }
};

}  // namespace

struct Grid::Loaded {
  kernel::Config config;
  kernel::Wiring wiring;
};

Grid::Grid(const GridScenario& scenario) : scenario(scenario) {
  ClusterShape shape;
  shape.voters = scenario.servers;
  shape.snapshotsEvery = scenario.snapshotsEvery;
  shape.storage = scenario.storage;
  auto config = makeConfig(shape, scenario.name);
  auto wiring = kernel::load(config);
  auto whole = kernel::completed(config, wiring);
  loaded = std::make_unique<Loaded>(Loaded{std::move(whole), kj::mv(wiring)});
  chosen = 1;
  measured = run(Strike::NONE, 0);
  bool leads = measured.leader == chosen;
  if (scenario.servers == 1 || leads == scenario.atLeader || measured.leader == 0) return;
  chosen = scenario.atLeader ? measured.leader : 2;
  measured = run(Strike::NONE, 0);
}

Grid::~Grid() noexcept(false) {}

std::uint64_t Grid::cells(Strike strike) const {
  if (strike == Strike::NONE) return 0;
  return strike == Strike::KILL ? measured.effects : measured.operations;
}

GridResult Grid::run(Strike strike, std::uint64_t at, std::ostream* trace) const {
  return Run(scenario, loaded->config, loaded->wiring, chosen, strike, at, trace).run();
}

}  // namespace polyquorum::simulator
