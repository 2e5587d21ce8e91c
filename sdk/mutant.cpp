// SPDX-License-Identifier: Apache-2.0
// The chosen mutant; see mutant.h. Built with the preset `mutants` only.
#include "sdk/mutant.h"

#ifdef POLYQUORUM_MUTANTS
std::uint64_t polyquorum::mutants::chosen = 0;
#endif
