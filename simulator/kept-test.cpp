// SPDX-License-Identifier: Apache-2.0
// Files of kept seeds, as people and campaigns write them.
#include "simulator/kept.h"
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include "tests/support/folder.h"

using namespace polyquorum::simulator;
using Seeds = std::vector<std::uint64_t>;

namespace {

struct File {
  polyquorum::test::Folder folder;
  const std::string path = folder / "kept.txt";
  void write(const std::string& text) { std::ofstream(path) << text; }
  std::string text() {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
};

}  // namespace

TEST_CASE("kept seeds: one a line, each once; remarks and empty lines are none") {
  File file;
  file.write("# what failed\n42    an entry was lost\n\n  7\n42  again\r\n# 9\n18446744073709551\n");
  CHECK(keptSeeds(file.path) == Seeds{42, 7, 18446744073709551});
}

TEST_CASE("kept seeds: a line that is no seed is told with its place") {
  File file;
  for (auto* line : {"seed 7", "-7", "7, liveness", "99999999999999999999"}) {
    file.write(std::string("42  found\n") + line + "\n");
    CHECK_THROWS_WITH(keptSeeds(file.path), Catch::Contains("kept.txt:2: "));
    CHECK_THROWS_WITH(openKept(file.path), Catch::Contains("kept.txt:2: "));
  }
  CHECK_THROWS_WITH(keptSeeds(file.folder / "none"), Catch::Contains("cannot read"));
  CHECK_THROWS_WITH(keptSeeds(file.folder.path), Catch::Contains("cannot read"));
  CHECK_THROWS_WITH(openKept(file.folder / "none/kept.txt"), Catch::Contains("cannot append"));
}

TEST_CASE("kept seeds: a seed is added once, on a line of its own") {
  File file;
  openKept(file.path);
  CHECK(keptSeeds(file.path) == Seeds{});
  keepSeed(file.path, 7, "liveness");
  keepSeed(file.path, 42, "agreement");
  keepSeed(file.path, 7, "liveness");
  CHECK(file.text() == "7  liveness\n42  agreement\n");

  file.write("1  by hand, without an end of the line");
  keepSeed(file.path, 7, "liveness");
  CHECK(file.text() == "1  by hand, without an end of the line\n7  liveness\n");
}
