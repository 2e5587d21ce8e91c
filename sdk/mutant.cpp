// SPDX-License-Identifier: Apache-2.0
// The chosen mutant; see mutant.h. Built with the preset `mutants` only.
#include "sdk/mutant.h"

#ifdef POLYQUORUM_MUTANTS
#include <cstdlib>

namespace polyquorum::mutants {
namespace {

/// For the tests of single rooms, which have no command line of ours.
std::uint64_t ofEnvironment() {
  auto* name = std::getenv("POLYQUORUM_MUTANT");  // layering: allow(environment): only in builds with mutants
  return name == nullptr ? 0 : hashOf(name);
}

}  // namespace

std::uint64_t chosen = ofEnvironment();

}  // namespace polyquorum::mutants
#endif
