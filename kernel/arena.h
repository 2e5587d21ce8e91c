// SPDX-License-Identifier: Apache-2.0
// Memory of small objects, by lists of equal size: a write makes some hundreds of them, a simulated second
// ten thousand, and a general allocator would take a quarter of the time of either.
#pragma once
#include <cstdint>

namespace polyquorum::kernel {

/// From now on `new` of this thread takes objects of up to 1 KiB from chunks of 32 KiB, one size in each,
/// without locks. Any thread may delete them. A chunk whose last object is gone serves any size, and gives
/// its memory back if many are empty. In 16 GiB of addresses; after those `new` is malloc again. Does
/// nothing under a sanitizer. May be called again.
void useArena();

/// How many objects this thread has made in the arena; 0 under a sanitizer. A measure of work that no
/// other process disturbs.
std::uint64_t objectsMade();

}  // namespace polyquorum::kernel
