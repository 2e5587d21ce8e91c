// SPDX-License-Identifier: Apache-2.0
// What a good configuration means. What a broken one gives is in tests/config/broken.
#include "kernel/config.h"
#include <sys/stat.h>
#include <catch2/catch.hpp>
#include <fstream>
#include "tests/support/folder.h"

namespace polyquorum::kernel {
namespace {

const char* LOCAL = R"(cluster:
  name: local
  servers:
    - { id: 1, peer: 127.0.0.1:2888, zookeeper: 127.0.0.1:2181, data: data/1 }
    - { id: 2, peer: 127.0.0.1:2889, zookeeper: 127.0.0.1:2182, data: data/2, log: /fast/2/ }
    - { id: 3, peer: 127.0.0.1:2890, zookeeper: 127.0.0.1:2183, data: data/3, role: observer }
plugins:
  election:  { use: fast_leader }
  consensus: { use: zab, discovery: adopt }
  storage:   { use: file }
  transport: { use: tcp }
  api:       [ { use: zookeeper, fourLetterWords: [ srvr, "mntr" ] } ]
)";

std::vector<Problem> problemsOf(const std::string& text) {
  try {
    parseConfig(text, "a.yaml", "/etc/pq");
  } catch (const ConfigError& error) {
    return error.problems;
  }
  return {};
}

TEST_CASE("config: the example of the house is read whole") {
  auto config = parseConfig(LOCAL, "cluster.yaml", "/etc/pq");

  REQUIRE(config.cluster == "local");
  REQUIRE(config.servers.size() == 3);
  auto* second = config.server(2);
  REQUIRE(second != nullptr);
  REQUIRE(second->peer == "127.0.0.1:2889");
  REQUIRE(second->data == "/etc/pq/data/2");
  REQUIRE(second->log == "/fast/2");
  REQUIRE(config.server(1)->log == "/etc/pq/data/1");
  REQUIRE_FALSE(second->observer);
  REQUIRE(config.server(3)->observer);
  REQUIRE(second->apis == std::vector<std::pair<std::string, std::string>>{
                              {"zookeeper", "127.0.0.1:2182"}});
  REQUIRE(config.server(4) == nullptr);
  REQUIRE(config.consensus.name == "zab");
  REQUIRE(config.consensus.options.size() == 1);
  REQUIRE(config.consensus.options[0].value == "adopt");
  REQUIRE(config.consensus.options[0].place.text() == "cluster.yaml:9:26");
  REQUIRE(config.apis[0].options[0].value == "srvr, mntr");
}

TEST_CASE("config: absent sections have their initial values") {
  auto config = parseConfig(LOCAL, "cluster.yaml", "/");

  REQUIRE(config.sessions.tickMs == 2000);
  REQUIRE(config.snapshots.every == 100000);
  REQUIRE(config.snapshots.retain == 3);
  REQUIRE(config.reaping.intervalMs == 60000);
  REQUIRE(config.limits.memoryBytes == 1ull << 30);
  REQUIRE_FALSE(config.insecure);
  REQUIRE(config.revision == 0);
}

TEST_CASE("config: every section is read, and the place of each key is kept") {
  auto config = parseConfig(std::string(LOCAL) + R"(sessions: { tickTime: 500ms }
snapshots: { every: 1000, retain: 30, purgeInterval: 24h }
reaping: { interval: 5s, perMinute: 7 }
limits:
  pendingRequests: 1000
  memory: 512MiB
)",
                            "c.yaml", "/");

  REQUIRE(config.sessions.tickMs == 500);
  REQUIRE(config.snapshots.every == 1000);
  REQUIRE(config.snapshots.retain == 30);
  REQUIRE(config.snapshots.purgeIntervalMs == 86400000);
  REQUIRE(config.reaping.intervalMs == 5000);
  REQUIRE(config.reaping.perMinute == 7);
  REQUIRE(config.limits.pendingRequests == 1000);
  REQUIRE(config.limits.memoryBytes == 512ull << 20);
  auto memory = std::find_if(config.given.begin(), config.given.end(),
                             [](auto& key) { return key.key == "limits.memory"; });
  REQUIRE(memory != config.given.end());
  REQUIRE(memory->place.text() == "c.yaml:18:3");
}

TEST_CASE("config: three machines may use the same ports and folders") {
  auto config = parseConfig(R"(cluster:
  name: wide
  insecure: true
  servers:
    - { id: 1, peer: "a.example:2888", zookeeper: "0.0.0.0:2181", data: /var/lib/pq }
    - { id: 2, peer: "b.example:2888", zookeeper: "0.0.0.0:2181", data: /var/lib/pq }
    - { id: 3, peer: "[fd00::3]:2888", zookeeper: "[::]:2181", data: /var/lib/pq }
plugins:
  election: { use: e }
  consensus: { use: c }
  storage: { use: s }
  transport: { use: t }
  api: [ { use: zookeeper } ]
)",
                            "w.yaml", "/");

  REQUIRE(config.servers.size() == 3);
  REQUIRE(config.hints.empty());
}

TEST_CASE("config: an even number of voters is a hint, not a problem") {
  std::string text = LOCAL;
  text.replace(text.find(", role: observer"), 16, "");
  auto three = parseConfig(text, "c.yaml", "/");
  text.replace(text.find("plugins:"), 0,
               "    - { id: 4, peer: 127.0.0.1:2891, zookeeper: 127.0.0.1:2184, data: data/4 }\n");
  auto four = parseConfig(text, "c.yaml", "/");

  REQUIRE(three.hints.empty());
  REQUIRE(four.hints.size() == 1);
  REQUIRE(four.hints[0].reason.find("4 voters survive the loss of 1, as 3 would") == 0);
}

TEST_CASE("config: problems come in the order of the file") {
  auto problems = problemsOf("limits: { memory: 1 }\nclustr: {}\nsessions: { tickTime: 2000 }\n");

  REQUIRE(problems.size() == 5);
  for (std::size_t i = 1; i < problems.size(); i++) {
    REQUIRE(problems[i - 1].place.line <= problems[i].place.line);
  }
}

TEST_CASE("config: hostile text is refused fast and without a crash (CVE-2018-20573)") {
  REQUIRE(problemsOf(std::string(100000, '[')).size() >= 1);
  REQUIRE(problemsOf(std::string(100000, '{')).size() >= 1);
  REQUIRE(problemsOf(std::string(100000, '-')).size() >= 1);
  REQUIRE(problemsOf(std::string(2 << 20, 'a')).size() == 1);
  REQUIRE(problemsOf(std::string("a: \0b", 5)).size() == 1);
  std::string deep;
  for (int i = 0; i < 1000; i++) deep += std::string(i, ' ') + "a:\n";
  REQUIRE(problemsOf(deep).size() >= 1);
  std::string bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n";
  REQUIRE(problemsOf(bomb).size() >= 7);
}

TEST_CASE("config: every prefix and every damaged byte of a good file gives an answer") {
  std::string text = LOCAL;
  for (std::size_t i = 0; i <= text.size(); i++) problemsOf(text.substr(0, i));
  for (std::size_t i = 0; i < text.size(); i++) {
    for (char c : {'\0', '\t', '"', '&', '{', '\xff', ':', '\n'}) {
      auto damaged = text;
      damaged[i] = c;
      problemsOf(damaged);
    }
  }
  SUCCEED();
}

TEST_CASE("config: a file that is none is refused") {
  REQUIRE_THROWS_WITH(readConfig("/nonexistent/c.yaml"),
                      Catch::Contains("/nonexistent/c.yaml: cannot be read"));
  REQUIRE_THROWS_WITH(readConfig("/dev/null"), Catch::Contains("not a regular file"));
  REQUIRE_THROWS_WITH(readConfig("/tmp"), Catch::Contains("not a regular file"));
  test::Folder folder;
  auto fifo = folder / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  REQUIRE_THROWS_WITH(readConfig(fifo), Catch::Contains("not a regular file"));
  auto big = folder / "big";
  std::ofstream(big) << std::string((1 << 20) + 1, '#');
  REQUIRE_THROWS_WITH(readConfig(big), Catch::Contains("larger than 1 MiB"));
}

TEST_CASE("config: every key that explain knows has its words") {
  for (auto& key : kernelKeys()) {
    CAPTURE(key.key);
    REQUIRE_FALSE(key.accepted.empty());
    REQUIRE(key.meaning.back() == '.');
  }
}

}  // namespace
}  // namespace polyquorum::kernel
