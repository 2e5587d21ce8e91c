// SPDX-License-Identifier: Apache-2.0
// Files of seeds that failed once, to be run for ever: one a line, the seed and then what it found. Lines
// that begin with # are remarks.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace polyquorum::simulator {

/// In the order of the file, each once. Throws std::runtime_error if it cannot be read, or with the
/// number of a line that is no seed: a seed that nobody runs any more would not be missed.
std::vector<std::uint64_t> keptSeeds(const std::string& file);

/// Creates the file if it is not there. Throws std::runtime_error if keepSeed() would.
void openKept(const std::string& file);

/// Adds a line, unless the file holds this seed. Several processes may, of different seeds.
void keepSeed(const std::string& file, std::uint64_t seed, const std::string& found);

}  // namespace polyquorum::simulator
