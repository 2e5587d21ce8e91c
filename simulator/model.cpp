// SPDX-License-Identifier: Apache-2.0
// The simulator's own idea of the tree; see model.h.
#include "simulator/model.h"
#include <algorithm>
#include <cstdio>
#include <cstring>

namespace polyquorum::simulator {
namespace {

using polyquorum::Error;
using polyquorum::Operation;

std::string parentOf(const std::string& path) {
  auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::uint64_t number(capnp::Data::Reader data) {
  std::uint64_t out = 0;
  if (data.size() > 0) {
    memcpy(&out, data.begin(), std::min<std::size_t>(data.size(), sizeof(out)));
  }
  return out;
}

Expected refusal(Error error) { return {error, "", {}}; }

}  // namespace

Model::Model() {
  Record root;
  root.now.exists = true;
  root.moments.push_back(root.now);
  records["/"] = root;
}

Moment* Model::find(const std::string& path) {
  auto found = records.find(path);
  return found == records.end() || !found->second.now.exists ? nullptr : &found->second.now;
}

/// The node's present, to be changed by the entry that runs now.
Moment& Model::change(const std::string& path) {
  auto& record = records[path];
  undo.emplace_back(path, record.now);
  return record.now;
}

bool Model::hasChildren(const std::string& path) const {
  auto prefix = path + "/";
  for (auto at = records.lower_bound(prefix); at != records.end(); ++at) {
    if (at->first.compare(0, prefix.size(), prefix) != 0) return false;
    if (at->second.now.exists) return true;
  }
  return false;
}

Expected Model::run(core::Index index, std::uint64_t session, Operation::Reader operation) {
  told.clear();
  undo.clear();
  Expected result;
  if (operation.isMulti()) {
    for (auto part : operation.getMulti()) {
      result = single(index, session, part);
      if (result.error != Error::OK) break;
    }
    result.path.clear();
    result.version.reset();
  } else {
    result = single(index, session, operation);
  }
  if (result.error == Error::OK) {
    commit(index);
  } else {
    for (auto at = undo.rbegin(); at != undo.rend(); ++at) records[at->first].now = at->second;
  }
  return result;
}

void Model::commit(core::Index index) {
  for (auto& [path, before] : undo) {
    auto& record = records[path];
    record.now.index = index;
    if (!record.moments.empty() && record.moments.back().index == index) record.moments.pop_back();
    record.moments.push_back(record.now);
  }
  for (auto& [path, what] : told) records[path].changes.emplace_back(index, what);
}

Expected Model::single(core::Index index, std::uint64_t session, Operation::Reader operation) {
  switch (operation.which()) {
    case Operation::CREATE:
      return create(index, session, operation.getCreate());
    case Operation::DELETE:
      return remove(index, operation.getDelete());
    case Operation::SET_DATA:
      return set(index, operation.getSetData());
    case Operation::CHECK:
      return check(operation.getCheck());
    default:
      return refusal(Error::UNIMPLEMENTED);
  }
}

Expected Model::create(core::Index index, std::uint64_t session,
                       polyquorum::Create::Reader create) {
  std::string path = create.getPath().cStr();
  auto parentPath = parentOf(path);
  auto* parent = find(parentPath);
  if (parent == nullptr) return refusal(Error::NO_NODE);
  if (create.getSequential()) {
    char digits[16];
    snprintf(digits, sizeof(digits), "%010d", parent->creates);
    path += digits;
  }
  if (find(path) != nullptr) return refusal(Error::NODE_EXISTS);
  if (parent->owner != 0) return refusal(Error::NO_CHILDREN_FOR_EPHEMERALS);
  bool ephemeral = create.getMode() == polyquorum::Create::Mode::EPHEMERAL;
  auto& node = change(path);
  node = Moment();
  node.exists = true;
  node.czxid = node.mzxid = index;
  node.data = number(create.getData());
  if (ephemeral) {
    node.owner = session;
    ephemerals[session].push_back(path);
  }
  change(parentPath).creates++;
  told.emplace_back(path, What::CREATED);
  told.emplace_back(parentPath, What::CHILDREN_CHANGED);
  return {Error::OK, path, 0};
}

void Model::erase(core::Index index, const std::string& path) {
  change(path) = Moment();
  auto parent = parentOf(path);
  told.emplace_back(path, What::DELETED);
  told.emplace_back(parent, What::CHILDREN_CHANGED);
}

Expected Model::check(polyquorum::Guard::Reader guard) {
  auto* node = find(guard.getPath().cStr());
  if (node == nullptr) return refusal(Error::NO_NODE);
  bool fits = guard.getVersion() == -1 || guard.getVersion() == node->version;
  return refusal(fits ? Error::OK : Error::BAD_VERSION);
}

Expected Model::remove(core::Index index, polyquorum::Guard::Reader guard) {
  auto checked = check(guard);
  if (checked.error != Error::OK) return checked;
  std::string path = guard.getPath().cStr();
  if (hasChildren(path)) return refusal(Error::NOT_EMPTY);
  erase(index, path);
  return {};
}

Expected Model::set(core::Index index, polyquorum::SetData::Reader set) {
  auto checked = check(set.getGuard());
  if (checked.error != Error::OK) return checked;
  std::string path = set.getGuard().getPath().cStr();
  auto& node = change(path);
  node.version++;
  node.mzxid = index;
  node.data = number(set.getData());
  told.emplace_back(path, What::DATA_CHANGED);
  return {Error::OK, "", node.version};
}

void Model::endSession(core::Index index, std::uint64_t session) {
  told.clear();
  undo.clear();
  auto mine = ephemerals[session];
  ephemerals.erase(session);
  std::sort(mine.begin(), mine.end());
  mine.erase(std::unique(mine.begin(), mine.end()), mine.end());
  for (auto& path : mine) {
    auto* node = find(path);
    if (node != nullptr && node->owner == session) erase(index, path);
  }
  commit(index);
}

Moment Model::at(const std::string& path, core::Index index) const {
  auto found = records.find(path);
  if (found == records.end()) return {};
  auto& moments = found->second.moments;
  auto after =
      std::upper_bound(moments.begin(), moments.end(), index,
                       [](core::Index at, const Moment& moment) { return at < moment.index; });
  return after == moments.begin() ? Moment() : *std::prev(after);
}

std::vector<std::string> Model::children(const std::string& path, core::Index index) const {
  std::vector<std::string> out;
  auto prefix = path == "/" ? path : path + "/";
  for (auto it = records.lower_bound(prefix); it != records.end(); ++it) {
    if (it->first.compare(0, prefix.size(), prefix) != 0) break;
    auto name = it->first.substr(prefix.size());
    if (name.empty() || name.find('/') != name.npos) continue;
    if (at(it->first, index).exists) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<std::pair<core::Index, What>> Model::firstChange(const std::string& path, bool data,
                                                               bool children, core::Index since,
                                                               core::Index until) const {
  auto found = records.find(path);
  if (found == records.end()) return std::nullopt;
  auto& changes = found->second.changes;
  auto at =
      std::upper_bound(changes.begin(), changes.end(), since,
                       [](core::Index index, const auto& change) { return index < change.first; });
  for (; at != changes.end() && at->first <= until; ++at) {
    bool hears =
        at->second == What::DELETED || (at->second == What::CHILDREN_CHANGED ? children : data);
    if (hears) return *at;
  }
  return std::nullopt;
}

}  // namespace polyquorum::simulator
