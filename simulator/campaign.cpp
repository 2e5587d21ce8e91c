// SPDX-License-Identifier: Apache-2.0
// One seed; see campaign.h.
#include "simulator/campaign.h"
#include <kj/debug.h>
#include "simulator/client.h"
#include "simulator/door.h"
#include "simulator/faults.h"
#include "simulator/world.h"

namespace polyquorum::simulator {
namespace {

constexpr auto CONVERGENCE = 10 * kj::SECONDS;
constexpr auto LOOK_EVERY = 50 * kj::MILLISECONDS;
/// A server that lost its disk learns everything and is named by a seal.
constexpr auto HEALING_OF_WIPED = 15 * kj::SECONDS;

kernel::Config drawConfig(std::uint64_t seed) {
  auto random = Random(seed).split("config");
  auto voters = random.chance(30) ? 5 : 3;
  bool observer = random.chance(25);
  auto every = random.chance(70) ? random.between(20, 200) : 100000;
  std::string text = "cluster:\n  name: simulated\n  servers:\n";
  for (int id = 1; id <= voters + observer; id++) {
    auto number = std::to_string(id);
    text += "    - { id: " + number + ", peer: \"127.0.0.1:100" + number +
            "\", zookeeper: \"127.0.0.1:200" + number + "\", data: /simulated/" + number +
            (id > voters ? ", role: observer" : "") + " }\n";
  }
  text +=
      "plugins:\n  election:  { use: fast_leader }\n  consensus: { use: zab }\n"
      "  storage:   { use: file, walSize: 1MiB }\n  transport: { use: tcp }\n"
      "  api:       [ { use: zookeeper } ]\n"
      "snapshots: { every: " +
      std::to_string(every) + " }\n";
  return kernel::parseConfig(text, "seed " + std::to_string(seed), "/simulated");
}

class Campaign final : public Roads, public kj::TaskSet::ErrorHandler {
 public:
  Campaign(const CampaignSettings& settings, const kernel::Config& config,
           const kernel::Wiring& wiring)
      : settings(settings),
        world(config, wiring, settings.seed),
        history(story),
        faults(world, Random(settings.seed).split("faults"), story,
               [this](core::MemberId id) { gone(id); }) {
    story.trace = settings.trace;
    story.now = [this]() { return world.now() / kj::MICROSECONDS / 1000.0; };
    story.broken = [this]() { world.interrupt(); };
    world.makeWitness = [this](core::MemberId id) { return history.witness(id); };
    world.makeApi = [this](core::MemberId id) { return makeDoor(id); };
    world.failed = [this](core::MemberId id, const kj::Exception& why) { failed(id, why); };
    world.log = [this](core::MemberId id, sdk::Level level, kj::StringPtr line) {
      logged(id, level, line);
    };
    history.expired = [this](std::uint64_t session, std::uint64_t incarnation) {
      for (auto& client : clients) client->expired(session, incarnation);
    };
    auto random = Random(settings.seed).split("clients");
    for (unsigned number = 0; number < settings.clients; number++) {
      clients.push_back(std::make_unique<Client>(number, random.split(std::to_string(number)),
                                                 world.timer(), *this, history, story));
    }
  }
  ~Campaign() noexcept(false) {
    tasks = nullptr;
    world.shutDown();
  }

  CampaignResult run() {
    story.tell(std::to_string(world.servers.size()) + " servers; " + faults.describe());
    auto thrown = kj::runCatchingExceptions([this]() { play(); });
    KJ_IF_MAYBE (exception, thrown) {
      story.violate("world", exception->getDescription().cStr());
    }
    CampaignResult result;
    result.violation = story.violation();
    result.last.assign(story.last().begin(), story.last().end());
    result.counters = story.counters;
    count(result.counters);
    result.traceHash = world.network->traceHash;
    result.simulatedSeconds = world.now() / kj::MILLISECONDS / 1000.0;
    return result;
  }

 private:
  const CampaignSettings settings;
  Story story;
  World world;
  History history;
  Faults faults;
  std::map<core::MemberId, Door*> doors;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<core::MemberId> broken;  ///< stopped by themselves, to be ended
  bool faulty = true;
  kj::Own<kj::TaskSet> tasks = kj::heap<kj::TaskSet>(*this);

  void play() {
    for (auto& [id, server] : world.servers) world.start(id);
    for (auto& client : clients) tasks->add(client->live());
    auto end = world.timer().now() + settings.faultySeconds * kj::SECONDS;
    while (world.timer().now() < end && !story.violation()) {
      world.runUntil(std::min(end, faults.next()));
      endBroken();
      faults.act();
    }
    if (story.violation()) return;
    faulty = false;
    faults.heal();
    for (auto& client : clients) client->calmDown();
    converge("after healing");
    if (story.violation()) return;
    faults.coldRestart();
    converge("after a cold restart");
  }

  void endBroken() {
    auto ended = broken;
    broken.clear();
    for (auto id : ended) faults.stopped(id);
  }

  void converge(const std::string& when) {
    bool wiped = story.counters.count("wipes") > 0;
    auto end = world.timer().now() + (wiped ? HEALING_OF_WIPED : CONVERGENCE);
    std::string missing;
    while (world.timer().now() < end && !story.violation()) {
      world.runUntil(world.timer().now() + LOOK_EVERY);
      missing = converged();
      if (missing.empty()) return;
    }
    if (!story.violation()) story.violate("liveness", "not converged " + when + ": " + missing);
  }

  /// Empty, or what is still missing.
  std::string converged() {
    core::MemberId leader = 0;
    core::Index applied = 0;
    std::uint64_t digest = 0;
    bool first = true;
    for (auto& [id, server] : world.servers) {
      auto name = "server " + std::to_string(id);
      if (!server.up()) return name + " is down";
      capnp::MallocMessageBuilder message;
      auto status = message.initRoot<coordination::Status>();
      server.node->status(status);
      if (status.getPhase() == consensus::Standing::Phase::LEADING) leader = id;
      if (status.getPhase() < consensus::Standing::Phase::FOLLOWING)
        return name + " follows nobody";
      if (!status.getMayVote() && !world.observer(id)) return name + " may not vote";
      if (!first && status.getApplied() != applied)
        return name + " has not applied what others have";
      if (!first && status.getDigest() != digest) {
        story.violate("state-digest", name + " has another state than others at the same index");
      }
      applied = status.getApplied();
      digest = status.getDigest();
      first = false;
    }
    if (leader == 0) return "there is no leader";
    for (auto& client : clients) {
      if (!client->settled()) return client->describe();
    }
    if (applied < history.acknowledged)
      story.violate("durability", "what was acknowledged is gone");
    return "";
  }

  void count(std::map<std::string, std::uint64_t>& counters) {
    auto& network = *world.network;
    counters["parcels delivered"] += network.parcelsDelivered;
    counters["parcels lost"] += network.parcelsLost;
    counters["links broken"] += network.linksBroken;
    counters["images sent"] += network.imagesSent;
    counters["entries decided"] += history.last();
    for (auto& [id, server] : world.servers) {
      counters["disk operations"] += server.disk->operations;
      counters["sectors lost"] += server.disk->sectorsLost;
    }
  }

  // ----------------------------------------------------------------------------------- servers

  coordination::Api::Client makeDoor(core::MemberId id) {
    auto door = kj::heap<Door>([this, id](coordination::Delivery::Reader delivery) {
      for (auto& client : clients) client->delivered(id, delivery);
    });
    doors[id] = door.get();
    return coordination::Api::Client(kj::mv(door));
  }

  void gone(core::MemberId id) {
    doors.erase(id);
    for (auto& client : clients) client->serverGone(id);
  }

  void failed(core::MemberId id, const kj::Exception& why) {
    if (world.servers.at(id).powerless) return;
    auto line = "server " + std::to_string(id) + " stopped: " + why.getDescription().cStr();
    if (world.servers.at(id).diskFailed) {
      story.tell(line);
      story.count("stopped after a disk error");
    } else {
      story.violate("node", line);
    }
    broken.push_back(id);
    world.interrupt();
  }

  void logged(core::MemberId id, sdk::Level level, kj::StringPtr line) {
    if (line.startsWith("snapshot.taken")) story.count("images taken");
    if (level < sdk::Level::INFO && settings.trace == nullptr) return;
    story.tell("server " + std::to_string(id) + ": " + line.cStr());
  }

  // --------------------------------------------------------------------------------------- Roads

  std::vector<core::MemberId> open() override {
    std::vector<core::MemberId> out;
    for (auto& [id, door] : doors) {
      if (door->open()) out.push_back(id);
    }
    return out;
  }

  void submit(core::MemberId to,
              const std::function<void(coordination::Request::Builder)>& fill) override {
    auto found = doors.find(to);
    if (found == doors.end() || !found->second->open()) return;
    capnp::MallocMessageBuilder message;
    fill(message.initRoot<coordination::Request>());
    auto& server = world.servers.at(to);
    if (!server.environment->gate.shut()) {
      return pass(to, server.lives, message.getRoot<coordination::Request>());
    }
    auto kept = kj::heap<capnp::MallocMessageBuilder>();
    kept->setRoot(message.getRoot<coordination::Request>().asReader());
    tasks->add(server.environment->gate.pass().then(
        [this, to, life = server.lives, kept = kj::mv(kept)]() mutable {
          pass(to, life, kept->getRoot<coordination::Request>());
        }));
  }

  void pass(core::MemberId to, std::uint64_t life, coordination::Request::Reader request) {
    auto found = doors.find(to);
    if (found == doors.end() || world.servers.at(to).lives != life || !found->second->open())
      return;
    tasks->add(
        found->second->submit([&](coordination::Request::Builder out) { copy(request, out); })
            .catch_([](kj::Exception&&) {}));
  }

  static void copy(coordination::Request::Reader from, coordination::Request::Builder to) {
    to.setToken(from.getToken());
    to.setSession(from.getSession());
    to.setDeadlineMs(from.getDeadlineMs());
    switch (from.which()) {
      case coordination::Request::OPERATION:
        return to.setOperation(from.getOperation());
      case coordination::Request::QUERY:
        return to.setQuery(from.getQuery());
      case coordination::Request::SYNC:
        return to.setSync();
      case coordination::Request::LEAVE:
        return to.setLeave();
      default:
        KJ_FAIL_ASSERT("the workload asks nothing else");
    }
  }

  void taskFailed(kj::Exception&& exception) override {
    story.violate("workload", exception.getDescription().cStr());
  }
};

}  // namespace

CampaignResult runCampaign(const CampaignSettings& settings) {
  auto config = settings.config != nullptr ? *settings.config : drawConfig(settings.seed);
  auto wiring = kernel::load(config);
  auto whole = kernel::completed(config, wiring);
  Campaign campaign(settings, whole, wiring);
  return campaign.run();
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
                                                  "stopped after a disk error"};
  return wanted;
}

}  // namespace polyquorum::simulator
