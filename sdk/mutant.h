// SPDX-License-Identifier: Apache-2.0
// MUTANT("name"): a planted bug, off in every build but the preset `mutants`, where one of them is chosen
// at run time for the whole process. What each does and who must catch it: simulator/mutants.cpp.
#pragma once

#ifdef POLYQUORUM_MUTANTS
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace polyquorum::mutants {

/// hashOf() the name of the chosen one; 0: none. In a shared library of its own: the program and all
/// of its plugins see the same.
extern std::uint64_t chosen;

/// FNV-1a.
constexpr std::uint64_t hashOf(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

}  // namespace polyquorum::mutants

#define MUTANT(name)                 \
  (::polyquorum::mutants::chosen == \
   std::integral_constant<std::uint64_t, ::polyquorum::mutants::hashOf(name)>::value)
#else
#define MUTANT(name) false
#endif
