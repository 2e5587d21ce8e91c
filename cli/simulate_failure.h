// SPDX-License-Identifier: Apache-2.0
// What is said of a seed that fails: the line that replays it, the shrunk run, its story and its
// picture.
#pragma once
#include <cstdint>
#include <string>
#include "kernel/config.h"
#include "simulator/campaign.h"

namespace polyquorum::cli {

/// How each run of this call is made, whatever its seed.
struct RunWish {
  std::uint64_t seconds = simulator::CampaignSettings().faultySeconds;
  std::string configFile, mutant;
  const kernel::Config* config = nullptr;  ///< read from configFile
  simulator::Only faults, clients;
  double shrinkSeconds = 20;  ///< 0: it is not shrunk
  std::string picture;        ///< file; empty: seed-N.html beside
  std::string keep;           ///< failing seeds are added to this file; empty: to none
};

simulator::CampaignSettings settingsOf(const RunWish& wish, std::uint64_t seed);

/// "3,7,9", "none", or empty for all.
simulator::Only readOnly(const std::string& text);

/// The one line that runs exactly this again.
std::string replayLine(const RunWish& wish, const simulator::CampaignSettings& settings);

/// One line for the failure and the one that replays it; keeps the seed. At once, not at a campaign's
/// end: who stops one after seven hours has what it found.
void sayFailed(const RunWish& wish, const simulator::CampaignSettings& settings,
               const std::string& checker, const std::string& what);

/// Shrinks the failing run, prints its story and draws its picture.
void tellFailure(const RunWish& wish, const simulator::CampaignSettings& settings,
                 const simulator::CampaignResult& result);

/// Of a run that was recorded, whether it failed or not.
void writePicture(const std::string& file, const RunWish& wish,
                  const simulator::CampaignSettings& settings,
                  const simulator::CampaignResult& result);

}  // namespace polyquorum::cli
