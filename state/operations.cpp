// SPDX-License-Identifier: Apache-2.0
// What one operation may do and does, in ZooKeeper's order of checks (PrepRequestProcessor,
// pRequest2Txn). Reads all of its message before it changes anything.
#include "state/machine.h"

namespace polyquorum::state {

using polyquorum::Operation;
using What = polyquorum::Change::What;

namespace {

/// Source: EphemeralType.TTL: the length has 40 bits.
constexpr std::uint64_t TTL_MS_MAX = (1ull << 40) - 1;

bool isSpecial(std::string_view path) {
  return path == "/" || path == "/zookeeper" || path == QUOTA_ROOT || path == "/zookeeper/config";
}

/// Before the last slash: "" is the root.
std::string_view parentOf(std::string_view path) { return path.substr(0, path.rfind('/')); }

/// Source: validatePathForCreate, getParentPathAndValidate.
bool hasParent(std::string_view path) {
  return path.find('/') != path.npos && path.find('\0') == path.npos;
}

std::optional<Kind> kindOf(polyquorum::Create::Reader create, std::uint64_t session) {
  auto ttlMs = create.getTtlMs();
  if (create.getMode() != polyquorum::Create::Mode::TTL && ttlMs != 0) return std::nullopt;
  switch (create.getMode()) {
    case polyquorum::Create::Mode::PERSISTENT: return Kind::PERSISTENT;
    case polyquorum::Create::Mode::EPHEMERAL:
      return session != 0 ? std::optional(Kind::EPHEMERAL) : std::nullopt;
    case polyquorum::Create::Mode::CONTAINER: return Kind::CONTAINER;
    case polyquorum::Create::Mode::TTL:
      return ttlMs >= 1 && ttlMs <= TTL_MS_MAX ? std::optional(Kind::TTL) : std::nullopt;
  }
  return std::nullopt;
}

/// version is data's or the ACL's.
bool guards(polyquorum::Guard::Reader guard, std::int32_t version, std::uint64_t czxid) {
  return (guard.getVersion() == -1 || guard.getVersion() == version) &&
         (guard.getCzxid() == 0 || guard.getCzxid() == czxid);
}

}  // namespace

Error Machine::single(Operation::Reader operation, Request& request, Outcome& outcome) {
  switch (operation.which()) {
    case Operation::CREATE: return create(operation.getCreate(), request, outcome);
    case Operation::DELETE: return remove(operation.getDelete(), request);
    case Operation::SET_DATA: return setData(operation.getSetData(), request, outcome);
    case Operation::SET_ACL: return setAcl(operation.getSetAcl(), request, outcome);
    case Operation::CHECK: return check(operation.getCheck(), request);
    default: return Error::BAD_ARGUMENTS;
  }
}

Error Machine::create(polyquorum::Create::Reader create, Request& request, Outcome& outcome) {
  auto kind = kindOf(create, request.session);
  std::string path(view(create.getPath()));
  if (!kind || !hasParent(path)) return Error::BAD_ARGUMENTS;
  auto acl = fixAcl(create.getAcl(), request.asker);
  if (!acl) return Error::INVALID_ACL;
  auto parent = tree.find(parentOf(path));
  if (parent == NONE) return Error::NO_NODE;
  if (!acls.permitted(tree.at(parent).acl, CREATE, request.asker)) return Error::NO_AUTH;
  if (create.getSequential()) appendSequence(path, tree.at(parent).creates);
  // After the parent was looked up, so that a bad path below no node is noNode (A7.1).
  if (!validPath(path)) return Error::BAD_ARGUMENTS;
  auto name = std::string_view(path).substr(path.rfind('/') + 1);
  if (name.size() > NAME_BYTES_MAX) return Error::BAD_ARGUMENTS;
  if (name.empty() || tree.child(parent, name) != NONE) return Error::NODE_EXISTS;
  if (tree.at(parent).kind() == Kind::EPHEMERAL) return Error::NO_CHILDREN_FOR_EPHEMERALS;

  Birth birth;
  birth.kind = *kind;
  birth.value = {view(create.getData()), create.getHasData()};
  if (!birth.value.present) birth.value.bytes = {};
  if (*kind == Kind::EPHEMERAL) birth.owner = request.session;
  if (*kind == Kind::TTL) birth.owner = create.getTtlMs();
  std::int64_t bytes = birth.value.bytes.size();
  if (request.enforceQuota) {
    auto error = quotaAllows(path, bytes, 1);
    if (error != Error::OK) return error;
  }

  birth.acl = acls.intern(std::move(*acl));
  auto slot = tree.create(parent, name, path.size(), birth, now);
  quotaCreated(path);
  quotaCount(path, bytes, 1);
  note(path, What::CREATED, birth.acl);
  noteParent(path, parent);
  outcome.stat = tree.stat(slot);
  outcome.path = std::move(path);
  return Error::OK;
}

Error Machine::remove(polyquorum::Guard::Reader guard, Request& request) {
  auto path = view(guard.getPath());
  if (!hasParent(path) || isSpecial(path)) return Error::BAD_ARGUMENTS;
  auto parent = tree.find(parentOf(path));
  if (parent == NONE) return Error::NO_NODE;
  if (!acls.permitted(tree.at(parent).acl, DELETE, request.asker)) return Error::NO_AUTH;
  auto slot = tree.find(path);
  if (slot == NONE) return Error::NO_NODE;
  auto& node = tree.at(slot);
  if (!guards(guard, node.version, node.czxid)) return Error::BAD_VERSION;
  if (node.childCount > 0) return Error::NOT_EMPTY;
  removeNode(slot, path);
  return Error::OK;
}

/// Everything is checked. path must not point into the node.
void Machine::removeNode(Slot slot, std::string_view path) {
  auto& node = tree.at(slot);
  auto parent = node.parent;
  std::int64_t bytes = node.dataBytes();
  note(path, What::DELETED, node.acl);
  tree.remove(slot, path.size(), now);
  quotaRemoved(path);
  quotaCount(path, -bytes, -1);
  noteParent(path, parent);
}

Error Machine::setData(polyquorum::SetData::Reader set, Request& request, Outcome& outcome) {
  auto guard = set.getGuard();
  auto path = view(guard.getPath());
  Value value{view(set.getData()), set.getHasData()};
  if (!value.present) value.bytes = {};
  auto slot = tree.find(path);
  // A path that leads to a node is valid, but for the root's second name.
  if (slot == NONE || path.empty()) return validPath(path) ? Error::NO_NODE : Error::BAD_ARGUMENTS;
  auto& node = tree.at(slot);
  if (!acls.permitted(node.acl, WRITE, request.asker)) return Error::NO_AUTH;
  std::int64_t growth = static_cast<std::int64_t>(value.bytes.size()) - node.dataBytes();
  if (request.enforceQuota) {
    auto error = quotaAllows(path, growth, 0);
    if (error != Error::OK) return error;
  }
  if (!guards(guard, node.version, node.czxid)) return Error::BAD_VERSION;

  tree.setData(slot, value, now);
  quotaCount(path, growth, 0);
  note(path, What::DATA_CHANGED, tree.at(slot).acl);
  outcome.stat = tree.stat(slot);
  return Error::OK;
}

Error Machine::setAcl(polyquorum::SetAcl::Reader set, Request& request, Outcome& outcome) {
  auto guard = set.getGuard();
  auto path = view(guard.getPath());
  if (!validPath(path)) return Error::BAD_ARGUMENTS;
  auto acl = fixAcl(set.getAcl(), request.asker);
  if (!acl) return Error::INVALID_ACL;
  auto slot = tree.find(path);
  if (slot == NONE) return Error::NO_NODE;
  auto& node = tree.at(slot);
  if (!acls.permitted(node.acl, ADMIN, request.asker)) return Error::NO_AUTH;
  if (!guards(guard, node.aversion, node.czxid)) return Error::BAD_VERSION;
  tree.setAcl(slot, acls.intern(std::move(*acl)));
  outcome.stat = tree.stat(slot);
  return Error::OK;
}

Error Machine::check(polyquorum::Guard::Reader guard, Request& request) {
  auto path = view(guard.getPath());
  if (!validPath(path)) return Error::BAD_ARGUMENTS;
  auto slot = tree.find(path);
  if (slot == NONE) return Error::NO_NODE;
  auto& node = tree.at(slot);
  if (!acls.permitted(node.acl, READ, request.asker)) return Error::NO_AUTH;
  return guards(guard, node.version, node.czxid) ? Error::OK : Error::BAD_VERSION;
}

void Machine::note(std::string_view path, What what, AclId acl) {
  applied.changes.push_back({std::string(path), what, acls.at(acl)});
}

void Machine::noteParent(std::string_view childPath, Slot parent) {
  auto path = parentOf(childPath);
  note(path.empty() ? "/" : path, What::CHILDREN_CHANGED, tree.at(parent).acl);
}

}  // namespace polyquorum::state
