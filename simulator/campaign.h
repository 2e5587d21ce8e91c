// SPDX-License-Identifier: Apache-2.0
// One seed: a cluster, clients and faults drawn from it, then healing and the demand that
// everything converges. Equal seeds give equal runs, to the last parcel.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>
#include "kernel/config.h"
#include "simulator/faults.h"
#include "simulator/only.h"
#include "simulator/story.h"

namespace polyquorum::simulator {

struct CampaignSettings {
  std::uint64_t seed = 1;
  std::uint64_t faultySeconds = 60;  ///< simulated, before everything heals
  unsigned clients = 8;
  const kernel::Config* config = nullptr;  ///< null: drawn from the seed
  std::ostream* trace = nullptr;           ///< NDJSON; null: none
  Only onlyFaults, onlyClients;
  double cutAtMs = 0;   ///< the run ends here if nothing is broken by then; 0: it does not
  bool record = false;  ///< everything that happens goes into the result
};

struct CampaignResult {
  std::optional<Violation> violation;
  std::vector<std::string> last;  ///< the end of the story
  std::vector<Injection> faults;  ///< that took place
  std::vector<Event> events;      ///< if recorded
  std::map<std::string, std::uint64_t> counters;
  std::uint64_t traceHash = 0;
  double simulatedSeconds = 0;
  std::uint64_t objectsMade = 0;  ///< see kernel/arena.h
};

/// Runs one seed. Blocks; builds its own event loop. Throws only for what is wrong with the
/// configuration.
CampaignResult runCampaign(const CampaignSettings& settings);

/// What must have happened at least once over a campaign of many seeds.
const std::vector<std::string>& coverageWanted();

}  // namespace polyquorum::simulator
