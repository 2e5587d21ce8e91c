// SPDX-License-Identifier: Apache-2.0
// Chooses from all that happened in a failing run what a person should read: who led, which fault,
// which letters mattered, what was acknowledged, what broke.
#pragma once
#include <string>
#include <vector>
#include "simulator/event.h"

namespace polyquorum::simulator {

/// At most so many lines, in the order of time, simulated milliseconds first. The last one is the
/// violation, if there is one.
std::vector<std::string> retell(const std::vector<Event>& events, std::size_t linesMax = 50);

}  // namespace polyquorum::simulator
