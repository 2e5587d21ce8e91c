// SPDX-License-Identifier: Apache-2.0
// Rot in what was durable: reported as ranges, read around, never passed for data, never cut away.
#include "plugins/storage/file/storage_model-test.h"

using namespace polyquorum::file;

namespace {

/// True if every entry of the model is there as it was, or lies in a damaged range; and nothing
/// else is there.
bool covered(const Model& model, const Shown& shown) {
  auto reported = [&](std::uint64_t index) {
    return std::any_of(shown.damaged.begin(), shown.damaged.end(), [&](auto& range) {
      return index >= range.first && index <= range.second;
    });
  };
  for (auto& log : model.entries) {
    auto& found = shown.model.entries.count(log.first) ? shown.model.entries.at(log.first)
                                                       : std::map<std::uint64_t, Put>();
    for (auto& entry : log.second) {
      auto same = found.find(entry.first);
      if (same == found.end() ? !reported(entry.first) : !(same->second == entry.second)) {
        return false;
      }
    }
    for (auto& entry : found) {
      if (log.second.count(entry.first) == 0) return false;
    }
  }
  return true;
}

Model writeLog(FaultDisk& disk) {
  Life life(disk);
  life.storage.open();
  Model model;
  auto put = [&](const WriteOf& write) {
    model.perform(write);
    life.storage.write(write);
  };
  put({.next = {{0, 0}}});
  put({.entries = entriesOf(1, 4, 1)});
  put({.facts = {{"consensus.promised", 2}}});
  put({.entries = entriesOf(5, 8, 2)});
  put({.truncateFrom = 7, .entries = entriesOf(7, 9, 3)});
  put({.entries = entriesOf(10, 12, 3)});
  put({.entries = entriesOf(13, 13, 3)});
  put({.entries = entriesOf(14, 15, 3)});
  return model;
}

}  // namespace

TEST_CASE("file storage: a flipped bit before the last group is found and reported (P1.3)") {
  FaultDisk disk;
  auto model = writeLog(disk);
  auto& file = *disk.names["wal-0000000000000001"];
  auto good = file.now;
  auto end = good.size();
  while (good[end - 1] == 0) end--;
  auto lastGroup = (end - 1) / 512 * 512;  // the last group is shorter than a sector

  int reported = 0;
  for (std::uint64_t at = 0; at < lastGroup; at++) {
    CAPTURE(at);
    file.now = good;
    file.now[at] ^= static_cast<unsigned char>(1u << (at % 8));
    Life life(disk);
    auto shown = show(life.storage, life.storage.open());
    REQUIRE(covered(model, shown));
    REQUIRE(shown.model.chain == model.chain);
    REQUIRE(shown.model.facts[0]["consensus.promised"] == 2);
    reported += shown.damaged.empty() ? 0 : 1;
  }
  CHECK(reported > 300);
}

TEST_CASE("file storage: a zeroed or stale sector before the last group is found (lost write)") {
  FaultDisk disk;
  auto model = writeLog(disk);
  auto& file = *disk.names["wal-0000000000000001"];
  auto good = file.now;
  auto end = good.size();
  while (good[end - 1] == 0) end--;

  for (std::uint64_t at = 0; at + 512 < end; at += 512) {
    for (std::uint64_t from : {std::uint64_t(1) << 19, at + 512, std::uint64_t(0)}) {
      if (from == at) continue;
      CAPTURE(at, from);
      file.now = good;
      std::copy_n(good.begin() + from, 512, file.now.begin() + at);  // zeros, or misdirected
      Life life(disk);
      auto shown = show(life.storage, life.storage.open());
      REQUIRE(covered(model, shown));
      REQUIRE(shown.model.facts[0]["consensus.promised"] == 2);
    }
  }
}

TEST_CASE("file storage: a damaged range is exact if only a body rotted; a rewrite heals it") {
  FaultDisk disk;
  writeLog(disk);
  auto& bytes = disk.names["wal-0000000000000001"]->now;
  std::string body = "11/3 eeee";
  auto at = std::search(bytes.begin(), bytes.end(), body.begin(), body.end());
  REQUIRE(at != bytes.end());
  *at ^= 4;
  {
    Life life(disk);
    auto opened = life.storage.open();
    CHECK(opened.logs[0].damaged == Ranges{{10, 12}});
    auto read = life.storage.read(0, 9, 13);
    CHECK(read.damaged == Ranges{{10, 12}});
    REQUIRE(read.entries.size() == 2);
    CHECK(read.entries[1].index == 13);
    life.storage.write({.entries = entriesOf(10, 12, 3)});
    CHECK(life.storage.read(0, 9, 13).entries == entriesOf(9, 13, 3));
  }
  Life life(disk);
  CHECK(life.storage.open().logs[0].damaged.empty());
}

TEST_CASE("file storage: a promise that is damaged wherever it stands is no older promise (seed 5100729)") {
  FaultDisk disk;
  writeLog(disk);
  auto& bytes = disk.names["wal-0000000000000001"]->now;
  std::string name = "consensus.promised";
  std::vector<std::size_t> places;
  for (auto at = bytes.begin();;) {
    at = std::search(at, bytes.end(), name.begin(), name.end());
    if (at == bytes.end()) break;
    places.push_back(at - bytes.begin());
    ++at;
  }
  REQUIRE(places.size() >= 3);  // the write, and contexts that repeat it
  for (std::size_t i = 0; i + 1 < places.size(); i++) bytes[places[i]] ^= 1;
  {
    Life life(disk);
    auto shown = show(life.storage, life.storage.open());
    CHECK(shown.model.facts[0]["consensus.promised"] == 2);
  }
  bytes = disk.names["wal-0000000000000001"]->now;
  for (auto place : places) bytes[place] = '?';
  Life life(disk);
  CHECK_THROWS_WITH(life.storage.open(), Catch::Contains("every later place"));
}

TEST_CASE("file storage: each open says all again, before more rots (seeds 5100729, 62901240)") {
  FaultDisk disk;
  auto rot = [&](bool last) {
    auto& bytes = disk.names["wal-0000000000000001"]->now;
    std::string name = "consensus.promised";
    auto at = last ? std::find_end(bytes.begin(), bytes.end(), name.begin(), name.end())
                   : std::search(bytes.begin(), bytes.end(), name.begin(), name.end());
    REQUIRE(at != bytes.end());
    *at ^= 1;
  };
  auto quiet = [](Life& life) {
    life.scope.poll();
    life.storage.environment.advance(200 * kj::MILLISECONDS);
    for (int i = 0; i < 10; i++) life.scope.poll();
  };
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.facts = {{"consensus.promised", 7}}, .next = {{0, 0}}});
    quiet(life);
  }
  rot(false);  // the write; its mark is intact
  for (int round = 0; round < 3; round++) {
    {
      Life life(disk);
      CHECK(life.storage.open().logs[0].facts.at("consensus.promised") == 7);
      quiet(life);
    }
    rot(true);  // the newest place that said it
    Life life(disk);
    CHECK(life.storage.open().logs[0].facts.at("consensus.promised") == 7);
    quiet(life);
  }
}

TEST_CASE("file storage: damage is told once, and new damage again, until it is recycled") {
  FaultDisk disk;
  writeLog(disk);
  auto& bytes = disk.names["wal-0000000000000001"]->now;
  auto find = [&](std::string body) {
    return std::search(bytes.begin(), bytes.end(), body.begin(), body.end()) - bytes.begin();
  };
  auto one = find("11/3 eeee"), other = find("13/3 eeee");
  auto told = [&]() {
    Life life(disk);
    life.storage.open();
    auto& lines = life.storage.environment.lines;
    return std::count_if(lines.begin(), lines.end(), [](auto& line) {
      return line.rfind("storage.damaged ", 0) == 0;
    });
  };
  CHECK(told() == 0);
  bytes[one] ^= 4;
  CHECK(told() == 1);
  CHECK(told() == 0);
  CHECK(disk.names.count("damage-told") == 1);
  bytes[other] ^= 4;
  CHECK(told() == 1);
  CHECK(told() == 0);

  bytes[one] ^= 4;  // as if recycled: there is nothing to be remembered
  bytes[other] ^= 4;
  CHECK(told() == 0);
  CHECK(disk.names.count("damage-told") == 0);
}

TEST_CASE("file storage: rot found while running is reported by read") {
  FaultDisk disk;
  Life life(disk);
  life.storage.open();
  life.storage.write({.entries = entriesOf(1, 2, 1)});
  life.storage.write({.entries = entriesOf(3, 4, 1)});
  auto& bytes = disk.names["wal-0000000000000001"]->now;
  std::string body = "3/1 eeee";
  *std::search(bytes.begin(), bytes.end(), body.begin(), body.end()) ^= 1;

  auto read = life.storage.read(0, 1, 4);

  CHECK(read.entries == entriesOf(1, 2, 1));
  CHECK(read.damaged == Ranges{{3, 4}});
}

TEST_CASE("file storage: a quiet log proves its last write, so that rot in it is no torn tail") {
  FaultDisk disk;
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.next = {{0, 0}}});
    life.storage.write({.entries = entriesOf(1, 3, 1)});
    life.storage.environment.advance(200 * kj::MILLISECONDS);
    life.scope.poll();
    life.storage.write({});
  }
  auto& bytes = disk.names["wal-0000000000000001"]->now;
  std::string body = "2/1 eeee";
  *std::search(bytes.begin(), bytes.end(), body.begin(), body.end()) ^= 1;

  Life life(disk);
  auto opened = life.storage.open();

  CHECK(opened.logs[0].damaged == Ranges{{1, 3}});
  CHECK(opened.chain.size() == 1);
}

TEST_CASE("file storage: lost promises are noticed also without their header (seed 930009301)") {
  FaultDisk disk;
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.next = {{0, 0}}});  // in one sector with the second context of the file
    for (int i = 1; i <= 5; i++) life.storage.write({.entries = entriesOf(i, i, 1)});
  }
  auto& log = disk.names["wal-0000000000000001"]->now;
  const std::string magic = "PqR1";
  std::fill_n(log.begin() + 512, 512, 0);
  {
    Life life(disk);  // the context behind it says it again
    CHECK(life.storage.open().chain.size() == 1);
  }
  auto context = std::search(log.begin() + 512, log.end(), magic.begin(), magic.end());
  context[100] ^= 1;
  Life life(disk);
  CHECK_THROWS_WITH(life.storage.open(), Catch::Contains("promise"));
}

TEST_CASE("file storage: what a context says below its floor is there once (seed 900032437)") {
  FaultDisk disk;
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.entries = entriesOf(1, 4, 1), .next = {{0, 0}}});
    life.storage.write({.entries = entriesOf(5, 10, 1)});
    life.storage.stage({1, 5}, "five");
    life.storage.write({.base = {1, 5}});
    life.storage.write({.entries = entriesOf(11, 15, 1)});
    life.storage.write({.entries = entriesOf(16, 20, 1)});
    life.storage.stage({1, 12}, "twelve");
    life.storage.write({.base = {1, 12}, .trim = 13});
    life.scope.poll();
  }
  auto& image = disk.names["snapshot-000000000000000c"]->now;
  std::string word = "twelve";
  *std::search(image.begin(), image.end(), word.begin(), word.end()) ^= 1;
  {
    Life life(disk);
    REQUIRE(life.storage.open().snapshot.index == 5);
    life.storage.write({.facts = {{"consensus.promised", 77}}});
    life.storage.write({.entries = entriesOf(21, 21, 1)});  // behind a context: facts were written
    life.storage.write({.entries = entriesOf(22, 22, 1)});
  }
  auto& log = disk.names["wal-0000000000000001"]->now;
  std::string name = "consensus.promised";
  *std::search(log.begin(), log.end(), name.begin(), name.end()) ^= 1;

  Life life(disk);
  auto opened = life.storage.open();
  CHECK(opened.logs[0].facts["consensus.promised"] == 77);
  CHECK(opened.logs[0].damaged.empty());
  CHECK(opened.logs[0].runs == std::vector<RunOf>{{6, 17, 1}});
}

TEST_CASE("file storage: blocks of another node's log never pass for this one's (swapped disks)") {
  FaultDisk one, other;
  auto model = writeLog(one);
  {
    Life life(other);
    life.storage.environment.seed = 99;
    life.storage.open();
    for (int i = 0; i < 9; i++) life.storage.write({.entries = entriesOf(i + 1, i + 1, 8)});
  }
  auto& mine = one.names["wal-0000000000000001"]->now;
  auto& theirs = other.names["wal-0000000000000001"]->now;
  std::copy_n(theirs.begin() + 2048, 512, mine.begin() + 2048);

  Life life(one);
  auto shown = show(life.storage, life.storage.open());
  CHECK(covered(model, shown));
}

TEST_CASE("file storage: snapshots without a log are refused with a cure, not started empty") {
  FaultDisk disk;
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.entries = entriesOf(1, 3, 1)});
    life.storage.stage({1, 3}, "image");
    life.storage.write({.base = {1, 3}});
    life.scope.poll();
  }
  disk.names.erase("wal-0000000000000001");
  Life life(disk);
  CHECK_THROWS_WITH(life.storage.open(), Catch::Contains("promises"));
}
