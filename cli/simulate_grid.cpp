// SPDX-License-Identifier: Apache-2.0
// `polyquorum simulate --grid`: every disk operation and every effect of one server as the moment of
// a failure, in each scenario. A table, and the line that replays each cell that broke a promise.
#include "cli/simulate_grid.h"
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include "cli/workers.h"
#include "simulator/grid.h"

namespace polyquorum::cli {
namespace {

using simulator::Grid;
using simulator::Strike;

struct Column {
  Strike strike;
  const char* option;
};
const Column COLUMNS[] = {
    {Strike::FAIL, "--fail"}, {Strike::CRASH, "--crash"}, {Strike::KILL, "--kill"}};

/// What the cells of one process came to; goes through a pipe as it is.
struct Totals {
  std::uint64_t scenarios = 0, cells[3] = {0, 0, 0}, violations = 0, stopped = 0;
  double simulated = 0;

  void add(const Totals& other) {
    scenarios += other.scenarios;
    for (unsigned i = 0; i < 3; i++) cells[i] += other.cells[i];
    violations += other.violations;
    stopped += other.stopped;
    simulated += other.simulated;
  }
};

void tell(const simulator::GridResult& result, const std::string& replay, bool whole) {
  if (!result.violation) return;
  printf("FAILED: %s: %s\n", result.violation->checker.c_str(), result.violation->what.c_str());
  for (auto& line : result.last) {
    if (whole) printf("  %s\n", line.c_str());
  }
  printf("  replay: %s\n", replay.c_str());
}

std::string replayLine(std::size_t number, const char* option, std::uint64_t at) {
  return "polyquorum simulate --grid --scenario " + std::to_string(number) +
         (option[0] != 0 ? std::string(" ") + option + " " + std::to_string(at) : "");
}

Totals runScenario(const GridWish& wish, std::size_t number) {
  auto& scenario = simulator::gridScenarios()[number];
  Grid grid(scenario);
  Totals totals;
  totals.scenarios = 1;
  auto count = [&](const simulator::GridResult& result, const std::string& replay) {
    totals.simulated += result.simulatedSeconds;
    totals.violations += result.violation.has_value();
    totals.stopped += result.counters.count("stopped after a disk error");
    tell(result, replay, false);
  };
  count(grid.calm(), replayLine(number, "", 0));
  for (unsigned i = 0; i < 3; i++) {
    auto& column = COLUMNS[i];
    // Every cell, or every stride'th; the first one differs from scenario to scenario.
    auto first = 1 + number % wish.stride;
    for (auto at = first; at <= grid.cells(column.strike); at += wish.stride) {
      totals.cells[i]++;
      count(grid.run(column.strike, at), replayLine(number, column.option, at));
    }
  }
  printf("%3zu  %-44s %6llu %6llu  %6llu %6llu %6llu  %7llu %10llu\n", number,
         scenario.name.c_str(), (unsigned long long)grid.calm().operations,
         (unsigned long long)grid.calm().effects, (unsigned long long)totals.cells[0],
         (unsigned long long)totals.cells[1], (unsigned long long)totals.cells[2],
         (unsigned long long)totals.stopped, (unsigned long long)totals.violations);
  fflush(stdout);
  return totals;
}

Exit oneCell(const GridWish& wish) {
  auto number = *wish.scenario;
  Grid grid(simulator::gridScenarios().at(number));
  auto strike = wish.fail != 0    ? Strike::FAIL
                : wish.crash != 0 ? Strike::CRASH
                                  : Strike::KILL;
  auto at = wish.fail + wish.crash + wish.kill;
  std::ofstream trace;
  if (!wish.trace.empty()) {
    trace.open(wish.trace);
    if (!trace) throw Refusal(FAILED, "cannot write " + wish.trace);
  }
  auto result = grid.run(strike, at, wish.trace.empty() ? nullptr : &trace);
  printf("scenario %zu: %s; server %u is looked at; %llu disk operations, %llu effects\n", number,
         simulator::gridScenarios()[number].name.c_str(), grid.server(),
         (unsigned long long)grid.calm().operations, (unsigned long long)grid.calm().effects);
  if (!result.violation) {
    for (auto& line : result.last) printf("  %s\n", line.c_str());
    printf("no promise was broken\n");
    return DONE;
  }
  tell(result, replayLine(number, COLUMNS[static_cast<unsigned>(strike) - 1].option, at), true);
  return FAILED;
}

}  // namespace

std::shared_ptr<GridWish> addGrid(CLI::App& verb) {
  auto wish = std::make_shared<GridWish>();
  auto* grid = verb.add_flag("--grid", wish->wanted,
                             "Fail and crash one server at its every disk operation and effect");
  verb.add_option("--scenario", wish->scenario, "Only this one of the grid")->needs(grid);
  auto* fail = verb.add_option("--fail", wish->fail, "One cell: this disk operation fails");
  auto* crash = verb.add_option("--crash", wish->crash, "One cell: power goes before it");
  auto* kill = verb.add_option("--kill", wish->kill, "One cell: the process ends before it");
  fail->needs(grid)->excludes(crash)->excludes(kill);
  crash->needs(grid)->excludes(kill);
  kill->needs(grid);
  verb.add_option("--stride", wish->stride, "Only every so-many-th cell")
      ->needs(grid)
      ->check(CLI::PositiveNumber);
  return wish;
}

Exit simulateGrid(const GridWish& wish) {
  auto count = simulator::gridScenarios().size();
  if (wish.scenario && *wish.scenario >= count) {
    throw Refusal(FAILED, "scenarios are numbered from 0 to " + std::to_string(count - 1));
  }
  if (wish.fail + wish.crash + wish.kill > 0) {
    if (!wish.scenario) throw Refusal(FAILED, "name the cell's scenario with --scenario");
    return oneCell(wish);
  }
  auto begin = std::chrono::steady_clock::now();
  printf("%3s  %-44s %6s %6s  %6s %6s %6s  %7s %10s\n", "", "scenario", "diskop", "effect", "fail",
         "crash", "kill", "stopped", "violations");
  fflush(stdout);
  Totals sum;
  bool whole = true;
  if (wish.scenario) {
    sum = runScenario(wish, *wish.scenario);
  } else {
    std::vector<Worker> workers;
    for (unsigned job = 0; job < wish.jobs; job++) {
      workers.push_back(startWorker([&](int out) {
        Totals mine;
        for (std::size_t n = job; n < count; n += wish.jobs) mine.add(runScenario(wish, n));
        tellAll(out, &mine, sizeof mine);
      }));
    }
    for (auto& [pid, in] : workers) {
      Totals part;
      whole = read(in, &part, sizeof part) == sizeof part && whole;
      close(in);
      waitpid(pid, nullptr, 0);
      sum.add(part);
    }
  }
  auto passed =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  printf("%llu scenarios; %llu failed operations, %llu power losses, %llu kills; %llu violations; "
         "%.0f simulated seconds in %.1f s\n",
         (unsigned long long)sum.scenarios, (unsigned long long)sum.cells[0],
         (unsigned long long)sum.cells[1], (unsigned long long)sum.cells[2],
         (unsigned long long)sum.violations, sum.simulated, passed);
  if (!whole) printf("a process of the simulator ended in the middle of a scenario\n");
  return whole && sum.violations == 0 ? DONE : FAILED;
}

}  // namespace polyquorum::cli
