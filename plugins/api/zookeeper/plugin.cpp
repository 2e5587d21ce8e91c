// SPDX-License-Identifier: Apache-2.0
// The plugin's self-description and the Api that it creates. All work is the server's.
#include <kj/debug.h>
#include "plugins/api/zookeeper/server.h"
#include "plugins/api/zookeeper/settings.h"
#include "sdk/direct.h"
#include "sdk/plugin.h"

namespace polyquorum::zookeeper {
namespace {

class Instance final : public coordination::Api::Server {
public:
  Instance(sdk::Environment& environment, Settings&& settings)
      : environment(environment), settings(std::move(settings)) {}

  kj::Promise<void> start(StartContext context) override {
    KJ_REQUIRE(server == nullptr, "zookeeper: start was called twice");
    auto parameters = context.getParams();
    auto self = parameters.getSelf();
    kj::String address;
    for (auto door : self.getAddresses()) {
      if (door.getPurpose() == "zookeeper") address = kj::str(door.getAt());
    }
    KJ_REQUIRE(address.size() > 0, "zookeeper: this server's row names no address; add for example "
               "`zookeeper: 127.0.0.1:2181`", self.getId());
    auto made = kj::heap<zookeeper::Server>(environment, settings, self.getId(), address,
                                            parameters.getDesk());
    server = made.get();
    auto client = sdk::direct<coordination::Outbox>(kj::mv(made));
    context.getResults().setOutbox(client);
    outbox = kj::mv(client);
    return kj::READY_NOW;
  }

  kj::Promise<void> stop(StopContext) override {
    if (server == nullptr) return kj::READY_NOW;
    return server->stop();
  }

private:
  sdk::Environment& environment;
  Settings settings;
  zookeeper::Server* server = nullptr;                // lives in outbox
  kj::Maybe<coordination::Outbox::Client> outbox;
};

class ZooKeeper final : public plugin::Plugin::Server {
public:
  explicit ZooKeeper(sdk::Environment& environment) : environment(environment) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(description, "zookeeper", capnp::Schema::from<coordination::Api>(), OPTION_TEXTS);
    auto traits = description.getTraits().initApi();
    traits.setNeedsTotalOrder(true);
    traits.setNeedsReadBarrier(false);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    auto settings = readSettings(context.getParams().getOptions());
    coordination::Api::Client instance = kj::heap<Instance>(environment, kj::mv(settings));
    context.getResults().setInstance(kj::mv(instance));
    return kj::READY_NOW;
  }

private:
  sdk::Environment& environment;
};

}  // namespace
}  // namespace polyquorum::zookeeper

POLYQUORUM_PLUGIN(polyquorum::coordination::Api, "zookeeper", polyquorum::zookeeper::ZooKeeper);
