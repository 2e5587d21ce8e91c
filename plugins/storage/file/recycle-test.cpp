// SPDX-License-Identifier: Apache-2.0
// The life of files: trimmed ones are used again and never speak of their past; snapshots kept can
// be gone back to.
#include "plugins/storage/file/storage_model-test.h"

using namespace polyquorum::file;

namespace {

const std::map<std::string, std::string> SMALL{{"walSize", "1MiB"}};

std::size_t countOf(FaultDisk& disk, const std::string& prefix) {
  return static_cast<std::size_t>(std::count_if(
      disk.names.begin(), disk.names.end(),
      [&](auto& each) { return each.first.rfind(prefix, 0) == 0; }));
}

/// Fills files until `last`, with a snapshot and a trim each 100 entries of 10 KiB.
Model fillFiles(StorageHost& storage, kj::WaitScope& scope, std::uint64_t first, std::uint64_t last,
                Model model) {
  for (auto i = first; i <= last; i++) {
    WriteOf write{.entries = entriesOf(i, i, 1, 10'000)};
    storage.write(write);
    model.perform(write);
    if (i % 100 != 0) continue;
    storage.stage({1, i - 10}, "image " + std::to_string(i - 10), {{0, 0}});
    WriteOf adopt{.base = {1, i - 10}, .trim = i - 9};
    storage.write(adopt);
    model.perform(adopt);
    scope.poll();
  }
  return model;
}

}  // namespace

TEST_CASE("file storage: trimmed files are recycled; chain and facts outlive them") {
  FaultDisk disk;
  Model model;
  {
    Life life(disk, SMALL);
    life.storage.open();
    WriteOf begin{.facts = {{"consensus.promised", 41}}, .next = {{0, 0}}};
    life.storage.write(begin);
    model.perform(begin);
    model = fillFiles(life.storage, life.scope, 1, 1000, model);
    CHECK(life.storage.read(0, 500, 500).entries.empty());
  }
  CHECK(countOf(disk, "snapshot-") == 3);
  CHECK(countOf(disk, "wal-") <= 6);
  CHECK(disk.names.count("wal-0000000000000001") == 0);

  Life life(disk, SMALL);
  auto shown = show(life.storage, life.storage.open());
  CHECK(shown.damaged.empty());
  CHECK(equal(model, shown.model));
  CHECK(shown.model.facts[0]["consensus.promised"] == 41);
  CHECK(life.storage.image() == "image 990");
}

TEST_CASE("file storage: what a recycled file held before never comes back, cut anywhere") {
  auto seed = GENERATE(range(1u, 13u));
  CAPTURE(seed);
  FaultDisk disk;
  Model model;
  {
    Life life(disk, SMALL);
    life.storage.open();
    WriteOf begin{.next = {{0, 0}}};
    life.storage.write(begin);
    model.perform(begin);
    model = fillFiles(life.storage, life.scope, 1, 700, model);
    disk.failAt(1 + seed * 7, FaultDisk::Failure::CRASH);
    try {
      for (auto i = 701; i < 800; i++) {
        WriteOf write{.entries = entriesOf(i, i, 2, 10'000)};
        life.storage.write(write);
        model.perform(write);
      }
    } catch (const kj::Exception&) {
    }
  }
  disk.powerCut(seed);

  Life life(disk, SMALL);
  auto shown = show(life.storage, life.storage.open());
  CHECK(shown.damaged.empty());
  auto found = shown.model.entries[0];
  for (auto& entry : model.entries[0]) {
    REQUIRE(found.count(entry.first) == 1);
    REQUIRE(found[entry.first] == entry.second);
    found.erase(entry.first);
  }
  CHECK(found.size() <= 1);  // the write that was in flight
}

TEST_CASE("file storage: without its newest snapshot it goes back to the one before (A6.10)") {
  FaultDisk disk;
  Model model;
  {
    Life life(disk, SMALL);
    life.storage.open();
    life.storage.write({.next = {{0, 0}}});
    model = fillFiles(life.storage, life.scope, 1, 950, model);
  }
  REQUIRE(disk.names.erase("snapshot-000000000000037a") == 1);  // 890
  {
    Life life(disk, SMALL);
    auto opened = life.storage.open();
    CHECK(opened.snapshot == At{1, 790});
    CHECK(life.storage.image() == "image 790");
    CHECK(opened.logs[0].damaged.empty());
    CHECK(life.storage.read(0, 791, 950, 1u << 30).entries == entriesOf(791, 950, 1, 10'000));
  }
  REQUIRE(disk.names.erase("snapshot-0000000000000316") == 1);  // 790
  Life life(disk, SMALL);
  auto opened = life.storage.open();
  CHECK(opened.snapshot == At{1, 690});
  CHECK(opened.logs[0].damaged.empty());
  CHECK(life.storage.read(0, 691, 950, 1u << 30).entries == entriesOf(691, 950, 1, 10'000));
}

TEST_CASE("file storage: a full disk is no failure while nobody waits for its space (P1.5)") {
  FaultDisk disk;
  Life life(disk, SMALL);
  life.storage.open();
  life.storage.write({.next = {{0, 0}}});
  auto needed = [&]() {
    return life.storage.instance.usageRequest().send().wait(life.scope).getBytesNeeded();
  };
  auto told = [&]() {
    auto& lines = life.storage.environment.lines;
    return std::count_if(lines.begin(), lines.end(), [](auto& line) {
      return line.rfind("storage.full", 0) == 0;
    });
  };
  auto before = needed();
  REQUIRE(before > (64 << 20));

  // The next file is made ready in slices while this one is filled; one of them finds no space.
  std::uint64_t index = 1;
  auto write = [&]() {
    life.storage.write({.entries = entriesOf(index, index, 1, 10'000)});
    index++;
    life.scope.poll();
  };
  while (told() == 0 && index < 60) {
    disk.failAt(3, FaultDisk::Failure::NO_SPACE);  // behind the write and its sync
    write();
  }
  REQUIRE(told() == 1);
  disk.failAt(0, FaultDisk::Failure::NONE);
  auto wanted = needed();
  write();
  CHECK(needed() == wanted);  // not asked again so soon
  life.storage.environment.advance(2 * kj::SECONDS);
  for (int i = 0; i < 20; i++) life.scope.poll();
  write();
  CHECK(needed() < wanted);

  for (; index < 400; ) write();
  CHECK(life.storage.read(0, 1, 399, 1u << 30).entries == entriesOf(1, 399, 1, 10'000));
}

TEST_CASE("file storage: a snapshot that rotted is found at open and put aside (P1.3)") {
  FaultDisk disk;
  std::string image(600'000, 'i');
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.entries = entriesOf(1, 9, 1), .next = {{0, 0}}});
    life.storage.stage({1, 9}, image, {{0, 0}}, 50'000);
    life.storage.write({.base = {1, 9}});
    life.scope.poll();
  }
  auto& file = disk.names.at("snapshot-0000000000000009")->now;
  file[300'000] ^= 1;
  {
    Life life(disk);
    CHECK_FALSE(life.storage.open().hasSnapshot);
    CHECK(life.storage.read(0, 1, 9).entries.size() == 9);
  }
  REQUIRE(disk.names.count("rotten-snapshot-0000000000000009") == 1);
  disk.names["snapshot-0000000000000009"] = disk.names.at("rotten-snapshot-0000000000000009");
  file[300'000] ^= 1;
  {
    Life life(disk);
    CHECK(life.storage.open().snapshot == At{1, 9});
    CHECK(life.storage.image() == image);
  }
  file.back() ^= 1;
  Life life(disk);
  auto opened = life.storage.open();
  CHECK_FALSE(opened.hasSnapshot);
  CHECK(opened.logs[0].damaged.empty());
  CHECK(life.storage.read(0, 1, 9).entries.size() == 9);
}

TEST_CASE("file storage: a snapshot that could not be read once is no rotten one (grid 8, fail 73)") {
  FaultDisk disk;
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.entries = entriesOf(1, 9, 1), .next = {{0, 0}}});
    life.storage.stage({1, 9}, "image", {{0, 0}}, 5);
    life.storage.write({.base = {1, 9}, .trim = 10});
    life.scope.poll();
  }
  for (unsigned place = 0; place < 7; place++) {  // header, footer; and again, with the image
    Life life(disk);
    disk.reads = {"snapshot-", place, 1};
    CHECK(life.storage.open().snapshot == At{1, 9});
    CHECK(disk.reads.fail == 0);
    CHECK(life.storage.image() == "image");
  }
  CHECK(disk.names.count("rotten-snapshot-0000000000000009") == 0);
}

TEST_CASE("file storage: a log in a directory of its own (A6.8)") {
  FaultDisk data, log;
  for (int restart = 0; restart < 2; restart++) {
    kj::EventLoop loop;
    kj::WaitScope scope{loop};
    StorageHost storage(scope, data.directory());
    storage.environment.useLogDirectory(log.directory());
    storage.load(pluginFile());
    storage.open();
    storage.write({.entries = entriesOf(restart + 1, restart + 1, 1)});
    CHECK(storage.read(0, 1, 9).entries == entriesOf(1, restart + 1, 1));
  }
  CHECK(countOf(log, "wal-") > 0);
  CHECK(countOf(data, "wal-") == 0);
}

TEST_CASE("file storage: a second process is refused, with the pid of the first") {
  auto root = kj::newDiskFilesystem();
  auto path = kj::Path::parse("tmp").append(kj::str("pq-lock-", getpid()));
  auto directory = root->getRoot().openSubdir(
      path, kj::WriteMode::CREATE | kj::WriteMode::MODIFY | kj::WriteMode::CREATE_PARENT);
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  {
    StorageHost first(scope, directory->clone()), second(scope, directory->clone());
    first.load(pluginFile());
    second.load(pluginFile());
    first.open();
    CHECK_THROWS_WITH(second.open(), Catch::Contains(std::to_string(getpid())));
    first.write({.entries = entriesOf(1, 3, 1)});
    CHECK(first.read(0, 1, 3).entries == entriesOf(1, 3, 1));
  }
  root->getRoot().remove(path);
}
