// SPDX-License-Identifier: Apache-2.0
// What a path may be, and its hash, component by component. Knows no tree.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include "state/hash.h"

namespace polyquorum::state {

/// As ZooKeeper's PathUtils.validatePath: it judges UTF-16 units, so that a character beyond the
/// basic plane is invalid, as is anything that is not UTF-8.
bool validPath(std::string_view path);
/// One component.
bool validName(std::string_view name);

constexpr std::uint64_t ROOT_HASH = SALT_E;

/// Where a path would be in the tree. "" is an alias of "/", as in ZooKeeper's DataTree.
struct Key {
  std::uint64_t hash = ROOT_HASH, parentHash = 0;
  std::string_view name;        ///< the last component
  std::string_view path;        ///< all of it; must outlive the key
  bool possible = true;         ///< false: no node can have this path
  bool root() const { return path.size() <= 1; }
};
Key locate(std::string_view path);
inline std::uint64_t childHash(std::uint64_t parentHash, std::string_view name) {
  return hashBytes(name, parentHash);
}

/// The suffix of a sequential node, as Java's %010d.
void appendSequence(std::string& path, std::int32_t counter);

}  // namespace polyquorum::state
