// SPDX-License-Identifier: Apache-2.0
// Looking at and changing znodes; see tree.h. Undoing is in journal.cpp, records in records.cpp.
#include "state/tree.h"
#include <kj/debug.h>
#include <new>

namespace polyquorum::state {
namespace {

Node* allocate(std::size_t bytes, Node* old = nullptr) {
  auto* block = static_cast<Node*>(std::realloc(static_cast<void*>(old), bytes));
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

AclId world(Acls& acls, std::uint8_t bits) {
  return acls.intern({{bits, {"world", "anyone"}}});
}

}  // namespace

Tree::Tree(Acls& acls) : acls(acls) {
  // Source: DataTree's constructor and addConfigNode: open, but for the configuration.
  builtIn(NONE, "", world(acls, 31), true);
  auto zookeeper = builtIn(ROOT, "zookeeper", world(acls, 31), true);
  builtIn(zookeeper, "quota", world(acls, 31), true);
  auto config = builtIn(zookeeper, "config", world(acls, READ), true);
  sum -= statHash(node(config));
  node(config).aversion = -1;  // ZooKeeper sets this ACL with version -1 (ZOOKEEPER-2014)
  sum += statHash(node(config));
}

Slot Tree::builtIn(Slot parent, std::string_view name, AclId acl, bool hasData) {
  Birth birth;
  birth.acl = acl;
  birth.value.present = hasData;
  auto* block = makeBlock(name, birth);
  block->parent = parent;
  block->hash = parent == NONE ? ROOT_HASH : childHash(at(parent).hash, name);
  auto slot = slots.take(block);
  if (parent != NONE) link(slot);  // without counting a create: hence cversion -1 and -2
  sum += statHash(*block) + dataHash(*block);
  bytesTotal += path(slot).size();
  return slot;
}

// ------------------------------------------------------------------------------------------------
// looking

bool Tree::isAt(Slot slot, std::string_view path) const {
  while (path.size() > 1) {
    auto& node = at(slot);
    auto name = node.name();
    if (node.parent == NONE || path.size() <= name.size() || !path.ends_with(name) ||
        path[path.size() - name.size() - 1] != '/') {
      return false;
    }
    path.remove_suffix(name.size() + 1);
    slot = node.parent;
  }
  return slot == ROOT;
}

Slot Tree::find(const Key& key) const {
  if (!key.possible) return NONE;
  if (key.root()) return ROOT;
  return table.find(key.hash, [&](Slot slot) { return isAt(slot, key.path); });
}

Slot Tree::child(Slot parent, std::string_view name) const {
  return table.find(childHash(at(parent).hash, name), [&](Slot slot) {
    return at(slot).parent == parent && at(slot).name() == name;
  });
}

std::string Tree::path(Slot slot) const {
  if (slot == ROOT) return "/";
  std::size_t size = 0;
  for (auto up = slot; up != ROOT; up = at(up).parent) size += at(up).nameSize() + 1;
  std::string path(size, '/');
  for (auto up = slot; up != ROOT; up = at(up).parent) {
    auto name = at(up).name();
    size -= name.size();
    memcpy(path.data() + size--, name.data(), name.size());
  }
  return path;
}

Stat Tree::stat(Slot slot) const {
  auto& node = at(slot);
  Stat stat;
  stat.czxid = node.czxid;
  stat.mzxid = node.mzxid;
  stat.pzxid = node.pzxid;
  stat.ctimeMs = node.ctimeMs;
  stat.mtimeMs = node.mtimeMs;
  stat.version = node.version;
  stat.cversion = node.cversion();
  stat.aversion = node.aversion;
  stat.ephemeralOwner = node.kind() == Kind::EPHEMERAL ? node.owned().owner : 0;
  stat.dataLength = static_cast<std::int32_t>(node.dataBytes());
  stat.numChildren = static_cast<std::int32_t>(node.childCount);
  return stat;
}

void Tree::eachChild(Slot parent, const std::function<void(Slot)>& visit) const {
  for (auto slot = at(parent).firstChild; slot != NONE; slot = at(slot).next) visit(slot);
}

void Tree::eachBelow(Slot top, const std::function<void(Slot)>& visit) const {
  auto slot = top;
  while (true) {
    visit(slot);
    auto below = at(slot).firstChild;
    while (below == NONE && slot != top) {
      below = at(slot).next;
      if (below == NONE) slot = at(slot).parent;
    }
    if (below == NONE) return;
    slot = below;
  }
}

std::vector<Slot> Tree::ephemerals(std::uint64_t session) const {
  std::vector<Slot> found;
  auto head = ephemeralHeads.find(session);
  if (head == ephemeralHeads.end()) return found;
  for (auto slot = head->second; slot != NONE; slot = at(slot).owned().next) found.push_back(slot);
  return found;
}

// ------------------------------------------------------------------------------------------------
// hashing

std::uint64_t Tree::statHash(const Node& node) const {
  auto pair = [](std::uint32_t high, std::uint32_t low) {
    return static_cast<std::uint64_t>(high) << 32 | low;
  };
  auto hash = mix(node.hash, node.czxid);
  hash = mix(hash, node.mzxid);
  hash = mix(hash, node.pzxid);
  hash = mix(hash, static_cast<std::uint64_t>(node.ctimeMs));
  hash = mix(hash, static_cast<std::uint64_t>(node.mtimeMs));
  hash = mix(hash, pair(node.version, node.aversion));
  hash = mix(hash, pair(node.creates, node.kindAndNameSize));
  hash = mix(hash, node.owner());
  return mix(hash, acls.hash(node.acl));
}

std::uint64_t Tree::dataHash(const Node& node) {
  return hashBytes(node.data(), node.hash ^ (node.hasData() ? SALT_B : SALT_D));
}

// ------------------------------------------------------------------------------------------------
// changing

Node* Tree::makeBlock(std::string_view name, const Birth& birth) {
  auto& value = birth.value;
  auto* node = allocate(Node::blockBytes(birth.kind, name.size(), value.bytes.size()));
  memset(static_cast<void*>(node), 0, sizeof(Node));
  node->parent = node->firstChild = node->next = node->previous = NONE;
  node->acl = birth.acl;
  node->dataSize = value.present ? value.bytes.size() : NULL_DATA;
  node->kindAndNameSize = static_cast<std::uint32_t>(birth.kind) << 24 | name.size();
  if (node->hasOwner()) node->owned() = {birth.owner, NONE, NONE};
  auto* text = node->text();
  if (!name.empty()) memcpy(text, name.data(), name.size());
  if (!value.bytes.empty()) memcpy(text + name.size(), value.bytes.data(), value.bytes.size());
  return node;
}

void Tree::link(Slot slot) {
  auto& node = *slots.at(slot);
  auto& parent = *slots.at(node.parent);
  node.previous = NONE;
  node.next = parent.firstChild;
  if (node.next != NONE) slots.at(node.next)->previous = slot;
  parent.firstChild = slot;
  parent.childCount++;
  table.add(node.hash, slot);
  if (node.hasOwner()) chain(slot);
}

void Tree::unlink(Slot slot) {
  auto& node = *slots.at(slot);
  auto& parent = *slots.at(node.parent);
  if (node.next != NONE) slots.at(node.next)->previous = node.previous;
  (node.previous != NONE ? slots.at(node.previous)->next : parent.firstChild) = node.next;
  parent.childCount--;
  table.remove(node.hash, slot);
  if (node.hasOwner()) unchain(slot);
}

Slot& Tree::chainHead(const Node& node) {
  if (node.kind() != Kind::EPHEMERAL) return reapableHead;
  return ephemeralHeads.try_emplace(node.owned().owner, NONE).first->second;
}

void Tree::chain(Slot slot) {
  auto& owned = node(slot).owned();
  auto& head = chainHead(node(slot));
  owned.previous = NONE;
  owned.next = head;
  if (head != NONE) node(head).owned().previous = slot;
  head = slot;
  if (node(slot).kind() == Kind::EPHEMERAL) ephemeralTotal++;
}

void Tree::unchain(Slot slot) {
  auto& owned = node(slot).owned();
  auto& head = chainHead(node(slot));
  if (owned.next != NONE) node(owned.next).owned().previous = owned.previous;
  (owned.previous != NONE ? node(owned.previous).owned().next : head) = owned.next;
  if (node(slot).kind() != Kind::EPHEMERAL) return;
  ephemeralTotal--;
  if (head == NONE) ephemeralHeads.erase(owned.owner);
}

void Tree::setParent(Slot parent, std::int32_t creates, std::uint64_t pzxid) {
  auto& node = *slots.at(parent);
  sum -= statHash(node);
  node.creates = creates;
  node.pzxid = pzxid;
  sum += statHash(node);
}

Slot Tree::create(Slot parent, std::string_view name, std::size_t pathBytes, const Birth& birth,
                  Moment now) {
  changing(parent);
  auto* block = makeBlock(name, birth);
  block->parent = parent;
  block->hash = childHash(at(parent).hash, name);
  block->czxid = block->mzxid = block->pzxid = now.index;
  block->ctimeMs = block->mtimeMs = now.timeMs;
  auto slot = slots.take(block);
  if (frozen && frozen->wants(slot)) frozen->kept.emplace(slot, std::string());
  if (journaling) {
    Undo step{Undo::CREATED, slot};
    step.pathBytes = pathBytes;
    step.number = at(parent).creates;
    step.zxid = at(parent).pzxid;
    journal.push_back(std::move(step));
  }
  link(slot);
  setParent(parent, successor(at(parent).creates), now.index);
  sum += statHash(*block) + dataHash(*block);
  bytesTotal += pathBytes + block->dataBytes();
  return slot;
}

void Tree::remove(Slot slot, std::size_t pathBytes, Moment now) {
  auto* block = slots.at(slot);
  auto parent = block->parent;
  KJ_ASSERT(block->childCount == 0 && parent != NONE, "a node with children was to be removed");
  changing(slot);
  changing(parent);
  sum -= statHash(*block) + dataHash(*block);
  bytesTotal -= pathBytes + block->dataBytes();
  unlink(slot);
  slots.give(slot);
  if (journaling) {
    Undo step{Undo::REMOVED, slot, block};
    step.pathBytes = pathBytes;
    step.number = at(parent).creates;
    step.zxid = at(parent).pzxid;
    journal.push_back(std::move(step));
  } else {
    acls.release(block->acl);
    std::free(block);
  }
  setParent(parent, at(parent).creates, now.index);
}

void Tree::putData(Slot slot, Value value) {
  auto* block = slots.at(slot);
  bytesTotal += value.bytes.size() - block->dataBytes();
  if (value.bytes.size() != block->dataBytes()) {
    block = allocate(Node::blockBytes(block->kind(), block->nameSize(), value.bytes.size()), block);
    slots.at(slot) = block;
  }
  block->dataSize = value.present ? value.bytes.size() : NULL_DATA;
  if (!value.bytes.empty()) {
    memcpy(block->text() + block->nameSize(), value.bytes.data(), value.bytes.size());
  }
}

void Tree::replaceData(Slot slot, Value value) {
  changing(slot);
  auto& old = node(slot);
  if (journaling) {
    Undo step{Undo::DATA, slot};
    step.zxid = old.mzxid;
    step.timeMs = old.mtimeMs;
    step.number = old.version;
    step.present = old.hasData();
    step.bytes = old.data();
    journal.push_back(std::move(step));
  }
  sum -= dataHash(old);
  putData(slot, value);
  sum += dataHash(node(slot));
}

void Tree::setData(Slot slot, Value value, Moment now) {
  replaceData(slot, value);
  auto& changed = node(slot);
  sum -= statHash(changed);
  changed.version = successor(changed.version);
  changed.mzxid = now.index;
  changed.mtimeMs = now.timeMs;
  sum += statHash(changed);
}

void Tree::setAcl(Slot slot, AclId acl) {
  changing(slot);
  auto& changed = node(slot);
  if (journaling) {
    Undo step{Undo::ACL, slot};
    step.acl = changed.acl;
    step.number = changed.aversion;
    journal.push_back(std::move(step));
  }
  sum -= statHash(changed);
  if (!journaling) acls.release(changed.acl);
  changed.acl = acl;
  changed.aversion = successor(changed.aversion);
  sum += statHash(changed);
}

void Tree::stampConfig(Slot slot, Moment now) {
  changing(slot);
  auto& config = node(slot);
  sum -= statHash(config);
  config.version = -1;  // as ZooKeeper leaves it (B2)
  config.mzxid = now.index;
  config.mtimeMs = now.timeMs;
  sum += statHash(config);
}

}  // namespace polyquorum::state
