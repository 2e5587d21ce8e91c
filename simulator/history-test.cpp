// SPDX-License-Identifier: Apache-2.0
// Checkers that cannot fail prove nothing: each is shown a history that breaks its promise.
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <catch2/catch.hpp>
#include "simulator/history.h"

using namespace polyquorum;
using namespace polyquorum::simulator;

namespace {

/// Two servers that apply what the test says.
struct Bench {
  Story story;
  History history{story};
  std::unique_ptr<kernel::Witness> first = history.witness(1), second = history.witness(2);
  std::unique_ptr<state::State> one = state::State::create(), two = state::State::create();

  using Fill = std::function<void(Operation::Builder)>;

  kj::Own<capnp::MallocMessageBuilder> body(std::uint64_t session, std::uint64_t incarnation,
                                            std::uint64_t sequence, const Fill& fill) {
    capnp::MallocMessageBuilder message;
    fill(message.initRoot<Operation>());
    auto words = capnp::messageToFlatArray(message);
    auto out = kj::heap<capnp::MallocMessageBuilder>();
    auto root = out->initRoot<Body>();
    root.setSession(session);
    root.setIncarnation(incarnation);
    root.setSequence(sequence);
    root.setOperation(words.asBytes());
    return out;
  }
  void apply(kernel::Witness& eye, state::State& state, capnp::MallocMessageBuilder& message) {
    auto text = message.getRoot<Body>().asReader();
    auto index = state.index() + 1;
    auto& applied = state.apply(index, text);
    eye.applied(index, text, applied, state);
  }
  static void create(Operation::Builder operation, const char* path) {
    auto create = operation.initCreate();
    create.setPath(path);
    auto acl = create.initAcl(1);
    acl[0].setBits(31);
    acl[0].initWho().setScheme("world");
    acl[0].getWho().setId("anyone");
  }
  std::string broken() const { return story.violation() ? story.violation()->checker : ""; }
};

}  // namespace

TEST_CASE("two servers that apply the same entries are fine") {
  Bench bench;
  auto entry = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/a"); });
  bench.apply(*bench.first, *bench.one, *entry);
  bench.apply(*bench.second, *bench.two, *entry);
  CHECK(bench.broken() == "");
}

TEST_CASE("agreement fires when two servers hold different entries at one index") {
  Bench bench;
  auto entry = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/a"); });
  auto other = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/b"); });
  bench.apply(*bench.first, *bench.one, *entry);
  bench.apply(*bench.second, *bench.two, *other);
  CHECK(bench.broken() == "agreement");
}

TEST_CASE("agreement fires when a server skips an entry") {
  Bench bench;
  auto entry = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/a"); });
  bench.one->apply(1);
  bench.apply(*bench.first, *bench.one, *entry);
  CHECK(bench.broken() == "agreement");
}

TEST_CASE("state-digest fires when equal entries led to different states") {
  Bench bench;
  auto entry = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/a"); });
  bench.apply(*bench.first, *bench.one, *entry);
  auto& applied = bench.one->apply(2);
  bench.first->applied(2, nullptr, applied, *bench.one);

  auto strange = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/strange"); });
  bench.two->apply(1, strange->getRoot<Body>().asReader());
  auto& theirs = bench.two->apply(2);
  bench.second->applied(2, nullptr, theirs, *bench.two);
  CHECK(bench.broken() == "state-digest");
}

TEST_CASE("state-digest fires when an image is not the state of its index") {
  Bench bench;
  auto entry = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/a"); });
  auto other = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/b"); });
  bench.apply(*bench.first, *bench.one, *entry);
  bench.two->apply(1, other->getRoot<Body>().asReader());
  bench.second->installed(*bench.two);
  CHECK(bench.broken() == "state-digest");
}

TEST_CASE("one-leader fires when two servers lead under one fence") {
  Bench bench;
  core::Standing standing;
  standing.phase = core::Standing::LEADING;
  standing.fence = 3;
  bench.first->standing(0, standing);
  bench.second->standing(1, standing);
  CHECK(bench.broken() == "");
  bench.second->standing(0, standing);
  CHECK(bench.broken() == "one-leader");
}

TEST_CASE(
    "session-order fires when a command takes place out of its turn, exactly-once when twice") {
  Bench bench;
  auto entry = bench.body(77, 1, 5, [](auto operation) { Bench::create(operation, "/a"); });
  state::Applied took;  // as if the tree had let it pass
  took.outcome.path = "/a";
  auto text = entry->getRoot<Body>().asReader();
  bench.one->apply(1);
  bench.first->applied(1, text, took, *bench.one);
  CHECK(bench.broken() == "session-order");
}

TEST_CASE("model fires when an outcome is not what the operation must give") {
  Bench bench;
  auto entry = bench.body(0, 0, 1, [](auto operation) { Bench::create(operation, "/no/parent"); });
  state::Applied lie;
  lie.outcome.path = "/no/parent";
  bench.one->apply(1);
  bench.first->applied(1, entry->getRoot<Body>().asReader(), lie, *bench.one);
  CHECK(bench.broken() == "model");
}

TEST_CASE(
    "exactly-once fires when a command takes place of which the client was told that it never "
    "would") {
  Bench bench;
  bench.history.never({0x100000000000001, 1, 1});
  auto attach = bench.body(0, 0, 1, [](auto operation) { operation.initAttach().setHome(1); });
  bench.apply(*bench.first, *bench.one, *attach);
  auto entry =
      bench.body(0x100000000000001, 1, 1, [](auto operation) { Bench::create(operation, "/a"); });
  bench.apply(*bench.first, *bench.one, *entry);
  CHECK(bench.broken() == "exactly-once");
}
