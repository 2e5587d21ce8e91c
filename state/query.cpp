// SPDX-License-Identifier: Apache-2.0
// Answers from the applied tree. Nothing here changes anything. Source: FinalRequestProcessor.
#include <kj/exception.h>
#include <algorithm>
#include "state/machine.h"

namespace polyquorum::state {

using polyquorum::Answer;
using polyquorum::Query;

namespace {

void put(const Stat& stat, polyquorum::Stat::Builder out) {
  out.setCzxid(stat.czxid);
  out.setMzxid(stat.mzxid);
  out.setPzxid(stat.pzxid);
  out.setCtimeMs(stat.ctimeMs);
  out.setMtimeMs(stat.mtimeMs);
  out.setVersion(stat.version);
  out.setCversion(stat.cversion);
  out.setAversion(stat.aversion);
  out.setEphemeralOwner(stat.ephemeralOwner);
  out.setDataLength(stat.dataLength);
  out.setNumChildren(stat.numChildren);
}

/// Names and paths are not zero-terminated here, so they are copied and not set.
void putText(capnp::List<capnp::Text>::Builder list, std::size_t at, std::string_view text) {
  auto out = list.init(at, text.size());
  if (!text.empty()) memcpy(out.begin(), text.data(), text.size());
}

void put(const std::vector<Permission>& acl, bool masked,
         capnp::List<polyquorum::Permission>::Builder out) {
  for (std::size_t i = 0; i < acl.size(); i++) {
    out[i].setBits(acl[i].bits);
    auto who = out[i].initWho();
    who.setScheme(acl[i].who.scheme);
    who.setId(masked ? maskedId(acl[i].who) : acl[i].who.id);
  }
}

template <typename Texts>
void putNames(const Texts& texts, Answer::Builder out) {
  auto list = out.initNames(texts.size());
  for (std::size_t i = 0; i < texts.size(); i++) putText(list, i, texts[i]);
}

}  // namespace

void write(const Outcome& outcome, polyquorum::Outcome::Builder out) {
  out.setError(outcome.error);
  if (!outcome.path.empty()) out.setPath(outcome.path);
  if (outcome.stat) put(*outcome.stat, out.initStat());
  if (!outcome.parts.empty()) {
    auto parts = out.initParts(outcome.parts.size());
    for (std::size_t i = 0; i < outcome.parts.size(); i++) write(outcome.parts[i], parts[i]);
  }
  if (outcome.attached) {
    auto attached = out.initAttached();
    attached.setSession(outcome.attached->session);
    attached.setIncarnation(outcome.attached->incarnation);
    attached.setTimeoutMs(outcome.attached->timeoutMs);
    auto& password = outcome.attached->password;
    attached.setPassword({reinterpret_cast<const kj::byte*>(password.data()), password.size()});
    attached.setBefore(outcome.attached->before);
    attached.setSequence(outcome.attached->sequence);
  }
}

void Machine::answer(Query::Reader query, Answer::Builder out) const {
  try {
    Asker asker(query.getIdentities());
    answer(query, asker, out, false);
  } catch (const kj::Exception&) {
    out.setError(Error::BAD_ARGUMENTS);  // the message lies about its pointers
  }
}

void Machine::answer(Query::Reader query, Asker& asker, Answer::Builder out, bool inside) const {
  if (query.isMulti()) {
    if (inside) return out.setError(Error::BAD_ARGUMENTS);
    auto queries = query.getMulti();
    auto parts = out.initParts(queries.size());
    for (unsigned i = 0; i < queries.size(); i++) answer(queries[i], asker, parts[i], true);
    return;
  }
  auto path = view(query.getPath());
  if (query.isEphemerals()) {
    auto paths = ephemerals(query.getEphemerals());
    // A plain prefix of the text, not of components (B1, getEphemerals).
    if (path != "/") std::erase_if(paths, [&](auto& one) { return !one.starts_with(path); });
    return putNames(paths, out);
  }
  auto slot = tree.find(path);
  if (slot == NONE) return out.setError(Error::NO_NODE);
  auto& node = tree.at(slot);
  auto bits = query.isAcl() ? READ | ADMIN : READ;
  if (!acls.permitted(node.acl, bits, asker)) return out.setError(Error::NO_AUTH);

  switch (query.which()) {
    case Query::GET: {
      out.setHasData(node.hasData());
      auto data = node.data();
      if (node.hasData()) {
        out.setData({reinterpret_cast<const kj::byte*>(data.data()), data.size()});
      }
      return put(tree.stat(slot), out.initStat());
    }
    case Query::EXISTS: return put(tree.stat(slot), out.initStat());
    case Query::CHILDREN:
      putNames(names(slot, query.getChildren()), out);
      return put(tree.stat(slot), out.initStat());
    case Query::NAMES: return putNames(names(slot, {}), out);
    case Query::ACL: {
      auto& acl = *acls.at(node.acl);
      put(acl, !acls.permitted(node.acl, ADMIN, asker), out.initAcl(acl.size()));
      return put(tree.stat(slot), out.initStat());
    }
    case Query::COUNT: {
      std::uint64_t count = 0;
      tree.eachBelow(slot, [&](Slot) { count++; });
      return out.setCount(count - 1);
    }
    default: return out.setError(Error::BAD_ARGUMENTS);
  }
}

/// Sorted. They point into the nodes.
std::vector<std::string_view> Machine::names(Slot parent, Query::Page::Reader page) const {
  std::vector<std::string_view> names;
  auto after = view(page.getAfter());
  if (page.getLimit() == 0 && after.empty()) names.reserve(tree.at(parent).childCount);
  tree.eachChild(parent, [&](Slot child) {
    auto name = tree.at(child).name();
    if (name > after) names.push_back(name);
  });
  if (page.getLimit() == 0 || page.getLimit() >= names.size()) {
    std::sort(names.begin(), names.end());
  } else {
    auto end = names.begin() + page.getLimit();
    std::partial_sort(names.begin(), end, names.end());
    names.erase(end, names.end());
  }
  return names;
}

std::optional<State::NodeView> Machine::look(std::string_view path) const {
  auto slot = tree.find(path);
  if (slot == NONE) return std::nullopt;
  auto& node = tree.at(slot);
  return NodeView{node.mzxid, node.pzxid, acls.at(node.acl)};
}

}  // namespace polyquorum::state
