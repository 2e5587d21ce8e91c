// SPDX-License-Identifier: Apache-2.0
// Scenario files: scenarios/*.txt. A step a line, and under it what came of it, each line after "> ".
// UPDATE=1 zab_test "zab: scenario files*" writes them anew; read the difference before you keep it.
#include <catch2/catch.hpp>
#include "plugins/consensus/zab/test_cluster.h"
#include "sdk/scenario_files-test.h"

namespace polyquorum::zab {
namespace {

constexpr core::Nanos PATIENCE = 5000 * MS;

class Play final : public sdk::test::ScenarioPlay {
private:
  std::unique_ptr<Cluster> cluster;
  Settings settings;
  Weather weather;
  std::string lost;   ///< the kind of letter that is lost next
  core::MemberId lostFrom = 0;

  Cluster& it() {
    if (!cluster) throw std::runtime_error("the first step is `servers VOTERS LEARNERS`");
    return *cluster;
  }

  void make() {
    auto voters = static_cast<unsigned>(number());
    auto rest = word();
    cluster = std::make_unique<Cluster>(voters, rest.empty() ? 0 : std::stoul(rest), 1, settings);
    // Time passes evenly: only the steps say what happens when.
    weather.letterMin = weather.letterMax = MS / 10;
    weather.diskMax = 1;
    weather.snapshotMax = 1;
    cluster->weather = weather;
    cluster->onEvent = [this](const std::string& line) { event(line); };
    cluster->onSend = [this](core::MemberId from, const core::Letter& letter) {
      auto* kind = wellFormed(letter);
      if (lost.empty() || from != lostFrom || kind == nullptr || lost != kind) return true;
      tell("  (lost)");
      lost.clear();
      return false;
    };
  }

  /// Heartbeats say nothing new.
  void event(const std::string& line) {
    if (line.find(": ping") != line.npos || line.find(": pong") != line.npos) return;
    tell(line);
  }

  void until() {
    auto what = word();
    auto condition = [&]() -> std::function<bool()> {
      if (what == "converged") return [this]() { return it().converged(); };
      auto who = id();
      if (what == "leads") return [this, who]() { return it().leads(who); };
      if (what == "follows") return [this, who]() { return it().follows(who); };
      if (what == "idle") {
        return [this, who]() { return it().at(who).standing.phase == core::Standing::IDLE; };
      }
      throw std::runtime_error("until what? " + what);
    }();
    if (!it().runUntil(PATIENCE, condition)) tell("NEVER");
  }

  void show(core::MemberId who) {
    auto& server = it().at(who);
    std::string line = std::to_string(who) + " holds: base=" +
                       std::to_string(server.memory.base.index);
    for (auto& [index, entry] : server.memory.log) {
      line += " " + std::to_string(index) + "/" + std::to_string(entry.stamp) + "=" +
              std::to_string(it().body(who, index));
    }
    tell(line + "; decided " + std::to_string(server.committed));
  }

  void step(const std::string& verb, const std::string& line) override {
    if (verb == "option") return option();
    if (verb == "servers") return make();
    if (verb == "start") {
      for (auto who = word(); !who.empty(); who = word()) it().start(std::stoul(who));
    } else if (verb == "nominate") {   // nominate LEADER at SERVER...
      auto leader = id();
      word();
      for (auto who = word(); !who.empty(); who = word()) it().nominate(std::stoul(who), leader);
    } else if (verb == "propose") {    // propose COUNT at SERVER
      auto count = static_cast<unsigned>(number());
      word();
      it().propose(id(), count);
    } else if (verb == "run") {
      it().run(static_cast<core::Nanos>(number()) * MS);
    } else if (verb == "until") {
      until();
    } else if (verb == "hold") {       // its disk makes nothing durable
      it().holdDisk(id());
    } else if (verb == "durable") {    // durable COUNT at SERVER: of a held disk
      auto count = number();
      word();
      it().makeDurable(id(), count);
      it().run(MS);
    } else if (verb == "release") {
      it().releaseDisk(id());
    } else if (verb == "crash") {      // crash SERVER keeping COUNT: of the writes under way
      auto who = id();
      word();
      auto kept = word();
      it().crash(who, kept.empty() ? 0 : std::stoul(kept));
    } else if (verb == "isolate") {
      it().isolate(id());
    } else if (verb == "cut") {
      auto a = id();
      it().cut(a, id());
    } else if (verb == "heal") {
      it().heal();
    } else if (verb == "stall") {      // stall FROM TO: letters stay on their way
      auto from = id();
      it().stall(from, id());
    } else if (verb == "deliver") {
      it().release();
    } else if (verb == "lose") {       // lose KIND from SERVER: the next one
      lost = word();
      word();
      lostFrom = id();
    } else if (verb == "snapshot") {
      it().ownSnapshot(id());
      it().run(MS);
    } else if (verb == "show") {
      for (auto who = word(); !who.empty(); who = word()) show(std::stoul(who));
    } else {
      throw std::runtime_error("no such step: " + line);
    }
  }

  void option() {
    auto name = word();
    if (name == "chunkBytes") {
      settings.chunkBytes = number();
    } else if (name == "snapshotKeeps") {
      weather.snapshotKeeps = static_cast<unsigned>(number());
    } else {
      throw std::runtime_error("no such option: " + name);
    }
  }
};

}  // namespace

TEST_CASE("zab: scenario files come out as they are written") {
  sdk::test::checkScenarios<Play>(ZAB_SCENARIOS, "NEVER");  // a step that waits for ever
}

}  // namespace polyquorum::zab
