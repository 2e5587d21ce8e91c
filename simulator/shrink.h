// SPDX-License-Identifier: Apache-2.0
// Makes a failing run small: leaves out faults and clients, and shortens it, as long as the same
// checker fires. Decides nothing about what is told of it.
#pragma once
#include <functional>
#include "simulator/campaign.h"

namespace polyquorum::simulator {

struct Shrunk {
  CampaignSettings settings;  ///< replay the small run
  CampaignResult result;      ///< of it, with all its events
  unsigned runs = 0;          ///< that this took
  unsigned faultsBefore = 0;
  double secondsBefore = 0;
};

/// failing: settings whose result, given too, is a violation. enough: asked before each run; true
/// ends the search with the best so far.
Shrunk shrink(const CampaignSettings& failing, const CampaignResult& result,
              const std::function<bool()>& enough);

/// The search itself (delta debugging, Zeller and Hildebrandt 2002): the smallest set found of which
/// `fails` is still true. fails is asked of sets smaller than `all`, and may say no when it is tired.
std::set<unsigned> smallest(std::set<unsigned> all,
                            const std::function<bool(const std::set<unsigned>&)>& fails);

}  // namespace polyquorum::simulator
