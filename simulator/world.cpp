// SPDX-License-Identifier: Apache-2.0
// The simulated world; see world.h.
#include "simulator/world.h"
#include <kj/debug.h>

namespace polyquorum::simulator {

World::World(const kernel::Config& config, const kernel::Wiring& wiring, std::uint64_t seed)
    : random(Random(seed).split("world")), config(config), wiring(wiring), begin(port.timer().now()) {
  ownNetwork = std::make_unique<Network>(port.timer(), random.split("network"));
  network = ownNetwork.get();
  for (auto& row : config.servers) {
    auto& server = servers[row.id];
    server.id = row.id;
    server.disk = std::make_unique<Disk>(random.split("disk" + std::to_string(row.id)));
  }
}

World::~World() noexcept(false) {
  for (auto& [id, server] : servers) end(server);
}

void World::run(kj::Duration duration, const std::function<bool()>& stop) {
  auto until = port.timer().now() + duration;
  while (port.timer().now() < until && !(stop && stop())) {
    // In pieces, so that stop is asked; a piece is one timer's worth of events or a millisecond.
    port.timer().afterDelay(std::min<kj::Duration>(1 * kj::MILLISECONDS, until - port.timer().now()))
        .wait(scope);
  }
}

void World::start(core::MemberId id) {
  auto& server = servers.at(id);
  KJ_REQUIRE(!server.up(), "this server is up already", id);
  server.lives++;
  auto life = random.split("life" + std::to_string(id) + "." + std::to_string(server.lives));
  server.environment = std::make_unique<SimulatedEnvironment>(
      port.timer(), *server.disk, life, server.wallSkewMs,
      [this, id](sdk::Level level, kj::StringPtr line) {
        if (log) log(id, level, line);
      });
  server.environment->timing = server.diskTiming;
  kernel::StandIns standIns;
  standIns.transport = network->join(id);
  std::vector<kernel::Parts::Api> apis;
  if (makeApi) apis.push_back({"workload", makeApi(id)});
  standIns.apis = kj::mv(apis);
  kernel::NodeSettings settings;
  settings.id = id;
  settings.bootstrap = !server.formatted;
  server.formatted = true;
  server.node = kernel::startNode(
      config, kernel::makeParts(config, wiring, *server.environment, kj::mv(standIns)), settings,
      *server.environment);
  server.watch = server.node->failed().eagerlyEvaluate([this, id](kj::Exception&& why) {
    if (failed) failed(id, why);
  });
}

void World::end(Server& server) {
  if (!server.up()) return;
  server.environment->end();
  network->leave(server.id);
  server.watch = kj::NEVER_DONE;
  server.node = nullptr;
  server.environment = nullptr;
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

}  // namespace polyquorum::simulator
