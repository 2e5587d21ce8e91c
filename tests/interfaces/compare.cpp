// SPDX-License-Identifier: Apache-2.0
// Types and layouts are left to capnp::SchemaLoader; what it lets pass (removed, exchanged and
// renamed parts) is compared here.
#include "tests/interfaces/compare.h"
#include <capnp/schema-loader.h>
#include <kj/debug.h>
#include <map>

namespace polyquorum::frozen {
namespace {

using Node = capnp::schema::Node;
using Field = capnp::schema::Field;

class Comparison {
 public:
  explicit Comparison(std::vector<std::string>& reasons) : reasons(reasons) {}

  void compare(Node::Reader old, Node::Reader now) {
    where = old.getDisplayName().cStr();
    if (old.which() != now.which()) return say("is another kind of thing");
    if (old.getDisplayName() != now.getDisplayName() && !isParameter(old)) {
      say("is now called " + std::string(now.getDisplayName().cStr()));
    }
    if (old.isStruct()) fields(old.getStruct(), now.getStruct());
    if (old.isEnum()) enumerants(old.getEnum(), now.getEnum());
    if (old.isInterface()) methods(old.getInterface(), now.getInterface());
  }

 private:
  std::vector<std::string>& reasons;
  std::string where;

  void say(const std::string& what) { reasons.push_back(where + " " + what); }

  /// The implicit struct of a method's parameters or results; its name follows the method's.
  static bool isParameter(Node::Reader node) { return node.isStruct() && node.getScopeId() == 0; }

  template <typename List>
  void sameNames(const char* what, List old, List now) {
    for (unsigned i = 0; i < old.size(); i++) {
      std::string name = old[i].getName().cStr();
      if (i >= now.size()) {
        say(what + (" " + name) + " was removed");
      } else if (old[i].getName() != now[i].getName()) {
        say(what + (" " + name) + " is now " + now[i].getName().cStr());
      }
    }
  }

  void enumerants(Node::Enum::Reader old, Node::Enum::Reader now) {
    sameNames("enumerant", old.getEnumerants(), now.getEnumerants());
  }

  void methods(Node::Interface::Reader old, Node::Interface::Reader now) {
    sameNames("method", old.getMethods(), now.getMethods());
    auto size = std::min(old.getMethods().size(), now.getMethods().size());
    for (unsigned i = 0; i < size; i++) {
      auto was = old.getMethods()[i], is = now.getMethods()[i];
      if (was.getParamStructType() != is.getParamStructType() ||
          was.getResultStructType() != is.getResultStructType()) {
        say("method " + std::string(was.getName().cStr()) + " takes or gives another struct");
      }
    }
    for (auto base : old.getSuperclasses()) {
      bool found = false;
      for (auto other : now.getSuperclasses()) found |= other.getId() == base.getId();
      if (!found) say("no longer extends one of its bases");
    }
  }

  /// By name: a field keeps its ordinal, place, union tag and type.
  void fields(Node::Struct::Reader old, Node::Struct::Reader now) {
    std::map<std::string, Field::Reader> found;
    for (auto field : now.getFields()) found[field.getName().cStr()] = field;
    for (auto was : old.getFields()) {
      std::string name = was.getName().cStr();
      auto is = found.find(name);
      if (is == found.end()) {
        say("field " + name + " was removed or renamed");
      } else if (moved(was, is->second)) {
        say("field " + name + " moved");
      }
    }
  }

  static bool moved(Field::Reader was, Field::Reader is) {
    if (was.which() != is.which() || was.getDiscriminantValue() != is.getDiscriminantValue()) {
      return true;
    }
    if (was.isGroup()) return was.getGroup().getTypeId() != is.getGroup().getTypeId();
    return was.getSlot().getOffset() != is.getSlot().getOffset() ||
           was.getOrdinal().getExplicit() != is.getOrdinal().getExplicit();
  }
};

}  // namespace

std::vector<std::string> incompatibilities(Request old, Request now) {
  std::vector<std::string> reasons;
  capnp::SchemaLoader loader;
  std::map<std::uint64_t, Node::Reader> present;
  for (auto node : now.getNodes()) present[node.getId()] = node;
  for (auto node : old.getNodes()) {
    KJ_IF_MAYBE (fault, kj::runCatchingExceptions([&]() { loader.load(node); })) {
      reasons.push_back(std::string("the frozen copy is damaged: ") +
                        fault->getDescription().cStr());
    }
  }
  Comparison comparison(reasons);
  for (auto node : old.getNodes()) {
    auto found = present.find(node.getId());
    if (found == present.end()) {
      reasons.push_back(std::string(node.getDisplayName().cStr()) +
                        " was removed, or has another id");
      continue;
    }
    auto next = found->second;
    KJ_IF_MAYBE (fault, kj::runCatchingExceptions([&]() { loader.load(next); })) {
      reasons.push_back(std::string(node.getDisplayName().cStr()) + " " +
                        fault->getDescription().cStr());
    }
    comparison.compare(node, next);
  }
  return reasons;
}

}  // namespace polyquorum::frozen
