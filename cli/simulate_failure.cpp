// SPDX-License-Identifier: Apache-2.0
// What is said of a seed that fails; see simulate_failure.h.
#include "cli/simulate_failure.h"
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "cli/exit.h"
#include "simulator/kept.h"
#include "simulator/picture.h"
#include "simulator/shrink.h"
#include "simulator/telling.h"

namespace polyquorum::cli {
namespace {

using simulator::CampaignResult;
using simulator::CampaignSettings;
using simulator::Only;

std::string text(const std::set<unsigned>& numbers) {
  std::string out;
  for (auto number : numbers) out += (out.empty() ? "" : ",") + std::to_string(number);
  return out.empty() ? "none" : out;
}

unsigned clientsOf(const CampaignSettings& settings) {
  return settings.onlyClients ? settings.onlyClients->size() : settings.clients;
}

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

simulator::Shrunk shrunkOf(const RunWish& wish, const CampaignSettings& settings,
                           const CampaignResult& result) {
  auto until = std::chrono::steady_clock::now() +
               std::chrono::milliseconds(static_cast<std::int64_t>(wish.shrinkSeconds * 1000));
  return simulator::shrink(settings, result,
                           [&]() { return std::chrono::steady_clock::now() >= until; });
}

}  // namespace

CampaignSettings settingsOf(const RunWish& wish, std::uint64_t seed) {
  CampaignSettings settings;
  settings.seed = seed;
  settings.faultySeconds = wish.seconds;
  settings.config = wish.config;
  settings.onlyFaults = wish.faults;
  settings.onlyClients = wish.clients;
  return settings;
}

Only readOnly(const std::string& text) {
  if (text.empty()) return {};
  std::set<unsigned> out;
  if (text == "none") return out;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    if (part.empty() || part.size() > 9 || part.find_first_not_of("0123456789") != part.npos) {
      throw Refusal(USAGE, "'" + text + "' is no list of numbers; write it as 3,7,9, or none");
    }
    out.insert(static_cast<unsigned>(std::stoul(part)));
  }
  return out;
}

std::string replayLine(const RunWish& wish, const CampaignSettings& settings) {
  auto line = "polyquorum simulate --seed " + std::to_string(settings.seed);
  if (settings.faultySeconds != CampaignSettings().faultySeconds) {
    line += " --seconds " + std::to_string(settings.faultySeconds);
  }
  if (settings.onlyFaults) line += " --only " + text(*settings.onlyFaults);
  if (settings.onlyClients) line += " --clients " + text(*settings.onlyClients);
  if (!wish.configFile.empty()) line += " --config " + wish.configFile;
  if (!wish.mutant.empty()) line += " --mutants " + wish.mutant;
  return line;
}

void sayFailed(const RunWish& wish, const CampaignSettings& settings, const std::string& checker,
               const std::string& what) {
  auto replay = replayLine(wish, settings);
  auto text = "seed " + std::to_string(settings.seed) + " FAILED: " + checker + ": " + what +
              "\n  replay: " + replay + "\n";
  fputs(text.c_str(), stdout);
  fflush(stdout);
  if (wish.keep.empty()) return;
  auto now = std::time(nullptr);
  char day[16];
  strftime(day, sizeof(day), "%Y-%m-%d", gmtime(&now));
  auto found = checker + ", found on " + day;
  if (replay != replayLine({}, settingsOf({}, settings.seed))) found += ": " + replay;
  simulator::keepSeed(wish.keep, settings.seed, found);
}

void writePicture(const std::string& file, const RunWish& wish, const CampaignSettings& settings,
                  const CampaignResult& result) {
  std::ofstream out(file);
  auto title = "Polyquorum, seed " + std::to_string(settings.seed);
  if (out) simulator::drawPicture(out, result, title, replayLine(wish, settings));
  if (!out.flush()) throw Refusal(FAILED, "cannot write " + file);
  printf("  picture: %s\n", std::filesystem::absolute(file).c_str());
}

void tellFailure(const RunWish& wish, const CampaignSettings& settings,
                 const CampaignResult& result) {
  auto [small, shrunk, runs, faultsBefore, secondsBefore] = shrunkOf(wish, settings, result);
  if (!shrunk.violation || shrunk.violation->checker != result.violation->checker) {
    printf("  the shrunk run does not fail again: equal seeds do not give equal runs\n");
    return;
  }
  printf("  shrunk in %s: %s, %s and %.1f s of %s, %s and %.1f s\n", counted(runs, "run").c_str(),
         counted(shrunk.faults.size(), "fault").c_str(),
         counted(clientsOf(small), "client").c_str(), shrunk.simulatedSeconds,
         counted(faultsBefore, "fault").c_str(), counted(clientsOf(settings), "client").c_str(),
         secondsBefore);
  printf("  replay it: %s\n", replayLine(wish, small).c_str());
  for (auto& fault : shrunk.faults) {
    printf("  fault %u at %.0f ms: %s", fault.number, fault.ms, fault.kind.c_str());
    for (auto victim : fault.victims) printf(" %u", victim);
    if (fault.forMs > 0) printf(", for %.0f ms", fault.forMs);
    printf("\n");
  }
  auto file = wish.picture.empty() ? "seed-" + std::to_string(settings.seed) + ".html" : wish.picture;
  writePicture(file, wish, small, shrunk);
  for (auto& line : simulator::retell(shrunk.events)) printf("%s\n", line.c_str());
  fflush(stdout);
}

}  // namespace polyquorum::cli
