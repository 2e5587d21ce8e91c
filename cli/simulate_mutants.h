// SPDX-License-Identifier: Apache-2.0
// The mutants of the verb simulate: is each planted bug found, how soon, and by its own checker?
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>
#include "cli/commands.h"

namespace CLI {
class Option;
}

namespace polyquorum::cli {

struct MutantsWish {
  CLI::Option* option = nullptr;
  bool quick = false;
  std::vector<std::string> names;  ///< none: all
  std::uint64_t campaigns = 1, base = 1, seedsMax = 2000;
  unsigned jobs = 1;
  bool wanted() const;
};

/// Adds the options of the mutants to the verb; base, seeds and jobs are the verb's own.
std::shared_ptr<MutantsWish> addMutants(CLI::App& verb);
/// This process has the mutant that is named, to replay a seed of it.
void chooseMutant(const MutantsWish& wish);
Exit simulateMutants(const MutantsWish& wish, Format format);

}  // namespace polyquorum::cli
