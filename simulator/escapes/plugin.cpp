// SPDX-License-Identifier: Apache-2.0
// Elections that reach out of the simulated world, one by the clock, one by a socket, one by chance of
// its own. Built for tests only: both traps must catch each.
#include "sdk/plugin.h"
#include <sys/socket.h>  // layering: allow(socket): this is what must be caught
#include <unistd.h>
#include <chrono>
#include <memory>
#include <random>
#include "sdk/core_adapter.h"
#include "sdk/options.h"

namespace polyquorum::escapes {
namespace {

std::uint64_t reachOut() {
#if defined(READS_CLOCK)
  // layering: allow(clock): this is what must be caught
  return std::chrono::steady_clock::now().time_since_epoch().count();
#elif defined(OPENS_SOCKET)
  // layering: allow(socket): this is what must be caught
  auto fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd >= 0) close(fd);
  return 1;
#else
  // layering: allow(chance): this is what must be caught
  return std::random_device()();
#endif
}

/// Otherwise harmless: names the first voter.
class Escape final : public core::ElectionCore {
 public:
  core::ElectionEffects step(core::Nanos, std::span<const core::ElectionEvent> events) override {
    core::ElectionEffects effects;
    for (auto& event : events) {
      auto* opened = std::get_if<core::ElectionOpened>(&event);
      if (opened == nullptr) continue;
      effects.nominate = core::Nomination{opened->members[0].id, reachOut()};
    }
    return effects;
  }
};

class EscapePlugin final : public plugin::Plugin::Server {
 public:
  explicit EscapePlugin(sdk::Environment&) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(description, ESCAPE_NAME, capnp::Schema::from<election::Election>(), {}, {});
    description.getTraits().initElection();
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    sdk::Options(context.getParams().getOptions()).finish();
    election::Election::Client instance = sdk::adapt(std::make_unique<Escape>());
    context.getResults().setInstance(instance);
    return kj::READY_NOW;
  }
};

}  // namespace
}  // namespace polyquorum::escapes

POLYQUORUM_PLUGIN(polyquorum::election::Election, ESCAPE_NAME, polyquorum::escapes::EscapePlugin);
