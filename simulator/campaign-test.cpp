// SPDX-License-Identifier: Apache-2.0
// Campaigns as part of the tests: a few seeds, every seed that once found a bug, and the promise
// that equal seeds give equal runs.
#include <catch2/catch.hpp>
#include "simulator/campaign.h"
#include "simulator/kept.h"

using namespace polyquorum::simulator;

namespace {

CampaignResult play(std::uint64_t seed, std::uint64_t faultySeconds = 60) {
  CampaignSettings settings;
  settings.seed = seed;
  settings.faultySeconds = faultySeconds;
  return runCampaign(settings);
}

void requireWhole(std::uint64_t seed, const CampaignResult& result) {
  std::string story;
  for (auto& line : result.last) story += line + "\n";
  INFO("replay: polyquorum simulate --seed " << seed << "\n" << story);
  if (result.violation) FAIL(result.violation->checker << ": " << result.violation->what);
  CHECK(result.counters.at("entries decided") > 0);
}

}  // namespace

TEST_CASE("every seed that once found a bug passes now") {
  auto seeds = keptSeeds(POLYQUORUM_KEPT_SEEDS);
  REQUIRE(!seeds.empty());
  for (auto seed : seeds) requireWhole(seed, play(seed));
}

TEST_CASE("a few seeds of faults break no promise") {
  for (std::uint64_t seed = 1; seed <= 12; seed++) requireWhole(seed, play(seed));
}

TEST_CASE("a simulated second makes few objects: seeds stay cheap") {
  // Not a clock: the same on a busy machine.
  double objects = 0, seconds = 0;
  for (std::uint64_t seed = 31; seed <= 36; seed++) {
    auto result = play(seed);
    requireWhole(seed, result);
    objects += static_cast<double>(result.objectsMade);
    seconds += result.simulatedSeconds;
  }
  INFO("objects a simulated second: " << objects / seconds);
  CHECK(objects / seconds < 7'500);
}

TEST_CASE("equal seeds give equal runs, to the last parcel") {
  auto first = play(7, 20), second = play(7, 20);
  CHECK(first.traceHash == second.traceHash);
  CHECK(first.last == second.last);
  CHECK(first.counters == second.counters);
  CHECK(play(8, 20).traceHash != first.traceHash);
}

TEST_CASE("consensus stays safe under an election that advises badly, and serves once it is sane") {
  auto config = polyquorum::kernel::readConfig(POLYQUORUM_ADVERSARY_YAML);
  config.pluginDirectories.insert(config.pluginDirectories.begin(), POLYQUORUM_ADVERSARY_PLUGINS);
  auto seeds = keptSeeds(POLYQUORUM_KEPT_ADVERSARY);
  REQUIRE(!seeds.empty());
  for (std::uint64_t seed = 1; seed <= 5; seed++) seeds.push_back(seed);
  for (auto seed : seeds) {
    CampaignSettings settings;
    settings.seed = seed;
    settings.config = &config;
    requireWhole(seed, runCampaign(settings));
  }
}
