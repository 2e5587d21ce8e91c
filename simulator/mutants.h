// SPDX-License-Identifier: Apache-2.0
// The planted bugs by name: what each breaks and which checkers must see it. They stand in the rooms
// themselves, as MUTANT("name") of sdk/mutant.h.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace polyquorum::simulator {

struct Mutant {
  const char* name;    ///< M and a number: of a known bug. room.place: made from our own code
  const char* what;
  const char* source;  ///< where such a bug was real; or what it is made from
  std::vector<const char*> checkers;  ///< one of these must be the first to fire
  bool rare = false;                  ///< may take more than a few dozen seeds
  /// Random search over whole clusters does not reach it: the test program of its room that fails with
  /// POLYQUORUM_MUTANT=name. Null: found by seeds.
  const char* test = nullptr;
};

const std::vector<Mutant>& mutants();

/// False in every build but that of the preset `mutants`.
bool mutantsPlanted();
/// From now on this process has this bug; "": none.
void chooseMutant(std::string_view name);

}  // namespace polyquorum::simulator
