// SPDX-License-Identifier: Apache-2.0
// The layout of a state image. Every record is its size (4 bytes) and that many bytes, little
// endian: header, ACLs, unused ACL ids, unused slots, sessions by id, nodes by slot. Slots and ids
// come from history alone, so equal histories give equal images, whether lived through or loaded.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
#include "state/tree.h"

namespace polyquorum::state {

constexpr std::uint64_t IMAGE_MAGIC = 0x0131455441545351;  // "QSTATE1", 1
constexpr std::uint32_t RECORD_BYTES_MAX = 256u << 20;
constexpr std::uint32_t LIST_COUNT_MAX = 4096;  // numbers in one record of a list

struct ImageHeader {
  std::uint64_t magic = IMAGE_MAGIC, index = 0;
  std::int64_t timeMs = 0;
  std::uint64_t digest = 0, sessions = 0;
  std::uint32_t acls = 0, unusedAcls = 0, slots = 0, unusedSlots = 0;
};
static_assert(sizeof(ImageHeader) == 56, "no padding in an image");

/// Before a node's owner (if it has one), name and data.
struct NodeRecord {
  Slot slot, parent;
  std::uint32_t acl, dataSize, kindAndNameSize;
  std::int32_t version, aversion, creates;
  std::uint64_t czxid, mzxid, pzxid;
  std::int64_t ctimeMs, mtimeMs;
};
static_assert(sizeof(NodeRecord) == 72, "no padding in an image");

/// An ACL as record; null: the id is unused.
void recordAcl(const std::vector<Permission>* acl, std::string& out);

/// Puts nodes back. Every problem is a sentence; null is none.
class TreeLoader {
public:
  explicit TreeLoader(Tree& tree) : tree(tree) {}
  void begin(std::uint32_t slots, std::uint32_t nodes);
  const char* add(std::string_view record);
  const char* finish(std::vector<Slot>&& unused);

private:
  Tree& tree;
  std::uint32_t slotsMax = 0;
  std::vector<std::uint64_t> pathBytes;  // by slot; 0: not found its way to the root yet
  std::vector<Slot> waiting;             // came before their parents
  std::vector<Slot> batch;               // found, and soon in their places, parents first

  bool found(Slot slot) const { return slot < pathBytes.size() && pathBytes[slot] != 0; }
  const char* find(Slot slot);
  const char* findWaiting(Slot slot);
  const char* placeBatch();
  const char* place(Slot slot);
};

}  // namespace polyquorum::state
