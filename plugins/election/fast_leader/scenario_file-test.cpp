// SPDX-License-Identifier: Apache-2.0
// Scenario files: scenarios/*.txt. A step a line, and under it what came of it, each line after "> ".
// UPDATE=1 fast_leader_test "fast_leader: scenario files*" writes them anew; read the difference.
#include <catch2/catch.hpp>
#include "plugins/election/fast_leader/cluster.h"
#include "sdk/scenario_files-test.h"

namespace polyquorum::fast_leader {
namespace {

class Play final : public sdk::test::ScenarioPlay {
private:
  std::unique_ptr<Cluster> cluster;

  Cluster& it() {
    if (!cluster) throw std::runtime_error("the first step is `servers VOTERS LEARNERS`");
    return *cluster;
  }

  void step(const std::string& verb, const std::string& line) override {
    if (verb == "servers") {           // servers VOTERS [LEARNERS]
      auto voters = static_cast<unsigned>(number());
      auto rest = word();
      cluster = std::make_unique<Cluster>(voters, rest.empty() ? 0 : std::stoul(rest));
      cluster->logGrows = false;
      cluster->onEvent = [this](const std::string& line) { tell(line); };
    } else if (verb == "log") {        // log SERVER VIEW STAMP LAST
      auto who = id();
      auto view = number(), stamp = number();
      it().setLog(who, view, stamp, number());
    } else if (verb == "learns") {     // learns SERVER VIEW STAMP LAST: while it runs
      auto who = id();
      auto view = number(), stamp = number(), last = number();
      it().setLog(who, view, stamp, last);
      it().tell(who, it().at(who).evidence);
    } else if (verb == "start") {
      for (auto who = word(); !who.empty(); who = word()) it().start(std::stoul(who));
    } else if (verb == "stop") {
      it().stop(id());
    } else if (verb == "cut") {
      auto a = id();
      it().cut(a, id());
    } else if (verb == "heal") {
      it().heal();
    } else if (verb == "run") {        // run MS
      it().run(static_cast<core::Nanos>(number()) * MS);
    } else if (verb == "led") {        // led LEADER: within two seconds
      auto wanted = id();
      auto leader = it().runUntilLed(2000 * MS);
      if (leader != wanted) tell("WRONG: " + std::to_string(leader) + " leads");
    } else {
      throw std::runtime_error("no such step: " + line);
    }
  }
};

}  // namespace

TEST_CASE("fast_leader: scenario files come out as they are written") {
  sdk::test::checkScenarios<Play>(FAST_LEADER_SCENARIOS, "WRONG");
}

}  // namespace polyquorum::fast_leader
