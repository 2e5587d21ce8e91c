// SPDX-License-Identifier: Apache-2.0
// A part of the grid; `polyquorum simulate --grid` runs all of it.
#include <catch2/catch.hpp>
#include "simulator/grid.h"

using namespace polyquorum::simulator;

namespace {

constexpr Strike STRIKES[] = {Strike::FAIL, Strike::CRASH, Strike::KILL};
const char* const OPTIONS[] = {"--fail", "--crash", "--kill"};

std::uint64_t runCells(std::size_t number, std::uint64_t first, std::uint64_t stride) {
  Grid grid(gridScenarios()[number]);
  if (grid.calm().violation) FAIL(grid.calm().violation->what);
  auto counters = grid.calm().counters;
  CAPTURE(number, gridScenarios()[number].name);
  REQUIRE(counters["entries decided"] > 10);
  REQUIRE(counters["writes acknowledged"] + counters["writes refused by their outcome"] > 0);
  std::uint64_t cells = 0;
  for (unsigned i = 0; i < 3; i++) {
    for (auto at = first; at <= grid.cells(STRIKES[i]); at += stride) {
      auto result = grid.run(STRIKES[i], at);
      cells++;
      std::string story;
      for (auto& line : result.last) story += line + "\n";
      INFO("replay: polyquorum simulate --grid --scenario " << number << " " << OPTIONS[i] << " "
                                                            << at << "\n" << story);
      if (result.violation) FAIL(result.violation->checker << ": " << result.violation->what);
      REQUIRE(result.struck);
    }
  }
  return cells;
}

}  // namespace

TEST_CASE("grid: every disk operation of one server alone may fail or be its last") {
  CHECK(runCells(0, 1, 1) > 100);
}

TEST_CASE("grid: cells that once broke a promise") {
  // A snapshot that could not be read once was given up; a read from behind a hole went on for ever.
  struct Cell {
    std::size_t scenario;
    std::uint64_t at;
  };
  for (auto cell : {Cell{6, 62}, Cell{6, 68}, Cell{7, 65}, Cell{8, 73}, Cell{8, 99}}) {
    Grid grid(gridScenarios()[cell.scenario]);
    auto result = grid.run(Strike::FAIL, cell.at);
    INFO("scenario " << cell.scenario << " --fail " << cell.at);
    if (result.violation) FAIL(result.violation->checker << ": " << result.violation->what);
  }
}

TEST_CASE("grid: a sample of the cells of every scenario breaks no promise") {
  REQUIRE(gridScenarios().size() >= 50);
  for (std::size_t number = 0; number < gridScenarios().size(); number++) {
    CHECK(runCells(number, 1 + 7 * number % 97, 97) > 0);
  }
}

TEST_CASE("grid: equal cells give equal runs, and a cell that is not there is told") {
  Grid grid(gridScenarios()[0]);
  CHECK(grid.run(Strike::CRASH, 20).last == grid.run(Strike::CRASH, 20).last);
  auto beyond = grid.run(Strike::FAIL, grid.cells(Strike::FAIL) + 1);
  REQUIRE(beyond.violation);
  CHECK(beyond.violation->checker == "grid");
}
