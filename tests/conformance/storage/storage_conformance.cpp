// SPDX-License-Identifier: Apache-2.0
// What every storage must do: each case runs on each storage plugin that is built. What survives a restart
// is tested with the file storage.
#include <catch2/catch.hpp>
#include <algorithm>
#include <filesystem>
#include "tests/conformance/storage/fault_disk.h"
#include "tests/conformance/storage/storage_host.h"

using namespace polyquorum::conformance;

namespace {

/// Paths of all that were built.
std::vector<std::string> plugins() {
  std::vector<std::string> found;
  for (auto& entry : std::filesystem::directory_iterator(STORAGE_PLUGINS)) {
    if (entry.path().extension() == ".so") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

struct World {
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  FaultDisk disk;  // KJ's own folder in memory locks up when a file is renamed inside it
  StorageHost storage{scope, disk.directory()};

  World() {
    auto file = GENERATE(from_range(plugins()));
    INFO("storage " << file);
    storage.load(file.c_str());
    auto opened = storage.open();
    REQUIRE(opened.chain.empty());
    REQUIRE(opened.logs.empty());
    REQUIRE_FALSE(opened.hasSnapshot);
    storage.write({.segment = 0, .next = {{0, 0}}});
  }
};

std::vector<Put> entries(std::uint64_t first, std::uint64_t last, std::uint64_t stamp) {
  std::vector<Put> out;
  for (auto i = first; i <= last; i++) {
    out.push_back({i, stamp, "body " + std::to_string(i) + "/" + std::to_string(stamp)});
  }
  return out;
}

}  // namespace

TEST_CASE("storage: what was written is read, in order, with stamps and empty bodies") {
  World world;
  auto given = entries(1, 5, 7);
  given[2].body.clear();

  world.storage.write({.entries = given});

  auto found = world.storage.read(0, 1, 5);
  CHECK(found.entries == given);
  CHECK(found.first == 1);
  CHECK(world.storage.read(0, 2, 3).entries == std::vector<Put>{given[1], given[2]});
  CHECK(world.storage.read(0, 6, 9).entries.empty());
  CHECK(world.storage.read(4, 1, 9).entries.empty());
}

TEST_CASE("storage: a read sees writes that are not durable yet (storage.capnp, read)") {
  World world;

  auto pending = world.storage.start({{.entries = entries(1, 3, 1)}});
  auto found = world.storage.read(0, 1, 3);

  CHECK(found.entries == entries(1, 3, 1));
  pending.wait(world.scope);
}

TEST_CASE("storage: calls resolve in call order, an empty one too") {
  World world;
  std::vector<int> order;
  std::vector<kj::Promise<void>> calls;
  for (int i = 0; i < 10; i++) {
    std::vector<WriteOf> writes;
    if (i % 3 != 1) writes.push_back({.entries = entries(i + 1, i + 1, 1)});
    calls.push_back(world.storage.start(writes).then([&order, i]() { order.push_back(i); }));
  }

  for (auto& call : calls) call.wait(world.scope);

  CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
}

TEST_CASE("storage: a read gives at least one entry, then keeps to bytesMax") {
  World world;
  std::vector<Put> given;
  for (std::uint64_t i = 1; i <= 10; i++) given.push_back({i, 1, std::string(1000, 'a')});
  world.storage.write({.entries = given});

  CHECK(world.storage.read(0, 1, 10, 0).entries.size() == 1);
  CHECK(world.storage.read(0, 1, 10, 10).entries.size() == 1);
  auto some = world.storage.read(0, 1, 10, 5500).entries.size();
  CHECK(some >= 4);
  CHECK(some <= 5);
}

TEST_CASE("storage: an entry of 3 MiB comes back whole") {
  World world;
  std::string large(3 << 20, 'x');
  for (std::size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>(i);

  world.storage.write({.entries = {{1, 1, "small"}, {2, 1, large}, {3, 1, "after"}}});

  auto found = world.storage.read(0, 1, 3, 8 << 20);
  REQUIRE(found.entries.size() == 3);
  CHECK(found.entries[1].body == large);
  CHECK(found.entries[2].body == "after");
}

TEST_CASE("storage: the last put for an index wins, also inside one write (storage.capnp, Write)") {
  World world;
  world.storage.write({.entries = entries(1, 6, 1)});
  world.storage.write({.entries = {{3, 2, "three"}, {4, 2, "four"}}});
  world.storage.write({.entries = {{5, 3, "first"}, {5, 4, "second"}}});

  auto found = world.storage.read(0, 1, 6);
  REQUIRE(found.entries.size() == 6);
  CHECK(found.entries[1] == entries(2, 2, 1)[0]);
  CHECK(found.entries[2] == Put{3, 2, "three"});
  CHECK(found.entries[3] == Put{4, 2, "four"});
  CHECK(found.entries[4] == Put{5, 4, "second"});
  CHECK(found.entries[5] == entries(6, 6, 1)[0]);
}

TEST_CASE("storage: truncateFrom is performed before the entries of the same write") {
  World world;
  world.storage.write({.entries = entries(1, 9, 1)});

  world.storage.write({.truncateFrom = 4, .entries = entries(4, 5, 2)});

  auto found = world.storage.read(0, 1, 99);
  REQUIRE(found.entries.size() == 5);
  CHECK(found.entries[2] == entries(3, 3, 1)[0]);
  CHECK(found.entries[4] == entries(5, 5, 2)[0]);
}

TEST_CASE("storage: gaps are allowed and filled later (Multi-Paxos holes)") {
  World world;
  world.storage.write({.entries = {{2, 5, "two"}, {7, 5, "seven"}}});
  world.storage.write({.entries = {{4, 6, "four"}}});

  auto found = world.storage.read(0, 1, 10);
  REQUIRE(found.entries.size() == 3);
  CHECK(found.entries[0].index == 2);
  CHECK(found.entries[1] == Put{4, 6, "four"});
  CHECK(found.entries[2].index == 7);
  CHECK(found.first == 2);
}

TEST_CASE("storage: a staged snapshot is in use only after a write with base") {
  World world;
  world.storage.write({.entries = entries(1, 10, 1)});
  std::string image(5000, 'i');

  world.storage.stage({1, 8}, image, {{0, 0}});
  CHECK_THROWS(world.storage.image());
  world.storage.write({.base = {1, 8}});

  CHECK(world.storage.image() == image);
  CHECK(world.storage.read(0, 1, 10).entries.size() == 10);  // until trim
  world.storage.write({.trim = 9});
  auto found = world.storage.read(0, 1, 10);
  CHECK(found.first == 9);
  CHECK(found.entries == entries(9, 10, 1));
}

TEST_CASE("storage: a snapshot from a peer, far ahead of the log, is adopted and the log goes on") {
  World world;
  world.storage.write({.entries = entries(1, 3, 1)});
  world.storage.stage({4, 100}, "state", {{0, 0}});

  world.storage.write({.base = {4, 100}, .trim = 101, .entries = entries(101, 102, 4)});

  auto found = world.storage.read(0, 1, 200);
  CHECK(found.first == 101);
  CHECK(found.entries == entries(101, 102, 4));
  CHECK(world.storage.image() == "state");
}

TEST_CASE("storage: an empty image is an image; a newer one replaces it") {
  World world;
  world.storage.stage({1, 5}, "");
  world.storage.write({.base = {1, 5}});
  CHECK(world.storage.image().empty());

  world.storage.stage({1, 9}, std::string(600'000, 'n'), {}, 100'000);
  world.storage.write({.base = {1, 9}});

  CHECK(world.storage.image() == std::string(600'000, 'n'));
}

TEST_CASE("storage: an image of the wrong size is refused, a newer stage discards an older") {
  World world;
  auto sink = world.storage.stageOnly({1, 5}, 10);
  auto request = sink.writeRequest();
  request.setChunk(capnp::Data::Reader(reinterpret_cast<const capnp::byte*>("123"), 3));
  request.send().wait(world.scope);
  CHECK_THROWS(sink.doneRequest().send().wait(world.scope));

  world.storage.stage({1, 6}, "abc");
  CHECK_THROWS(world.storage.start({{.base = {1, 5}}}).wait(world.scope));
}

TEST_CASE("storage: a write that adopts what was never staged is refused") {
  World world;
  CHECK_THROWS(world.storage.write({.base = {1, 5}}));
}

TEST_CASE("storage: a trim above the snapshot in use is refused") {
  World world;
  world.storage.write({.entries = entries(1, 10, 1)});
  CHECK_THROWS(world.storage.write({.trim = 5}));
}

TEST_CASE("storage: the next segment has a log of its own (contract, life of a segment)") {
  World world;
  world.storage.write({.entries = entries(1, 10, 3), .facts = {{"consensus.promised", 3}}});

  world.storage.write({.truncateFrom = 9, .next = {{1, 8}}});
  world.storage.write({.segment = 1, .entries = entries(9, 12, 1)});

  CHECK(world.storage.read(0, 1, 99).entries == entries(1, 8, 3));
  CHECK(world.storage.read(1, 1, 99).entries == entries(9, 12, 1));
}

TEST_CASE("storage: usage counts what is held") {
  World world;
  world.storage.write({.entries = {{1, 1, std::string(100'000, 'u')}}});

  auto usage = world.storage.instance.usageRequest().send().wait(world.scope);

  CHECK(usage.getBytes() >= 100'000);
  CHECK(usage.getBytesFree() > 0);
  CHECK(usage.getWritesWaiting() == 0);
}

TEST_CASE("storage: random writes leave what a plain map would hold") {
  auto seed = GENERATE(range(1u, 9u));
  CAPTURE(seed);
  World world;
  world.storage.environment.seed = seed;
  auto& random = world.storage.environment;
  std::map<std::uint64_t, Put> model;
  std::vector<kj::Promise<void>> calls;
  for (int step = 0; step < 60; step++) {
    WriteOf write;
    if (random.random() >> 60 < 3) write.truncateFrom = 1 + (random.random() >> 33) % 40;
    if (write.truncateFrom) model.erase(model.lower_bound(write.truncateFrom), model.end());
    auto index = 1 + (random.random() >> 33) % 40;
    for (auto count = (random.random() >> 33) % 6; count > 0; count--) {
      Put put{index, 1 + (random.random() >> 33) % 3, ""};
      put.body = std::string((random.random() >> 33) % 50, 'r');
      put.body += std::to_string(step);
      write.entries.push_back(put);
      model[index] = put;
      index += 1 + (random.random() >> 61) / 5;
    }
    calls.push_back(world.storage.start({write}));
    if (random.random() >> 63) world.storage.write({});
    std::vector<Put> expected;
    for (auto& each : model) expected.push_back(each.second);
    REQUIRE(world.storage.read(0, 1, 1000).entries == expected);
  }
  for (auto& call : calls) call.wait(world.scope);
}
