// SPDX-License-Identifier: Apache-2.0
// Nodes and ACLs as image records, and nodes back from them; see image.h.
#include <algorithm>
#include "state/bytes.h"
#include "state/image.h"

namespace polyquorum::state {
namespace {

constexpr std::size_t BATCH_COUNT = 16;

}  // namespace

void Tree::record(Slot slot, std::string& out) const {
  auto& node = at(slot);
  NodeRecord fixed{slot, node.parent, node.acl, node.dataSize, node.kindAndNameSize,
                   node.version, node.aversion, node.creates,
                   node.czxid, node.mzxid, node.pzxid, node.ctimeMs, node.mtimeMs};
  std::uint32_t tail = node.nameSize() + node.dataBytes();
  std::uint32_t ownerBytes = node.hasOwner() ? sizeof(std::uint64_t) : 0;
  append(out, static_cast<std::uint32_t>(sizeof(fixed) + ownerBytes + tail));
  out.append(reinterpret_cast<const char*>(&fixed), sizeof(fixed));
  if (node.hasOwner()) append(out, node.owner());
  out.append(node.text(), tail);
}

void recordAcl(const std::vector<Permission>* acl, std::string& out) {
  std::string record;
  if (acl != nullptr) {
    append(record, static_cast<std::uint32_t>(acl->size()));
    for (auto& one : *acl) {
      append(record, one.bits);
      appendSized(record, one.who.scheme);
      appendSized(record, one.who.id);
    }
  }
  appendSized(out, record);
}

void TreeLoader::begin(std::uint32_t slots, std::uint32_t nodes) {
  slotsMax = slots;
  // A lie costs a few megabytes at most; a larger tree grows its table as it did before.
  tree.table.reserve(std::min(nodes, 1u << 20));
}

const char* TreeLoader::add(std::string_view record) {
  NodeRecord fixed;
  if (record.size() < sizeof(fixed)) return "a node is cut short";
  memcpy(&fixed, record.data(), sizeof(fixed));
  ByteReader in(record.substr(sizeof(fixed)));
  Birth birth;
  birth.kind = static_cast<Kind>(fixed.kindAndNameSize >> 24);
  if (birth.kind > Kind::TTL) return "a node's kind is unknown";
  birth.acl = fixed.acl;
  birth.value.present = fixed.dataSize != NULL_DATA;
  std::string_view name;
  bool whole = (birth.kind == Kind::PERSISTENT || in.number(birth.owner)) &&
               in.take(fixed.kindAndNameSize & NAME_BYTES_MAX, name) &&
               in.take(birth.value.present ? fixed.dataSize : 0, birth.value.bytes);
  if (!whole || in.left() > 0) return "a node's size is wrong";
  auto slot = fixed.slot;
  if (slot < tree.slots.count() || slot >= slotsMax) return "a node's slot is out of order";
  if (slot == ROOT ? !name.empty() || fixed.parent != NONE || birth.kind != Kind::PERSISTENT
                   : !validName(name) || fixed.parent >= slotsMax) {
    return "a node's name or parent cannot be";
  }
  if (!tree.acls.known(fixed.acl)) return "a node has an ACL that is not there";

  auto* node = Tree::makeBlock(name, birth);
  while (tree.slots.count() <= slot) tree.slots.extend();
  tree.slots.at(slot) = node;
  tree.acls.hold(fixed.acl);
  node->parent = fixed.parent;
  node->version = fixed.version;
  node->aversion = fixed.aversion;
  node->creates = fixed.creates;
  node->czxid = fixed.czxid;
  node->mzxid = fixed.mzxid;
  node->pzxid = fixed.pzxid;
  node->ctimeMs = fixed.ctimeMs;
  node->mtimeMs = fixed.mtimeMs;
  pathBytes.resize(slot + 1);
  if (slot == ROOT || found(fixed.parent)) return find(slot);
  waiting.push_back(slot);
  return nullptr;
}

/// The node's parent was found. Its place in the table is fetched from memory while others are
/// read.
const char* TreeLoader::find(Slot slot) {
  auto& node = tree.node(slot);
  node.hash = ROOT_HASH;
  pathBytes[slot] = 1;
  if (slot != ROOT) {
    auto& parent = tree.at(node.parent);
    if (parent.kind() == Kind::EPHEMERAL) return "an ephemeral node has a child";
    node.hash = childHash(parent.hash, node.name());
    pathBytes[slot] = (node.parent == ROOT ? 0 : pathBytes[node.parent]) + 1 + node.nameSize();
    tree.table.expect(node.hash);
  }
  batch.push_back(slot);
  return batch.size() < BATCH_COUNT ? nullptr : placeBatch();
}

const char* TreeLoader::placeBatch() {
  const char* problem = nullptr;
  for (auto slot : batch) {
    if (problem == nullptr) problem = place(slot);
  }
  batch.clear();
  return problem;
}

const char* TreeLoader::place(Slot slot) {
  auto& node = tree.node(slot);
  if (slot != ROOT) {
    auto twin = tree.table.find(node.hash, [&](Slot other) {
      return tree.at(other).parent == node.parent && tree.at(other).name() == node.name();
    });
    if (twin != NONE) return "a node is there twice";
    tree.link(slot);
  }
  tree.sum += tree.statHash(node) + Tree::dataHash(node);
  tree.bytesTotal += pathBytes[slot] + node.dataBytes();
  return nullptr;
}

const char* TreeLoader::findWaiting(Slot slot) {
  std::vector<Slot> chain;
  for (; !found(slot); slot = tree.at(slot).parent) {
    if (slot >= tree.slots.count() || tree.slots.at(slot) == nullptr) return "a parent is missing";
    if (chain.size() > waiting.size()) return "a node is its own ancestor";
    chain.push_back(slot);
  }
  for (auto next = chain.rbegin(); next != chain.rend(); ++next) {
    if (auto* problem = find(*next)) return problem;
  }
  return nullptr;
}

const char* TreeLoader::finish(std::vector<Slot>&& unused) {
  if (!found(ROOT)) return "there is no root";
  for (auto slot : waiting) {
    if (auto* problem = findWaiting(slot)) return problem;
  }
  if (auto* problem = placeBatch()) return problem;
  while (tree.slots.count() < slotsMax) tree.slots.extend();
  std::vector<bool> seen(slotsMax);
  for (auto slot : unused) {
    if (slot >= slotsMax || tree.slots.at(slot) != nullptr || seen[slot]) {
      return "an unused slot is used, or there twice";
    }
    seen[slot] = true;
  }
  tree.slots.unusedSlots() = std::move(unused);
  for (auto path : {"/zookeeper", "/zookeeper/quota", "/zookeeper/config"}) {
    if (tree.find(path) == NONE) return "a built-in node is missing";
  }
  return nullptr;
}

}  // namespace polyquorum::state
