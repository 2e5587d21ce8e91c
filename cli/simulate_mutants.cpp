// SPDX-License-Identifier: Apache-2.0
// `polyquorum simulate --mutants`: each planted bug is hunted with fresh seeds until a checker fires. Every
// seed runs in a process of its own, so that a crash or an endless loop is a catch too.
#include "cli/simulate_mutants.h"
#include <kj/exception.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include "cli/workers.h"
#include "simulator/campaign.h"
#include "simulator/mutants.h"

namespace polyquorum::cli {
namespace {

using simulator::Mutant;

constexpr unsigned HANG_SECONDS = 120;              // of one seed; far more than any takes
constexpr std::uint64_t CAMPAIGN_STEP = 1'000'000;  // between the first seeds of two campaigns
constexpr std::uint64_t QUICK_SEEDS_MAX = 100;
constexpr int NOT_STARTED = 127;  // exit code of a test that is no program

struct Catch {
  std::uint64_t seed = 0;
  std::string checker, what;
};

/// In the child: one seed, told through the pipe as the checker and what it saw; nothing if all is well.
void runSeed(std::uint64_t seed, int out) {
  alarm(HANG_SECONDS);
  simulator::CampaignSettings settings;
  settings.seed = seed;
  std::string text;
  try {
    auto result = simulator::runCampaign(settings);
    if (result.violation) text = result.violation->checker + "\n" + result.violation->what;
  } catch (const std::exception& thrown) {
    text = std::string("crash\n") + thrown.what();
  } catch (const kj::Exception& thrown) {
    text = std::string("crash\n") + thrown.getDescription().cStr();
  }
  tellAll(out, text.data(), text.size());
}

/// Seeds in order, some at a time, until one fails and all before it are done.
class Hunt {
public:
  Hunt(const Mutant& mutant, std::uint64_t first, std::uint64_t seedsMax, unsigned jobs)
      : mutant(mutant), next(first), end(first + seedsMax), jobs(jobs) {}

  std::optional<Catch> run() {
    while (true) {
      while (running.size() < jobs && next < (found ? found->seed : end)) start(next++);
      if (running.empty()) return found;
      std::vector<pollfd> fds;
      for (auto& one : running) fds.push_back({one.in, POLLIN, 0});
      poll(fds.data(), fds.size(), -1);
      for (std::size_t i = fds.size(); i-- > 0;) {
        if (fds[i].revents != 0 && !readOn(running[i])) finish(i);
      }
    }
  }

private:
  struct Running {
    std::uint64_t seed;
    pid_t pid;
    int in;
    std::string text;
  };
  const Mutant& mutant;
  std::uint64_t next, end;
  unsigned jobs;
  std::vector<Running> running;
  std::optional<Catch> found;

  void start(std::uint64_t seed) {
    auto [pid, in] = startWorker([&](int out) {
      simulator::chooseMutant(mutant.name);
      runSeed(seed, out);
    });
    running.push_back({seed, pid, in, ""});
  }

  static bool readOn(Running& one) {
    char buffer[4096];
    auto n = read(one.in, buffer, sizeof(buffer));
    if (n > 0) one.text.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }

  void finish(std::size_t place) {
    auto one = std::move(running[place]);
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(place));
    close(one.in);
    int status = 0;
    waitpid(one.pid, &status, 0);
    if (WIFSIGNALED(status)) {
      bool hung = WTERMSIG(status) == SIGALRM;
      one.text = std::string(hung ? "hang" : "crash") + "\n" + strsignal(WTERMSIG(status));
    }
    if (one.text.empty() || (found && found->seed < one.seed)) return;
    auto line = one.text.find('\n');  // runSeed and the lines above put one
    found = Catch{one.seed, one.text.substr(0, line), one.text.substr(line + 1)};
  }
};

/// What all campaigns against one mutant came to.
struct Verdict {
  std::vector<std::uint64_t> seeds;   ///< until caught, of each campaign that caught it
  std::vector<std::string> checkers;  ///< that fired, each once
  bool survived = false, strange = false;
};

Verdict judge(const Mutant& mutant, const MutantsWish& wish, Progress& progress) {
  Verdict verdict;
  for (std::uint64_t campaign = 0; campaign < wish.campaigns; campaign++) {
    progress.show(std::string(mutant.name) + ", campaign " + std::to_string(campaign + 1));
    auto first = wish.base + campaign * CAMPAIGN_STEP;
    auto found = Hunt(mutant, first, wish.seedsMax, wish.jobs).run();
    if (!found) {
      verdict.survived = true;
      continue;
    }
    verdict.seeds.push_back(found->seed - first + 1);
    auto& checkers = verdict.checkers;
    if (std::find(checkers.begin(), checkers.end(), found->checker) == checkers.end()) {
      checkers.push_back(found->checker);
    }
    auto& own = mutant.checkers;
    bool expected = std::find(own.begin(), own.end(), found->checker) != own.end();
    if (expected) continue;
    verdict.strange = true;
    progress.clear();
    say(std::string(mutant.name) + ", seed " + std::to_string(found->seed) + ": " + found->checker + ": " +
        found->what);
  }
  return verdict;
}

/// Does the test of the mutant's room fail with it?
bool testFails(const Mutant& mutant) {
  auto test = std::filesystem::read_symlink("/proc/self/exe").parent_path() / mutant.test;
  if (!std::filesystem::exists(test)) {
    throw Refusal(FAILED, test.string() + " is not there: build the target " + mutant.test);
  }
  auto pid = fork();
  if (pid < 0) throw Refusal(FAILED, std::string("no process: ") + strerror(errno));
  if (pid == 0) {
    setenv("POLYQUORUM_MUTANT", mutant.name, 1);
    alarm(HANG_SECONDS);
    if (freopen("/dev/null", "w", stdout) != nullptr) execl(test.c_str(), test.c_str(), "--abort", nullptr);
    _exit(NOT_STARTED);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != NOT_STARTED);
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

std::string described(const std::vector<std::uint64_t>& seeds) {
  auto sorted = seeds;
  std::sort(sorted.begin(), sorted.end());
  if (sorted.empty()) return "";
  auto median = std::to_string(sorted[sorted.size() / 2]);
  if (sorted.size() == 1) return median;
  return median + " (" + std::to_string(sorted.front()) + " to " + std::to_string(sorted.back()) + ")";
}

void requirePlanted() {
  if (simulator::mutantsPlanted()) return;
  throw Refusal(USAGE, "this build has no planted bugs: run ./dev mutants (or cmake --preset mutants, "
                       "cmake --build --preset mutants, and the program in build-mutants/bin)");
}

/// The mutants that are named. (An option without values has one, which is empty.)
std::vector<Mutant> chosen(const MutantsWish& wish) {
  std::vector<Mutant> out;
  if (wish.names == std::vector<std::string>{""}) return simulator::mutants();
  for (auto& mutant : simulator::mutants()) {
    bool named = std::find(wish.names.begin(), wish.names.end(), mutant.name) != wish.names.end();
    if (wish.names.empty() || named) out.push_back(mutant);
  }
  for (auto& name : wish.names) {
    bool known = std::any_of(out.begin(), out.end(), [&](auto& mutant) { return mutant.name == name; });
    if (!known) throw Refusal(USAGE, "there is no mutant '" + name + "'; see simulator/mutants.cpp");
  }
  return out;
}

}  // namespace

bool MutantsWish::wanted() const { return option->count() > 0; }

std::shared_ptr<MutantsWish> addMutants(CLI::App& verb) {
  auto wish = std::make_shared<MutantsWish>();
  wish->option =
      verb.add_option("--mutants", wish->names,
                      "Hunt these planted bugs, or all, with up to --seeds seeds each; with --seed: have one")
          ->expected(0, -1);
  verb.add_option("--campaigns", wish->campaigns, "Hunt each so often, with other seeds")
      ->capture_default_str();
  verb.add_flag("--quick", wish->quick, "Only the mutants that few seeds find");
  return wish;
}

void chooseMutant(const MutantsWish& wish) {
  requirePlanted();
  auto named = chosen(wish);
  if (named.size() != 1) throw Refusal(USAGE, "with --seed name one mutant");
  simulator::chooseMutant(named[0].name);
}

Exit simulateMutants(const MutantsWish& given, Format format) {
  requirePlanted();
  auto wish = given;
  if (wish.quick) wish.seedsMax = std::min(wish.seedsMax, QUICK_SEEDS_MAX);
  Table table({"mutant", "found", "of#", "seeds", "checker", "verdict", "what"});
  auto hunted = chosen(wish);
  bool good = true;
  Progress progress;
  for (auto& mutant : hunted) {
    if (wish.quick && mutant.rare) continue;
    if (mutant.test != nullptr) {
      bool fails = testFails(mutant);
      good = good && fails;
      table.add({mutant.name, fails ? "1" : "0", "1", "", mutant.test, fails ? "caught" : "SURVIVED",
                 mutant.what});
      continue;
    }
    auto verdict = judge(mutant, wish, progress);
    bool bad = verdict.survived || verdict.strange;
    good = good && !bad;
    table.add({mutant.name, std::to_string(verdict.seeds.size()), std::to_string(wish.campaigns),
               described(verdict.seeds), joined(verdict.checkers),
               verdict.survived ? "SURVIVED" : verdict.strange ? "OTHER CHECKER" : "caught", mutant.what});
    if (format == Format::TABLE) {
      progress.clear();
      say(std::string(mutant.name) + ": " + (bad ? "NOT " : "") + "caught, seeds " +
          described(verdict.seeds) + ", by " + joined(verdict.checkers));
    }
  }
  progress.clear();
  table.print(format);
  return good ? DONE : FAILED;
}

}  // namespace polyquorum::cli
