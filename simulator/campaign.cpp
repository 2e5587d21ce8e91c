// SPDX-License-Identifier: Apache-2.0
// One seed; see campaign.h.
#include "simulator/campaign.h"
#include "kernel/arena.h"
#include "simulator/faults.h"
#include "simulator/stage.h"

namespace polyquorum::simulator {
namespace {

constexpr auto CONVERGENCE = 10 * kj::SECONDS;
/// A server that lost its disk learns everything and is named by a seal.
constexpr auto HEALING_OF_WIPED = 15 * kj::SECONDS;
/// One whose disk rotted may find that only now, stop twice, and begin anew.
constexpr auto HEALING_OF_DAMAGED = 30 * kj::SECONDS;

kernel::Config drawConfig(std::uint64_t seed) {
  auto random = Random(seed).split("config");
  ClusterShape shape;
  shape.voters = random.chance(15) ? 5 : 3;
  shape.observers = random.chance(20);
  // Small files are filled, followed by the next and used again all the time.
  shape.storage = random.chance(10) ? "walSize: 1MiB" : "walSize: 64KiB";
  // A leader's pings are most of what happens while clients are quiet.
  shape.heartbeat = random.chance(25) ? "100ms" : "250ms";
  if (random.chance(70)) shape.snapshotsEvery = random.between(20, 200);
  return makeConfig(shape, "seed " + std::to_string(seed));
}

/// All that are drawn name the same plugins: loaded once in a process.
const kernel::Wiring& wiringOfDrawn(const kernel::Config& config) {
  static const auto wiring = kernel::load(config);
  return wiring;
}

class Campaign final {
 public:
  Campaign(const CampaignSettings& settings, const kernel::Config& config,
           const kernel::Wiring& wiring)
      : settings(settings),
        stage({settings.seed, settings.clients, 8, settings.trace, settings.onlyClients,
               settings.record ? &events : nullptr},
              config, wiring),
        faults(stage.world, Random(settings.seed).split("faults"), stage.story,
               [this](core::MemberId id) { stage.gone(id); }, settings.onlyFaults) {
    stage.history.stood = [this](core::MemberId id, const core::Standing& standing) {
      faults.stood(id, standing);
    };
    stage.stopped = [this](core::MemberId id) { faults.stopped(id); };
  }

  CampaignResult run() {
    auto& story = stage.story;
    story.tell(std::to_string(stage.world.servers.size()) + " servers; " + faults.describe());
    stage.perform([this]() { play(); });
    CampaignResult result;
    result.violation = story.violation();
    result.last.assign(story.last().begin(), story.last().end());
    result.faults.assign(faults.injected().begin(), faults.injected().end());
    result.events = std::move(events);
    result.counters = stage.counters();
    result.traceHash = stage.world.network->traceHash;
    result.simulatedSeconds = stage.world.now() / kj::MILLISECONDS / 1000.0;
    return result;
  }

 private:
  const CampaignSettings settings;
  std::vector<Event> events;
  Stage stage;
  Faults faults;

  void play() {
    auto& world = stage.world;
    auto& story = stage.story;
    stage.begin();
    auto end = world.timer().now() + settings.faultySeconds * kj::SECONDS;
    while (world.timer().now() < end && !story.violation()) {
      if (settings.cutAtMs > 0 && story.now() > settings.cutAtMs) return;
      world.runUntil(std::min(end, faults.next()));
      for (auto id : stage.stoppedByThemselves()) faults.stopped(id);
      faults.act();
    }
    if (story.violation()) return;
    faults.heal();
    stage.calmDown();
    stage.converge("after healing", patience());
    if (story.violation()) return;
    faults.coldRestart();
    stage.converge("after a cold restart", patience());
  }

  kj::Duration patience() const {
    auto& counters = stage.story.counters;
    if (counters.count("damage found") + counters.count("stopped over damage") > 0) {
      return HEALING_OF_DAMAGED;
    }
    return counters.count("wipes") > 0 ? HEALING_OF_WIPED : CONVERGENCE;
  }
};

}  // namespace

CampaignResult runCampaign(const CampaignSettings& settings) {
  auto config = settings.config != nullptr ? *settings.config : drawConfig(settings.seed);
  auto wiring = settings.config != nullptr ? kernel::load(config) : wiringOfDrawn(config);
  auto whole = kernel::completed(config, wiring);
  auto before = kernel::objectsMade();
  Campaign campaign(settings, whole, wiring);
  auto result = campaign.run();
  result.objectsMade = kernel::objectsMade() - before;
  return result;
}

const std::vector<std::string>& coverageWanted() {
  static const std::vector<std::string> wanted = {"elections",
                                                  "kills",
                                                  "power losses",
                                                  "powered off while writing",
                                                  "all down at once",
                                                  "pauses",
                                                  "partitions",
                                                  "one-way partitions",
                                                  "flapping links",
                                                  "slow links",
                                                  "resets",
                                                  "conflate loss",
                                                  "clogged links",
                                                  "swizzles",
                                                  "repeats",
                                                  "slow disk",
                                                  "stalled disk",
                                                  "wipes",
                                                  "clock skews",
                                                  "images taken",
                                                  "images sent",
                                                  "images installed",
                                                  "seals applied",
                                                  "sessions resumed",
                                                  "sessions expired",
                                                  "unknown outcomes",
                                                  "unknown outcomes resolved",
                                                  "writes acknowledged",
                                                  "reads answered",
                                                  "syncs answered",
                                                  "watches set",
                                                  "events told",
                                                  "links broken",
                                                  "sectors lost",
                                                  "stopped after a disk error",
                                                  "bit rot",
                                                  "misdirected write",
                                                  "stale sector",
                                                  "full disk",
                                                  "refused for want of space",
                                                  "slow sync",
                                                  "damage found",
                                                  "stopped over damage",
                                                  "powered off while recovering",
                                                  "pauses of all",
                                                  "watches renewed",
                                                  "reads outside of sessions"};
  return wanted;
}

}  // namespace polyquorum::simulator
