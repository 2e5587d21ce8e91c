// SPDX-License-Identifier: Apache-2.0
// Damage is told once: what was found at an earlier open, and is still on the disk because a log is
// never rewritten in place, is not news. Damage that is not repaired is in Log.damaged every time.
#pragma once
#include <kj/filesystem.h>
#include <string>
#include <vector>

namespace polyquorum::file {

/// Offload, at open. Of the findings of this open those that the one before did not have; remembers
/// all of them in the file "damage-told". A disk that does not let it remember tells again.
std::vector<std::string> untold(const kj::Directory& directory,
                                const std::vector<std::string>& findings);

}  // namespace polyquorum::file
