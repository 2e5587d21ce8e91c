// SPDX-License-Identifier: Apache-2.0
// `polyquorum simulate`: many seeds of the simulator, each its own cluster, workload and faults. A
// seed that fails is told with the line that replays it.
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include "cli/commands.h"
#include "simulator/campaign.h"

namespace polyquorum::cli {
namespace {

struct SimulateWish {
  std::uint64_t seed = 0, seeds = 100, base = 1, seconds = 60;
  unsigned jobs = 1;
  std::string config, trace;
};

/// What all seeds of one process came to.
struct Tally {
  std::uint64_t seeds = 0, failures = 0;
  double simulated = 0;
  std::map<std::string, std::uint64_t> counters;
};

double secondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

simulator::CampaignSettings settingsOf(const SimulateWish& wish, std::uint64_t seed,
                                       const kernel::Config* config) {
  simulator::CampaignSettings settings;
  settings.seed = seed;
  settings.faultySeconds = wish.seconds;
  settings.config = config;
  return settings;
}

std::string replayLine(const SimulateWish& wish, std::uint64_t seed) {
  auto line = "polyquorum simulate --seed " + std::to_string(seed);
  if (wish.seconds != SimulateWish().seconds) line += " --seconds " + std::to_string(wish.seconds);
  if (!wish.config.empty()) line += " --config " + wish.config;
  return line;
}

bool runSeed(const SimulateWish& wish, std::uint64_t seed, const kernel::Config* config,
             std::ostream* trace, bool verbose, Tally& tally) {
  auto settings = settingsOf(wish, seed, config);
  settings.trace = trace;
  auto result = simulator::runCampaign(settings);
  tally.seeds++;
  tally.simulated += result.simulatedSeconds;
  for (auto& [what, times] : result.counters) tally.counters[what] += times;
  if (verbose) {
    printf("trace hash %016llx\n", static_cast<unsigned long long>(result.traceHash));
  }
  if (!result.violation) return true;
  tally.failures++;
  std::string text = "seed " + std::to_string(seed) + " FAILED: " + result.violation->checker +
                     ": " + result.violation->what + "\n";
  if (verbose) {
    for (auto& line : result.last) text += "  " + line + "\n";
  }
  text += "  replay: " + replayLine(wish, seed) + "\n";
  fputs(text.c_str(), stdout);
  fflush(stdout);
  return false;
}

void printCounters(const Tally& tally) {
  for (auto& [what, times] : tally.counters) {
    printf("  %-34s %llu\n", what.c_str(), static_cast<unsigned long long>(times));
  }
}

/// Its share of the seeds; the tally goes through the pipe as lines.
void work(const SimulateWish& wish, unsigned job, const kernel::Config* config, int out) {
  Tally tally;
  auto begin = std::chrono::steady_clock::now();
  auto told = 0.0;
  for (std::uint64_t n = job; n < wish.seeds; n += wish.jobs) {
    runSeed(wish, wish.base + n, config, nullptr, false, tally);
    auto passed = secondsSince(begin);
    if (job == 0 && passed - told > 5) {
      told = passed;
      fprintf(stderr, "seed %llu: %.1f seeds/s, %.0f simulated seconds per second and core\n",
              static_cast<unsigned long long>(wish.base + n), tally.seeds * wish.jobs / passed,
              tally.simulated / passed);
    }
  }
  std::string text = std::to_string(tally.seeds) + " " + std::to_string(tally.failures) + " " +
                     std::to_string(tally.simulated) + "\n";
  for (auto& [what, times] : tally.counters) text += std::to_string(times) + " " + what + "\n";
  for (std::size_t done = 0; done < text.size();) {
    auto n = write(out, text.data() + done, text.size() - done);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
}

bool gather(int in, Tally& sum) {
  auto* file = fdopen(in, "r");
  char line[256];
  bool whole = false;
  if (fgets(line, sizeof(line), file) != nullptr) {
    unsigned long long seeds = 0, failures = 0;
    double simulated = 0;
    whole = sscanf(line, "%llu %llu %lf", &seeds, &failures, &simulated) == 3;
    sum.seeds += seeds;
    sum.failures += failures;
    sum.simulated += simulated;
  }
  while (fgets(line, sizeof(line), file) != nullptr) {
    unsigned long long times = 0;
    int place = 0;
    if (sscanf(line, "%llu %n", &times, &place) != 1) continue;
    std::string what(line + place);
    if (!what.empty() && what.back() == '\n') what.pop_back();
    sum.counters[what] += times;
  }
  fclose(file);
  return whole;
}

Exit many(const SimulateWish& wish, const kernel::Config* config) {
  printf("seeds %llu to %llu, %u at a time\n", static_cast<unsigned long long>(wish.base),
         static_cast<unsigned long long>(wish.base + wish.seeds - 1), wish.jobs);
  fflush(stdout);
  auto begin = std::chrono::steady_clock::now();
  std::vector<std::pair<pid_t, int>> workers;
  for (unsigned job = 0; job < wish.jobs; job++) {
    int ends[2];
    if (pipe(ends) != 0) throw Refusal(FAILED, std::string("no pipe: ") + strerror(errno));
    auto pid = fork();
    if (pid < 0) throw Refusal(FAILED, std::string("no process: ") + strerror(errno));
    if (pid == 0) {
      close(ends[0]);
      work(wish, job, config, ends[1]);
      _exit(0);
    }
    close(ends[1]);
    workers.emplace_back(pid, ends[0]);
  }
  Tally sum;
  bool whole = true;
  for (auto& [pid, in] : workers) {
    whole = gather(in, sum) && whole;
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    whole = false;
    printf("a process of the simulator ended in the middle of a seed (status %d)\n", status);
  }
  auto passed = secondsSince(begin);
  printf("%llu seeds, %llu failed; %.0f simulated seconds in %.1f s: %.0f per second and core\n",
         static_cast<unsigned long long>(sum.seeds), static_cast<unsigned long long>(sum.failures),
         sum.simulated, passed, sum.simulated / passed / wish.jobs);
  printCounters(sum);
  bool covered = true;
  if (sum.seeds >= 50 && config == nullptr) {
    for (auto& what : simulator::coverageWanted()) {
      if (sum.counters[what] > 0) continue;
      covered = false;
      printf("never happened: %s\n", what.c_str());
    }
  }
  return whole && covered && sum.failures == 0 ? DONE : FAILED;
}

Exit one(const SimulateWish& wish, const kernel::Config* config) {
  printf("seed %llu\n", static_cast<unsigned long long>(wish.seed));
  std::optional<std::ofstream> trace;
  if (!wish.trace.empty()) {
    trace.emplace(wish.trace);
    if (!*trace) throw Refusal(FAILED, "cannot write " + wish.trace);
  }
  Tally tally;
  auto begin = std::chrono::steady_clock::now();
  bool good = runSeed(wish, wish.seed, config, trace ? &*trace : nullptr, true, tally);
  auto passed = secondsSince(begin);
  printf("%.1f simulated seconds in %.3f s: %.0f per second\n", tally.simulated, passed,
         tally.simulated / passed);
  printCounters(tally);
  return good ? DONE : FAILED;
}

Exit simulate(const SimulateWish& wish) {
  std::optional<kernel::Config> config;
  if (!wish.config.empty()) config = kernel::readConfig(wish.config);
  auto* given = config ? &*config : nullptr;
  return wish.seed != 0 ? one(wish, given) : many(wish, given);
}

}  // namespace

void addSimulate(CLI::App& app, Context& context) {
  auto wish = std::make_shared<SimulateWish>();
  auto* verb = app.add_subcommand("simulate",
                                  "Clusters on virtual time, with faults, checked at every step");
  verb->add_option("--seed", wish->seed, "Run this one seed and tell its story");
  verb->add_option("--seeds", wish->seeds, "Run so many")->capture_default_str();
  verb->add_option("--base", wish->base, "The first of them")->capture_default_str();
  verb->add_option("--jobs", wish->jobs, "Processes at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  verb->add_option("--seconds", wish->seconds, "Simulated seconds with faults")
      ->capture_default_str();
  verb->add_option("--config", wish->config,
                   "Simulate this cluster instead of one drawn from the seed");
  verb->add_option("--trace", wish->trace, "Write every event of --seed to this file (NDJSON)");
  verb->callback([wish, &context]() { context.verb = [wish]() { return simulate(*wish); }; });
}

}  // namespace polyquorum::cli
