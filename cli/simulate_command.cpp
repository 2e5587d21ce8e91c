// SPDX-License-Identifier: Apache-2.0
// `polyquorum simulate`: many seeds of the simulator, each its own cluster, workload and faults; or one
// of them, with its story.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <optional>
#include "cli/commands.h"
#include "cli/simulate_failure.h"
#include "cli/simulate_grid.h"
#include "cli/simulate_mutants.h"
#include "cli/simulate_seeds.h"
#include "simulator/kept.h"

namespace polyquorum::cli {
namespace {

constexpr std::uint64_t SEEDS_A_SECOND = 1000;  ///< more than any machine runs: bases never overlap

struct SimulateWish {
  std::uint64_t seed = 0;
  SeedsWish many;
  RunWish run;
  std::string only, clients, trace;
};

Exit one(const SimulateWish& wish, const RunWish& run) {
  printf("seed %llu\n", static_cast<unsigned long long>(wish.seed));
  auto settings = settingsOf(run, wish.seed);
  std::optional<std::ofstream> trace;
  if (!wish.trace.empty()) {
    trace.emplace(wish.trace);
    if (!*trace) throw Refusal(FAILED, "cannot write " + wish.trace);
    settings.trace = &*trace;
  }
  settings.record = !run.picture.empty();
  auto begin = std::chrono::steady_clock::now();
  auto result = simulator::runCampaign(settings);
  auto passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  printf("trace hash %016llx\n", static_cast<unsigned long long>(result.traceHash));
  printf("%.1f simulated seconds in %.3f s: %.0f per second\n", result.simulatedSeconds, passed,
         result.simulatedSeconds / passed);
  Tally tally;
  tally.add(wish.seed, result);
  tally.print();
  if (!result.violation) {
    if (settings.record) writePicture(run.picture, run, settings, result);
    return DONE;
  }
  sayFailed(run, settings, result.violation->checker, result.violation->what);
  tellFailure(run, settings, result);
  return FAILED;
}

Exit simulate(const SimulateWish& wish) {
  std::optional<kernel::Config> config;
  auto run = wish.run;
  if (!run.configFile.empty()) config = kernel::readConfig(run.configFile);
  if (config) run.config = &*config;
  run.faults = readOnly(wish.only);
  run.clients = readOnly(wish.clients);
  auto many = wish.many;
  try {
    if (!run.keep.empty()) simulator::openKept(run.keep);
    if (!many.replay.empty()) many.listed = simulator::keptSeeds(many.replay);
  } catch (const std::runtime_error& error) {
    throw Refusal(FAILED, error.what());
  }
  if (wish.seed != 0) return one(wish, run);
  if (many.hours > 0) many.base = static_cast<std::uint64_t>(std::time(nullptr)) * SEEDS_A_SECOND;
  return simulateSeeds(many, run);
}

}  // namespace

void addSimulate(CLI::App& app, Context& context) {
  auto wish = std::make_shared<SimulateWish>();
  auto* verb = app.add_subcommand("simulate",
                                  "Clusters on virtual time, with faults, checked at every step");
  auto* seed = verb->add_option("--seed", wish->seed, "Run this one seed and tell its story");
  auto* seeds = verb->add_option("--seeds", wish->many.seeds, "Run so many")->capture_default_str();
  auto* base = verb->add_option("--base", wish->many.base, "The first of them")->capture_default_str();
  auto* hours = verb->add_option("--hours", wish->many.hours,
                                 "Run seeds for so long instead, from a base that the clock gives");
  verb->add_option("--keep", wish->run.keep, "Add failing seeds to this file, each once");
  verb->add_option("--replay", wish->many.replay, "Run the seeds of this file instead; other options as then")
      ->excludes(seed)
      ->excludes(seeds)
      ->excludes(base)
      ->excludes(hours);
  verb->add_option("--jobs", wish->many.jobs, "Processes at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  verb->add_option("--seconds", wish->run.seconds, "Simulated seconds with faults")
      ->capture_default_str();
  verb->add_option("--only,--faults", wish->only, "Only these of the seed's faults: 3,7,9, or none");
  verb->add_option("--clients", wish->clients, "Only these of the clients 0 to 7, or none");
  verb->add_option("--config", wish->run.configFile,
                   "Simulate this cluster instead of one drawn from the seed");
  verb->add_option("--shrink", wish->run.shrinkSeconds,
                   "Look for so many seconds for a smaller run that fails; 0: do not")
      ->capture_default_str();
  verb->add_option("--picture", wish->run.picture,
                   "Draw --seed into this HTML file (a failing one: seed-N.html)");
  verb->add_option("--trace", wish->trace, "Write every event of --seed to this file (NDJSON)");
  auto grid = addGrid(*verb);
  auto mutants = addMutants(*verb);
  verb->callback([wish, grid, mutants, &context]() {
    context.verb = [wish, grid, mutants, &context]() {
      bool table = mutants->wanted() && wish->seed == 0;
      if ((grid->wanted || table) && !(wish->run.keep.empty() && wish->many.replay.empty())) {
        throw Refusal(USAGE, "--keep and --replay are for seeds; a cell of the grid and a hunt for mutants "
                             "have none to keep");
      }
      if (table) {
        mutants->base = wish->many.base;
        mutants->seedsMax = wish->many.seeds;
        mutants->jobs = wish->many.jobs;
        return simulateMutants(*mutants, context.format);
      }
      if (mutants->wanted()) {
        chooseMutant(*mutants);
        wish->run.mutant = mutants->names.empty() ? "" : mutants->names[0];
      }
      if (!grid->wanted) return simulate(*wish);
      grid->jobs = wish->many.jobs;
      grid->trace = wish->trace;
      return simulateGrid(*grid);
    };
  });
}

}  // namespace polyquorum::cli
