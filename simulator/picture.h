// SPDX-License-Identifier: Apache-2.0
// A space-time picture of a run: one HTML file that needs nothing from outside. How it looks is in
// picture.html.
#pragma once
#include <ostream>
#include <string>
#include "simulator/campaign.h"

namespace polyquorum::simulator {

/// result: recorded. title: what run this is. replay: the line that runs it again.
void drawPicture(std::ostream& out, const CampaignResult& result, const std::string& title,
                 const std::string& replay);

}  // namespace polyquorum::simulator
