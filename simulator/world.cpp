// SPDX-License-Identifier: Apache-2.0
// The simulated world; see world.h.
#include "simulator/world.h"
#include <kj/debug.h>
#include "kernel/arena.h"
#include "simulator/trap.h"

namespace polyquorum::simulator {

namespace {

constexpr std::uint32_t BUSY_EVENTS = 1'000'000;

}  // namespace

World::World(const kernel::Config& config, const kernel::Wiring& wiring, std::uint64_t seed)
    : random(Random(seed).split("world")),
      config(config),
      wiring(wiring),
      begin(port.timer().now()) {
  kernel::useArena();
  ownNetwork = std::make_unique<Network>(port.timer(), random.split("network"));
  network = ownNetwork.get();
  network->leaves = [this](core::MemberId id) {
    if (beforeParcel) beforeParcel(id);
    return !servers.at(id).powerless;
  };
  scope.setBusyPollInterval(BUSY_EVENTS);
  for (auto& row : config.servers) {
    auto& server = servers[row.id];
    server.id = row.id;
    server.disk = std::make_unique<Disk>(random.split("disk" + std::to_string(row.id)));
  }
}

World::~World() noexcept(false) { shutDown(); }

void World::shutDown() {
  for (auto& [id, server] : servers) end(server);
}

void World::run(kj::Duration duration, const std::function<bool()>& stop) {
  Inside inside;
  auto until = port.timer().now() + duration;
  while (port.timer().now() < until && !(stop && stop())) {
    // In pieces, so that stop is asked; a piece is one timer's worth of events or a millisecond.
    port.timer()
        .afterDelay(std::min<kj::Duration>(1 * kj::MILLISECONDS, until - port.timer().now()))
        .wait(scope);
  }
}

void World::runUntil(kj::TimePoint moment) {
  Inside inside;
  if (port.timer().now() >= moment) return;
  auto pair = kj::newPromiseAndFulfiller<void>();
  interruption = kj::mv(pair.fulfiller);
  port.timer().atTime(moment).exclusiveJoin(kj::mv(pair.promise)).wait(scope);
  interruption = nullptr;
}

void World::interrupt() {
  KJ_IF_MAYBE (fulfiller, interruption) (*fulfiller)->fulfill();
}

void World::pause(core::MemberId id) {
  auto& server = servers.at(id);
  if (!server.up()) return;
  server.environment->gate.close();
  network->pause(id, true);
}

void World::resume(core::MemberId id) {
  auto& server = servers.at(id);
  if (!server.up()) return;
  server.environment->gate.open();
  network->pause(id, false);
}

void World::powerOffAt(core::MemberId id, std::uint64_t countdown) {
  auto& server = servers.at(id);
  server.powerOffIn = countdown;
  server.disk->hook = [this, &server](const DiskOperation& operation) {
    if (!server.powerless && operation.kind != DiskOperation::READ && server.powerOffIn > 0 &&
        --server.powerOffIn == 0) {
      silence(server.id);
    }
    if (server.powerless) kj::throwFatalException(KJ_EXCEPTION(FAILED, "the power is off"));
  };
}

void World::silence(core::MemberId id) {
  servers.at(id).powerless = true;
  interrupt();
}

void World::failDiskAt(core::MemberId id, std::uint64_t countdown) {
  auto& server = servers.at(id);
  server.disk->hook = [&server, countdown](const DiskOperation& operation) mutable {
    if (operation.kind == DiskOperation::READ || countdown == 0 || --countdown > 0) return;
    server.diskFailed = true;
    if (operation.kind == DiskOperation::SYNC) server.disk->failSync(operation.file);
    kj::throwFatalException(KJ_EXCEPTION(FAILED, "input/output error (simulated)"));
  };
}

void World::start(core::MemberId id) {
  Inside inside;
  auto& server = servers.at(id);
  KJ_REQUIRE(!server.up(), "this server is up already", id);
  server.lives++;
  auto life = random.split("life" + std::to_string(id) + "." + std::to_string(server.lives));
  server.environment =
      std::make_unique<SimulatedEnvironment>(port.timer(), *server.disk, life, server.wallSkewMs,
                                             [this, id](sdk::Level level, kj::StringPtr line) {
                                               if (log) log(id, level, line);
                                             });
  server.environment->timing = server.diskTiming;
  kernel::StandIns standIns;
  standIns.transport = network->join(id);
  if (makeWitness) {
    server.witness = makeWitness(id);
    standIns.witness = server.witness.get();
  }
  std::vector<kernel::Parts::Api> apis;
  if (makeApi) apis.push_back({"workload", makeApi(id)});
  standIns.apis = kj::mv(apis);
  kernel::NodeSettings settings;
  settings.id = id;
  settings.bootstrap = !server.formatted;
  server.node = kernel::startNode(
      config, kernel::makeParts(config, wiring, *server.environment, kj::mv(standIns)), settings,
      *server.environment);
  server.boot = server.node->started()
                    .then([&server]() { server.formatted = true; })
                    .eagerlyEvaluate([](kj::Exception&&) {});
  server.watch = server.node->failed().eagerlyEvaluate([this, id](kj::Exception&& why) {
    if (failed) failed(id, why);
  });
}

void World::end(Server& server) {
  if (!server.up()) return;
  Inside inside;
  server.environment->end();
  server.disk->end();
  network->leave(server.id);
  server.watch = kj::NEVER_DONE;
  server.boot = kj::NEVER_DONE;
  server.node = nullptr;
  server.witness = nullptr;
  server.powerOffIn = 0;
  server.powerless = false;
  server.diskFailed = false;
  server.disk->hook = nullptr;
  graves.push_back(std::move(server.environment));
  scope.poll();  // what held on to this life hears of its end
}

void World::kill(core::MemberId id) {
  auto& server = servers.at(id);
  end(server);
  server.disk->stop();
}

void World::powerOff(core::MemberId id) {
  auto& server = servers.at(id);
  end(server);
  server.disk->crash();
}

core::MemberId World::leader() {
  for (auto& [id, server] : servers) {
    if (!server.up()) continue;
    capnp::MallocMessageBuilder message;
    auto status = message.initRoot<coordination::Status>();
    server.node->status(status);
    if (status.getPhase() == consensus::Standing::Phase::LEADING) return id;
  }
  return 0;
}

}  // namespace polyquorum::simulator
