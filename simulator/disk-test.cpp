// SPDX-License-Identifier: Apache-2.0
// What a simulated disk may do to data at rest, and what it spares.
#include <catch2/catch.hpp>
#include <string>
#include "simulator/disk.h"

using namespace polyquorum::simulator;

namespace {

constexpr std::uint64_t SYNCS_TO_SETTLE = 2;

struct Log {
  Disk disk{Random(1)};
  kj::Own<const kj::Directory> folder = disk.open();
  kj::Own<const kj::File> file =
      folder->openFile(kj::Path("wal-1"), kj::WriteMode::CREATE | kj::WriteMode::MODIFY);

  void write(std::uint64_t sector, char filling) {
    std::string bytes(SECTOR, filling);
    file->write(sector * SECTOR, kj::arrayPtr(bytes.data(), bytes.size()).asBytes());
    file->sync();
  }
  /// The power goes before its sync; all of it is there nevertheless.
  void tear(std::uint64_t sector, char filling) {
    std::string bytes(SECTOR, filling);
    for (int tries = 0; tries < 64; tries++) {
      file->write(sector * SECTOR, kj::arrayPtr(bytes.data(), bytes.size()).asBytes());
      disk.crash();
      kj::byte found = 0;
      folder->openFile(kj::Path("wal-1"))->read(sector * SECTOR, kj::arrayPtr(&found, 1));
      if (found == static_cast<kj::byte>(filling)) return;
    }
    FAIL("it never survives");
  }
  std::size_t settled() const { return disk.settled("wal-", SYNCS_TO_SETTLE).size(); }
};

}  // namespace

TEST_CASE("disk: the last group of a log settles when others are durable behind it (seed 820009191)") {
  Log log;
  log.write(0, 'a');
  log.file->sync();   // as a server does that opens its log,
  log.write(1, '\0');  // and overwrites a torn end
  log.file->sync();
  REQUIRE(log.settled() == 0);
  log.write(1, 'b');
  REQUIRE(log.settled() == 0);
  log.write(2, 'c');
  REQUIRE(log.settled() == 1);
}

TEST_CASE("disk: what torn writes left settles nothing before them (seed 1200046584)") {
  Log log;
  log.folder->sync();
  log.write(0, 'a');
  log.tear(1, 'b');
  log.tear(2, 'c');
  REQUIRE(log.settled() == 0);
  log.write(3, 'd');
  log.write(4, 'e');
  REQUIRE(log.settled() == 3);
}

TEST_CASE("disk: what an earlier life opened does nothing to the next one (adversary, seed 7002068)") {
  Log log;
  log.write(0, 'a');
  log.disk.end();
  REQUIRE_THROWS_WITH(log.write(0, 'b'), Catch::Contains("the process is gone"));
  REQUIRE_THROWS_WITH(log.folder->tryRemove(kj::Path("wal-1")), Catch::Contains("the process is gone"));

  kj::byte found = 0;
  log.disk.open()->openFile(kj::Path("wal-1"))->read(0, kj::arrayPtr(&found, 1));
  REQUIRE(found == 'a');
}
