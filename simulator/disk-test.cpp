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
