// SPDX-License-Identifier: Apache-2.0
// Failing seeds are kept, and replayed until they pass. What fails is real: a cluster whose election
// advises badly for ever, so that only some seeds converge by luck.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include "cli/commands.h"
#include "simulator/kept.h"
#include "tests/support/folder.h"

namespace polyquorum::cli {
namespace {

using simulator::keptSeeds;

/// A folder with the cluster, and the verb run beside it.
class Bench {
public:
  Bench() { elect("100h"); }

  std::string path(const std::string& name) { return folder / name; }

  void elect(const std::string& saneAt) {
    std::ofstream(path("cluster.yaml")) << R"(
cluster:
  name: kept
  servers:
    - { id: 1, peer: "127.0.0.1:1001", zookeeper: "127.0.0.1:2001", data: /simulated/1 }
    - { id: 2, peer: "127.0.0.1:1002", zookeeper: "127.0.0.1:2002", data: /simulated/2 }
    - { id: 3, peer: "127.0.0.1:1003", zookeeper: "127.0.0.1:2003", data: /simulated/3 }
plugins:
  directories: [ )" << POLYQUORUM_ADVERSARY_PLUGINS << R"( ]
  election:  { use: adversary, saneAt: )" << saneAt << R"( }
  consensus: { use: zab }
  storage:   { use: file, walSize: 1MiB }
  transport: { use: tcp }
  api:       [ { use: zookeeper } ]
)";
  }

  Exit simulate(std::vector<std::string> arguments) {
    for (auto* more : {"--seconds", "2", "--shrink", "0"}) arguments.push_back(more);
    arguments.insert(arguments.begin(), {"simulate", "--config", path("cluster.yaml")});
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    CLI::App app;
    Context context;
    addSimulate(app, context);
    app.parse(arguments);
    return context.verb();
  }

  std::string text(const std::string& name) {
    std::ostringstream out;
    out << std::ifstream(path(name)).rdbuf();
    return out.str();
  }

private:
  test::Folder folder;
};

TEST_CASE("simulate: seeds that fail are kept, each once, and replayed until they pass") {
  Bench bench;
  auto kept = bench.path("kept.txt");
  REQUIRE(bench.simulate({"--seeds", "20", "--jobs", "2", "--keep", kept}) == FAILED);
  auto seeds = keptSeeds(kept);
  std::sort(seeds.begin(), seeds.end());
  REQUIRE(!seeds.empty());
  REQUIRE(seeds.size() < 20);
  CHECK(seeds.front() >= 1);
  CHECK(seeds.back() <= 20);

  // The line says how to see it fail alone.
  auto text = bench.text("kept.txt");
  CHECK(text.find("  liveness, found on 2") != text.npos);
  CHECK(text.find(": polyquorum simulate --seed " + std::to_string(seeds[0]) +
                  " --seconds 2 --config " + bench.path("cluster.yaml") + "\n") != text.npos);

  REQUIRE(bench.simulate({"--seeds", "20", "--keep", kept}) == FAILED);
  CHECK(bench.text("kept.txt") == text);
  auto again = bench.path("again.txt");
  REQUIRE(bench.simulate({"--replay", kept, "--jobs", "2", "--keep", again}) == FAILED);
  auto replayed = keptSeeds(again);
  std::sort(replayed.begin(), replayed.end());
  CHECK(replayed == seeds);

  bench.elect("0ms");
  CHECK(bench.simulate({"--replay", kept, "--keep", bench.path("none.txt")}) == DONE);
  CHECK(keptSeeds(bench.path("none.txt")).empty());
  CHECK(bench.simulate({"--replay", bench.path("none.txt")}) == DONE);
}

TEST_CASE("simulate: one seed that fails is kept too") {
  Bench bench;
  auto kept = bench.path("kept.txt");
  REQUIRE(bench.simulate({"--seeds", "20", "--keep", kept}) == FAILED);
  auto seed = keptSeeds(kept).at(0);
  REQUIRE(bench.simulate({"--seed", std::to_string(seed), "--keep", bench.path("one.txt"), "--picture",
                          bench.path("one.html")}) == FAILED);
  CHECK(keptSeeds(bench.path("one.txt")) == std::vector<std::uint64_t>{seed});
}

TEST_CASE("simulate: a file that cannot hold or give seeds is refused before any of them runs") {
  Bench bench;
  CHECK_THROWS_WITH(bench.simulate({"--keep", bench.path("none/kept")}), Catch::Contains("cannot append"));
  CHECK_THROWS_WITH(bench.simulate({"--replay", bench.path("kept.txt")}), Catch::Contains("cannot read"));
  CHECK_THROWS_WITH(bench.simulate({"--keep", bench.path("cluster.yaml")}), Catch::Contains("is no seed"));
  CHECK_THROWS_WITH(bench.simulate({"--grid", "--keep", bench.path("kept")}),
                    Catch::Contains("are for seeds"));
  CHECK_THROWS_AS(bench.simulate({"--replay", bench.path("kept.txt"), "--base", "7"}), CLI::ParseError);
}

}  // namespace
}  // namespace polyquorum::cli
