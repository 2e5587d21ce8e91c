// SPDX-License-Identifier: Apache-2.0
// What the memory storage says of itself, and its factory.
#include "plugins/storage/memory/memory_storage.h"
#include "sdk/options.h"
#include "sdk/plugin.h"

namespace polyquorum::memory {

class MemoryPlugin final : public plugin::Plugin::Server {
public:
  explicit MemoryPlugin(sdk::Environment& environment) : environment(environment) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(description, "memory", capnp::Schema::from<storage::Storage>(), {});
    auto traits = description.initTraits().initStorage();
    traits.setDurable(false);
    traits.setDetectsDamage(false);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    sdk::Options options(context.getParams().getOptions());
    options.finish();
    environment.log(sdk::Level::WARNING,
                    "storage.opened kind=memory durable=false: a restarted node only learns");
    context.getResults().setInstance(kj::heap<MemoryStorage>());
    return kj::READY_NOW;
  }

private:
  sdk::Environment& environment;
};

}  // namespace polyquorum::memory

POLYQUORUM_PLUGIN(polyquorum::storage::Storage, "memory", polyquorum::memory::MemoryPlugin);
