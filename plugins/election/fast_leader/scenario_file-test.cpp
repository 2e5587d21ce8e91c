// SPDX-License-Identifier: Apache-2.0
// Scenario files: scenarios/*.txt. A step a line, and under it what came of it, each line after "> ".
// UPDATE=1 fast_leader_test "fast_leader: scenario files*" writes them anew; read the difference.
#include <catch2/catch.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "plugins/election/fast_leader/cluster.h"

namespace polyquorum::fast_leader {
namespace {

/// Plays one file; throws for a line that it does not understand.
class Play {
public:
  std::string run(std::istream& file) {
    std::string line;
    while (std::getline(file, line)) {
      if (line.rfind("> ", 0) == 0) continue;
      out += line + "\n";
      if (line.empty() || line[0] == '#') continue;
      words = std::istringstream(line);
      step(word(), line);
    }
    return out;
  }

private:
  std::unique_ptr<Cluster> cluster;
  std::istringstream words;
  std::string out;

  std::string word() {
    std::string word;
    words >> word;
    return word;
  }
  std::uint64_t number() { return std::stoull(word()); }
  core::MemberId id() { return static_cast<core::MemberId>(number()); }
  Cluster& it() {
    if (!cluster) throw std::runtime_error("the first step is `servers VOTERS LEARNERS`");
    return *cluster;
  }

  void step(const std::string& verb, const std::string& line) {
    if (verb == "servers") {           // servers VOTERS [LEARNERS]
      auto voters = static_cast<unsigned>(number());
      auto rest = word();
      cluster = std::make_unique<Cluster>(voters, rest.empty() ? 0 : std::stoul(rest));
      cluster->logGrows = false;
      cluster->onEvent = [this](const std::string& line) { out += "> " + line + "\n"; };
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
      if (leader != wanted) out += "> WRONG: " + std::to_string(leader) + " leads\n";
    } else {
      throw std::runtime_error("no such step: " + line);
    }
  }
};

}  // namespace

TEST_CASE("fast_leader: scenario files come out as they are written") {
  std::vector<std::filesystem::path> paths;
  for (auto& entry : std::filesystem::directory_iterator(FAST_LEADER_SCENARIOS)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  REQUIRE(!paths.empty());
  std::sort(paths.begin(), paths.end());
  for (auto& path : paths) {
    INFO(path.string());
    std::ifstream file(path);
    std::stringstream whole;
    whole << file.rdbuf();
    std::istringstream again(whole.str());
    auto played = Play().run(again);
    CHECK(played.find("> WRONG") == played.npos);
    if (std::getenv("UPDATE") != nullptr) {
      std::ofstream(path) << played;
    } else {
      CHECK(played == whole.str());
    }
  }
}

}  // namespace polyquorum::fast_leader
