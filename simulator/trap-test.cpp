// SPDX-License-Identifier: Apache-2.0
// Plugins that read the clock, open a socket or draw chance of their own are caught twice: by what
// their library imports, and by the trap when they do it.
#include <catch2/catch.hpp>
#include <ctime>
#include "simulator/campaign.h"
#include "simulator/imports.h"
#include "simulator/trap.h"

using namespace polyquorum;
using namespace polyquorum::simulator;

namespace {

struct Escape {
  const char* name;
  const char* import;    ///< part of a symbol that only this one asks for
  const char* why;
  const char* function;  ///< what the trap sees called
};

const Escape ESCAPES[] = {
    {"reads_clock", "steady_clock", "reads a clock", "clock_gettime"},
    {"opens_socket", "socket", "opens sockets", "socket"},
    {"draws_chance", "random_device", "draws chance", "random_device"},
};

kernel::Config configOf(const std::string& election) {
  auto config = kernel::parseConfig(R"(
cluster:
  name: escapes
  servers:
    - { id: 1, peer: "127.0.0.1:1001", data: /simulated/1, zookeeper: "127.0.0.1:2001" }
    - { id: 2, peer: "127.0.0.1:1002", data: /simulated/2, zookeeper: "127.0.0.1:2002" }
    - { id: 3, peer: "127.0.0.1:1003", data: /simulated/3, zookeeper: "127.0.0.1:2003" }
plugins:
  election:  { use: )" + election + R"( }
  consensus: { use: zab }
  storage:   { use: file, walSize: 1MiB }
  transport: { use: tcp }
  api:       [ { use: zookeeper } ]
)",
                                    "escapes.yaml", "/simulated");
  config.pluginDirectories.insert(config.pluginDirectories.begin(), POLYQUORUM_ESCAPES_PLUGINS);
  return config;
}

}  // namespace

TEST_CASE("a library that imports a clock, a socket or chance is named for it") {
  for (auto& escape : ESCAPES) {
    auto file = std::string(POLYQUORUM_ESCAPES_PLUGINS) + "/election/" + escape.name + ".so";
    auto forbidden = forbiddenImports("election", importsOf(file));
    INFO(escape.name);
    REQUIRE(!forbidden.empty());
    for (auto& one : forbidden) {
      CHECK(one.symbol.find(escape.import) != std::string::npos);
      CHECK(one.why == escape.why);
    }
  }
}

TEST_CASE("what an api may do is more than what a storage may do") {
  std::vector<std::string> imports = {"memcpy", "open", "socket", "clock_gettime"};
  CHECK(forbiddenImports("storage", imports).size() == 3);
  CHECK(forbiddenImports("transport", imports).size() == 2);
  CHECK(forbiddenImports("api", imports).size() == 1);
}

TEST_CASE("a plugin that reaches out of the simulated world breaks the run, and is named") {
  if (!trapped()) return;  // under sanitizers
  for (auto& escape : ESCAPES) {
    auto config = configOf(escape.name);
    CampaignSettings settings;
    settings.faultySeconds = 3;
    settings.config = &config;
    auto result = runCampaign(settings);
    INFO(escape.name);
    REQUIRE(result.violation);
    INFO(result.violation->what);
    CHECK(result.violation->checker == "outside-world");
    CHECK(result.violation->what.find(escape.function) != std::string::npos);
    CHECK(result.violation->what.find(std::string(escape.name) + ".so") != std::string::npos);
  }
}

TEST_CASE("outside the simulated world the same calls pass") {
  unsigned told = 0;
  onEscape([&](const std::string&, const std::string&) { told++; });
  timespec now;
  CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
  CHECK(told == 0);
  if (trapped()) {
    Inside inside;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
  }
  CHECK(told == (trapped() ? 1 : 0));
  onEscape(nullptr);
}
