// SPDX-License-Identifier: Apache-2.0
// Memory of small objects, by lists of equal size: a simulated second makes some ten thousand of
// them, and a general allocator would take a quarter of a run. For the simulator's processes only.
#pragma once
#include <cstdint>

namespace polyquorum::simulator {

/// From now on `new` of this thread takes small objects from its lists. They may be deleted anywhere;
/// what they used is kept for others until the process ends. Does nothing under a sanitizer.
void useArena();

/// How many objects this thread has made in the arena; 0 under a sanitizer. A measure of work that no
/// other process disturbs.
std::uint64_t objectsMade();

}  // namespace polyquorum::simulator
