// SPDX-License-Identifier: Apache-2.0
// Self-description of plugins: options, letters and the schemas they were compiled with.
#include "sdk/plugin.h"
#include <capnp/any.h>
#include <set>
#include <vector>

namespace polyquorum::sdk {
namespace {

/// The compiled-in nodes of kind and of everything it mentions, each once.
std::vector<capnp::schema::Node::Reader> schemasOf(capnp::Schema root) {
  std::vector<capnp::schema::Node::Reader> nodes;
  std::set<std::uint64_t> seen;
  std::vector<capnp::Schema> open{root};
  auto visitType = [&](capnp::Type type) {
    while (type.isList()) type = type.asList().getElementType();
    if (type.isStruct()) open.push_back(type.asStruct());
    if (type.isEnum()) open.push_back(type.asEnum());
    if (type.isInterface()) open.push_back(type.asInterface());
  };
  auto visitStruct = [&](capnp::StructSchema schema) {
    for (auto field : schema.getFields()) visitType(field.getType());
  };
  while (!open.empty()) {
    auto schema = open.back();
    open.pop_back();
    auto proto = schema.getProto();
    if (!seen.insert(proto.getId()).second) continue;
    // Cap'n Proto's own schema nodes are the same in every build with this CAPNP_VERSION.
    if (kj::StringPtr(proto.getDisplayName()).startsWith("capnp/")) continue;
    nodes.push_back(proto);
    if (proto.isStruct()) visitStruct(schema.asStruct());
    if (proto.isInterface()) {
      for (auto method : schema.asInterface().getMethods()) {
        open.push_back(method.getParamType());
        open.push_back(method.getResultType());
      }
    }
  }
  return nodes;
}

}  // namespace

void describe(plugin::Description::Builder description, kj::StringPtr name,
              capnp::InterfaceSchema kind, std::initializer_list<OptionText> options,
              std::initializer_list<LetterText> letters) {
  description.setName(name);
  description.setVersion(POLYQUORUM_VERSION);
  description.setKind(kind.getProto().getId());
  description.setMajor(INTERFACE_MAJOR);
  description.setMinor(INTERFACE_MINOR);
  auto optionList = description.initOptions(options.size());
  unsigned i = 0;
  for (auto& option : options) {
    auto out = optionList[i++];
    out.setName(option.name);
    out.setInitial(option.initial);
    out.setAccepted(option.accepted);
    out.setMeaning(option.meaning);
  }
  auto letterList = description.initLetters(letters.size());
  i = 0;
  for (auto& letter : letters) {
    auto out = letterList[i++];
    out.setKind(letter.kind);
    out.setName(letter.name);
    auto numbers = out.initNumbers(letter.numbers.size());
    unsigned n = 0;
    for (auto* number : letter.numbers) numbers.set(n++, number);
  }
  auto nodes = schemasOf(kind);
  auto schemas = description.initSchemas(nodes.size());
  for (i = 0; i < nodes.size(); i++) schemas.setWithCaveats(i, nodes[i]);
}

}  // namespace polyquorum::sdk
