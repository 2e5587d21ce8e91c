// SPDX-License-Identifier: Apache-2.0
// A plugin's description: what it says, and the schemas it was compiled with.
#include "sdk/plugin.h"
#include <capnp/message.h>
#include <capnp/schema-loader.h>
#include <catch2/catch.hpp>
#include <set>

namespace polyquorum::sdk {
namespace {

void describeProbe(plugin::Description::Builder out, capnp::InterfaceSchema kind) {
  describe(out, "probe", kind, {{"wait", "1s", "1ms .. 60s", "How long to wait."}},
           {{4, "accept", {"ballot", "chosen"}}});
}

TEST_CASE("plugin: a description says name, kind, options and letters") {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<plugin::Description>();
  describeProbe(out, capnp::Schema::from<election::Election>());

  CHECK(out.getName() == "probe");
  CHECK(out.getKind() == capnp::typeId<election::Election>());
  CHECK(out.getVersion() == POLYQUORUM_VERSION);
  CHECK((out.getMajor() == INTERFACE_MAJOR && out.getMinor() == INTERFACE_MINOR));
  REQUIRE(out.getOptions().size() == 1);
  CHECK(out.getOptions()[0].getName() == "wait");
  CHECK(out.getOptions()[0].getInitial() == "1s");
  CHECK(out.getOptions()[0].getAccepted() == "1ms .. 60s");
  CHECK(out.getOptions()[0].getMeaning() == "How long to wait.");
  CHECK(out.getLetters()[0].getKind() == 4);
  CHECK(out.getLetters()[0].getName() == "accept");
  CHECK(out.getLetters()[0].getNumbers()[1] == "chosen");
}

/// Every schema of kind's description, loaded by a loader that knows nothing else.
template <typename Kind>
void checkSchemas() {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<plugin::Description>();
  describeProbe(out, capnp::Schema::from<Kind>());
  capnp::SchemaLoader loader;
  std::set<std::uint64_t> ids;
  for (auto node : out.getSchemas()) {
    CHECK(ids.insert(node.getId()).second);
    loader.load(node.asReader());
  }

  auto kind = loader.get(capnp::typeId<Kind>()).asInterface();
  CHECK(kind.getMethods().size() > 0);
  for (auto method : kind.getMethods()) {
    CHECK(ids.count(method.getParamType().getProto().getId()) == 1);
    CHECK(ids.count(method.getResultType().getProto().getId()) == 1);
  }
}

TEST_CASE("plugin: a description carries each schema of its kind once, and loads alone") {
  checkSchemas<election::Election>();
  checkSchemas<consensus::Consensus>();
  checkSchemas<storage::Storage>();
  checkSchemas<transport::Transport>();
}

TEST_CASE("plugin: the schemas reach what the methods only mention") {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<plugin::Description>();
  describeProbe(out, capnp::Schema::from<consensus::Consensus>());
  std::set<std::uint64_t> ids;
  for (auto node : out.getSchemas()) ids.insert(node.getId());

  CHECK(ids.count(capnp::typeId<consensus::Head>()) == 1);
  CHECK(ids.count(capnp::typeId<polyquorum::Position>()) == 1);
  CHECK(ids.count(capnp::typeId<election::Feedback::What>()) == 1);
}

}  // namespace
}  // namespace polyquorum::sdk
