// SPDX-License-Identifier: Apache-2.0
// Many seeds of the simulator; see simulate_seeds.h. Each process takes every jobs'th seed and tells
// what it came to through a pipe, as lines.
#include "cli/simulate_seeds.h"
#include <sys/mman.h>
#include <sys/wait.h>
#include <chrono>
#include <cstdio>
#include <cstring>
#include "cli/workers.h"
#include "kernel/loader.h"

namespace polyquorum::cli {
namespace {

using simulator::CampaignResult;

constexpr unsigned REPEAT_EVERY = 100;  ///< of so many seeds one is run twice: equal runs?
constexpr unsigned TOLD_MAX = 3;        ///< failing seeds that are shrunk and told
constexpr std::uint64_t COVERAGE_FROM = 50;  ///< seeds

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Which seed each process is at: what is left to know if it dies.
struct Board {
  std::uint64_t* seeds;
  explicit Board(unsigned jobs) {
    auto* place = mmap(nullptr, jobs * sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) throw Refusal(FAILED, std::string("no memory: ") + strerror(errno));
    seeds = static_cast<std::uint64_t*>(place);
  }
};

void runSeed(const RunWish& run, std::uint64_t seed, bool twice, Tally& tally) {
  auto settings = settingsOf(run, seed);
  auto result = simulator::runCampaign(settings);
  if (twice && !result.violation) {
    tally.repeated++;
    auto again = simulator::runCampaign(settings);
    if (again.traceHash != result.traceHash || again.counters != result.counters) {
      result.violation = {"determinism", "the same seed gave another run the second time"};
    }
  }
  tally.add(seed, result);
  if (result.violation) sayFailed(run, settings, result.violation->checker, result.violation->what);
}

std::string textOf(const Tally& tally) {
  auto text = std::to_string(tally.seeds) + " " + std::to_string(tally.repeated) + " " +
              std::to_string(tally.simulated) + "\n";
  for (auto& [seed, checker] : tally.failed) {
    text += "failed " + std::to_string(seed) + " " + checker + "\n";
  }
  for (auto& [what, times] : tally.counters) {
    text += "counted " + std::to_string(times) + " " + what + "\n";
  }
  return text;
}

/// Its share of the seeds.
void work(const SeedsWish& wish, const RunWish& run, unsigned job, std::uint64_t& at, int out) {
  Tally tally;
  auto begin = Clock::now();
  auto told = 0.0;
  for (std::uint64_t n = job; wish.hours > 0 || n < wish.count(); n += wish.jobs) {
    auto passed = secondsSince(begin);
    if (wish.hours > 0 && passed > wish.hours * 3600) break;
    at = wish.seed(n);
    runSeed(run, at, n % REPEAT_EVERY == 0, tally);
    if (job == 0 && passed - told > 5) {
      told = passed;
      fprintf(stderr, "seed %llu: %.1f seeds/s, %.0f simulated seconds per second and core\n",
              static_cast<unsigned long long>(at), tally.seeds * wish.jobs / passed,
              tally.simulated / passed);
    }
  }
  auto text = textOf(tally);
  tellAll(out, text.data(), text.size());
}

bool gather(int in, Tally& sum) {
  auto* file = fdopen(in, "r");
  char line[256];
  bool whole = false;
  unsigned long long first = 0, second = 0;
  if (fgets(line, sizeof(line), file) != nullptr) {
    double simulated = 0;
    whole = sscanf(line, "%llu %llu %lf", &first, &second, &simulated) == 3;
    sum.seeds += first;
    sum.repeated += second;
    sum.simulated += simulated;
  }
  while (fgets(line, sizeof(line), file) != nullptr) {
    int place = 0;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "counted %llu %n", &first, &place) == 1) {
      sum.counters[line + place] += first;
    } else if (sscanf(line, "failed %llu %n", &first, &place) == 1) {
      sum.failed[first] = line + place;
    }
  }
  fclose(file);
  return whole;
}

/// Every seed of the wish; a process that died shows as the failure of the seed it was at.
Tally runAll(const SeedsWish& wish, const RunWish& run) {
  Board board(wish.jobs);
  std::vector<Worker> workers;
  for (unsigned job = 0; job < wish.jobs; job++) {
    workers.push_back(
        startWorker([&](int out) { work(wish, run, job, board.seeds[job], out); }));
  }
  Tally sum;
  for (unsigned job = 0; job < wish.jobs; job++) {
    auto [pid, in] = workers[job];
    bool whole = gather(in, sum);
    int status = 0;
    waitpid(pid, &status, 0);
    if (whole && WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    auto seed = board.seeds[job];
    sum.failed[seed] = "process";
    sayFailed(run, settingsOf(run, seed), "process",
              "the simulator's process ended in the middle of it, status " + std::to_string(status) +
                  "; seeds after it were not run");
  }
  return sum;
}

/// The first failing seeds, shrunk. A process that died would die here too.
void tellFirst(const Tally& sum, const RunWish& run) {
  unsigned told = 0;
  for (auto& [seed, checker] : sum.failed) {
    if (run.shrinkSeconds <= 0 || checker == "process" || checker == "determinism") continue;
    if (told++ == TOLD_MAX) return;
    auto settings = settingsOf(run, seed);
    auto result = simulator::runCampaign(settings);
    printf("seed %llu:\n", static_cast<unsigned long long>(seed));
    if (result.violation) tellFailure(run, settings, result);
  }
}

}  // namespace

void Tally::add(std::uint64_t seed, const CampaignResult& result) {
  seeds++;
  simulated += result.simulatedSeconds;
  for (auto& [what, times] : result.counters) counters[what] += times;
  if (result.violation) failed[seed] = result.violation->checker;
}

void Tally::print() const {
  for (auto& [what, times] : counters) {
    printf("  %-34s %llu\n", what.c_str(), static_cast<unsigned long long>(times));
  }
}

Exit simulateSeeds(const SeedsWish& wish, const RunWish& run) {
  if (run.config != nullptr) kernel::load(*run.config);  // its problems are told once, here
  if (!wish.replay.empty()) {
    printf("%zu seeds of %s, %u at a time\n", wish.listed.size(), wish.replay.c_str(), wish.jobs);
  } else if (wish.hours > 0) {
    printf("seeds from %llu for %g hours, %u at a time\n",
           static_cast<unsigned long long>(wish.base), wish.hours, wish.jobs);
  } else {
    printf("seeds %llu to %llu, %u at a time\n", static_cast<unsigned long long>(wish.base),
           static_cast<unsigned long long>(wish.base + wish.seeds - 1), wish.jobs);
  }
  fflush(stdout);
  auto begin = Clock::now();
  auto sum = runAll(wish, run);
  auto passed = secondsSince(begin);
  printf("%llu seeds, %zu failed; %llu of them run twice; %.0f simulated seconds in %.1f s: "
         "%.0f per second and core\n",
         static_cast<unsigned long long>(sum.seeds), sum.failed.size(),
         static_cast<unsigned long long>(sum.repeated), sum.simulated, passed,
         sum.simulated / passed / wish.jobs);
  sum.print();
  bool covered = true;
  if (sum.seeds >= COVERAGE_FROM && wish.replay.empty() && run.config == nullptr && !run.faults) {
    for (auto& what : simulator::coverageWanted()) {
      if (sum.counters[what] > 0) continue;
      covered = false;
      printf("never happened: %s\n", what.c_str());
    }
  }
  if (!run.keep.empty()) printf("%zu failing seeds are in %s\n", sum.failed.size(), run.keep.c_str());
  fflush(stdout);
  tellFirst(sum, run);
  return covered && sum.failed.empty() ? DONE : FAILED;
}

}  // namespace polyquorum::cli
