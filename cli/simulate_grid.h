// SPDX-License-Identifier: Apache-2.0
// The grid of the verb simulate.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include "cli/commands.h"

namespace polyquorum::cli {

struct GridWish {
  bool wanted = false;
  std::optional<std::size_t> scenario;  ///< none: all
  std::uint64_t fail = 0, crash = 0, kill = 0;  ///< one cell; at most one is not 0
  std::uint64_t stride = 1;                     ///< every so-many-th cell
  unsigned jobs = 1;
  std::string trace;
};

/// Adds the options of the grid to the verb.
std::shared_ptr<GridWish> addGrid(CLI::App& verb);
Exit simulateGrid(const GridWish& wish);

}  // namespace polyquorum::cli
