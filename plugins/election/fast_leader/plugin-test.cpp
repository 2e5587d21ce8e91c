// SPDX-License-Identifier: Apache-2.0
// The plugin as the kernel sees it: description, options, an instance that elects.
#include <capnp/capability.h>
#include <capnp/message.h>
#include <kj/async.h>
#include <kj/debug.h>
#include <catch2/catch.hpp>
#include "sdk/plugin.h"

extern "C" const polyquorum::sdk::Descriptor polyquorumPlugin;

namespace polyquorum::fast_leader {
namespace {

/// A pure core's plugin asks nothing of its environment.
class Nowhere final : public sdk::Environment {
public:
  kj::Timer& timer() override { KJ_FAIL_REQUIRE("a core asked for a timer"); }
  std::int64_t wallTimeMs() override { KJ_FAIL_REQUIRE("a core asked for the time"); }
  std::uint64_t random() override { KJ_FAIL_REQUIRE("a core asked for chance"); }
  kj::Own<const kj::Directory> directory(kj::StringPtr) override {
    KJ_FAIL_REQUIRE("a core asked for a disk");
  }
  boost::asio::io_context& io() override { KJ_FAIL_REQUIRE("a core asked for sockets"); }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()>) override {
    KJ_FAIL_REQUIRE("a core asked for a thread");
  }
  void log(sdk::Level, kj::StringPtr) override {}
};

struct Loaded {
  kj::EventLoop loop;
  kj::WaitScope wait{loop};
  Nowhere environment;
  plugin::Plugin::Client client{polyquorumPlugin.open(environment)};

  election::Election::Client create(std::vector<std::pair<const char*, const char*>> rows) {
    auto request = client.createRequest();
    auto options = request.initOptions(rows.size());
    for (unsigned i = 0; i < options.size(); i++) {
      options[i].setName(rows[i].first);
      options[i].setValue(rows[i].second);
      options[i].setPlace(kj::str("cluster.yaml:", i + 1, ":5"));
    }
    return request.send().wait(wait).getInstance().castAs<election::Election>();
  }
};

TEST_CASE("fast_leader: the plugin describes itself") {
  Loaded loaded;
  auto response = loaded.client.describeRequest().send().wait(loaded.wait);
  auto description = response.getDescription();

  CHECK(kj::StringPtr(polyquorumPlugin.name) == "fast_leader");
  CHECK(description.getName() == "fast_leader");
  CHECK(description.getKind() == capnp::typeId<election::Election>());
  CHECK(description.getOptions().size() == 3);
  CHECK(description.getLetters()[0].getNumbers().size() == 7);
  REQUIRE(description.getTraits().isElection());
  CHECK(description.getTraits().getElection().getEvidenceMaximal());
  CHECK_FALSE(description.getTraits().getElection().getPersists());
}

TEST_CASE("fast_leader: an instance elects a lone voter through the interface") {
  Loaded loaded;
  auto instance = loaded.create({{"finalizeWait", "50ms"}});
  auto request = instance.stepRequest();
  auto opened = request.initEvents(1)[0].initOpened();
  opened.setSelf(7);
  opened.initMembers(1)[0].setId(7);
  opened.initEvidence().setEligible(true);

  auto response = request.send().wait(loaded.wait);

  CHECK(response.getEffects().getNominate().getLeader() == 7);
  CHECK(response.getEffects().getNominate().getRound() == 1);
}

TEST_CASE("fast_leader: bad options are told with place, reason and cure") {
  Loaded loaded;

  CHECK_THROWS_WITH(
      loaded.create({{"finaliseWait", "50ms"}, {"notificationMin", "2h"}}),
      Catch::Contains("cluster.yaml:2:5: notificationMin: 2h is out of range; write 1ms to 60s\n"
                      "cluster.yaml:1:5: finaliseWait: there is no such option; did you mean "
                      "finalizeWait?"));
  CHECK_THROWS_WITH(loaded.create({{"notificationMax", "10ms"}}),
                    Catch::Contains("is below notificationMin"));
}

}  // namespace
}  // namespace polyquorum::fast_leader
