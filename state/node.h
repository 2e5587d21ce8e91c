// SPDX-License-Identifier: Apache-2.0
// One znode as one block of memory: fixed part, owner if it has one, name, data. Knows no tree.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace polyquorum::state {

/// A node's place in the slot table: stays the same for the node's whole life, unlike its address.
using Slot = std::uint32_t;
constexpr Slot NONE = 0xffffffff;
constexpr Slot ROOT = 0;

constexpr std::uint32_t NULL_DATA = 0xffffffff;  ///< dataSize of null, which is not empty
constexpr std::uint32_t NAME_BYTES_MAX = 0xffffff;

enum class Kind : std::uint8_t { PERSISTENT, EPHEMERAL, CONTAINER, TTL };

/// Only of nodes that are not PERSISTENT. The links chain the ephemerals of one session, or all
/// containers and TTL nodes.
struct Owned {
  std::uint64_t owner;  ///< EPHEMERAL: session. TTL: its ttlMs. CONTAINER: 0.
  Slot next, previous;
};

struct Node {
  std::uint64_t hash;  ///< of the path; see path.h
  std::uint64_t czxid, mzxid, pzxid;
  std::int64_t ctimeMs, mtimeMs;
  std::int32_t version, aversion;
  std::int32_t creates;  ///< children ever created; the next sequence number
  std::uint32_t childCount;
  Slot parent, firstChild, next, previous;
  std::uint32_t acl;
  std::uint32_t dataSize;
  std::uint32_t kindAndNameSize;

  Kind kind() const { return static_cast<Kind>(kindAndNameSize >> 24); }
  std::uint32_t nameSize() const { return kindAndNameSize & NAME_BYTES_MAX; }
  bool hasOwner() const { return kind() != Kind::PERSISTENT; }
  Owned& owned() { return *reinterpret_cast<Owned*>(this + 1); }
  const Owned& owned() const { return *reinterpret_cast<const Owned*>(this + 1); }
  std::uint64_t owner() const { return hasOwner() ? owned().owner : 0; }

  char* text() { return reinterpret_cast<char*>(this + 1) + (hasOwner() ? sizeof(Owned) : 0); }
  const char* text() const { return const_cast<Node*>(this)->text(); }
  std::string_view name() const { return {text(), nameSize()}; }
  bool hasData() const { return dataSize != NULL_DATA; }
  std::uint32_t dataBytes() const { return hasData() ? dataSize : 0; }
  std::string_view data() const { return {text() + nameSize(), dataBytes()}; }

  /// What ZooKeeper shows as cversion: creates + deletes. Wraps like Java's int.
  std::int32_t cversion() const {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(creates) * 2 - childCount);
  }

  static std::size_t blockBytes(Kind kind, std::size_t nameSize, std::size_t dataBytes) {
    return sizeof(Node) + (kind != Kind::PERSISTENT ? sizeof(Owned) : 0) + nameSize + dataBytes;
  }
};
static_assert(sizeof(Node) == 96, "every byte here is a megabyte per million nodes");

/// ZooKeeper's version arithmetic: wraps, never undefined.
inline std::int32_t successor(std::int32_t number) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(number) + 1);
}

}  // namespace polyquorum::state
