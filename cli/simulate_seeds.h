// SPDX-License-Identifier: Apache-2.0
// Many seeds of the simulator in several processes, and what they came to.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>
#include "cli/exit.h"
#include "cli/simulate_failure.h"
#include "kernel/config.h"

namespace polyquorum::cli {

struct SeedsWish {
  std::uint64_t seeds = 100, base = 1;
  double hours = 0;  ///< > 0: until this much time has passed, however many seeds that are
  unsigned jobs = 1;
  std::string replay;                 ///< a file of kept seeds: these instead
  std::vector<std::uint64_t> listed;  ///< what it holds

  std::uint64_t seed(std::uint64_t number) const { return replay.empty() ? base + number : listed[number]; }
  std::uint64_t count() const { return replay.empty() ? seeds : listed.size(); }
};

/// What all seeds of one process came to.
struct Tally {
  std::uint64_t seeds = 0, repeated = 0;
  double simulated = 0;
  std::map<std::string, std::uint64_t> counters;
  std::map<std::uint64_t, std::string> failed;  ///< checker by seed

  void add(std::uint64_t seed, const simulator::CampaignResult& result);
  void print() const;
};

Exit simulateSeeds(const SeedsWish& wish, const RunWish& run);

}  // namespace polyquorum::cli
