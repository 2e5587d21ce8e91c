// SPDX-License-Identifier: Apache-2.0
// Messages that no honest client sends: an outcome, never an exception, and equal on every node.
#include <catch2/catch.hpp>
#include <cstdio>
#include <random>
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;

namespace {

std::string flat(const Fill& fill) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<polyquorum::Operation>());
  auto words = capnp::messageToFlatArray(message);
  auto bytes = words.asBytes();
  return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
}

}  // namespace

TEST_CASE("bytes that are no message are bad arguments") {
  Trial trial;
  auto good = flat(create("/a"));
  for (auto bytes : {std::string(), std::string("x"), std::string(8, '\0'), std::string(8, '\xff'),
                     std::string(1024, '\xff'), good.substr(0, good.size() - 8), good.substr(8),
                     good + "1"}) {
    CHECK(trial.raw({}, bytes).outcome.error == Error::BAD_ARGUMENTS);
    CHECK(trial.state->index() == trial.log.size());
  }
  CHECK(trial.raw({}, good).outcome.error == Error::OK);
}

TEST_CASE("a null operation, an unknown kind and an unknown mode are bad arguments") {
  Trial trial;
  CHECK(trial.error([](auto) {}) == Error::BAD_ARGUMENTS);
  // An older node must answer as a newer schema's operation deserves here: the same everywhere.
  auto bytes = flat(create("/a"));
  for (std::size_t at = 16; at < bytes.size(); at++) {
    auto wrong = bytes;
    wrong[at] = '\x7f';
    trial.raw({}, wrong);
  }
  CHECK(trial.state->index() == trial.log.size());
}

TEST_CASE("a list of a million empty operations costs no million outcomes") {
  Trial trial;
  // A struct list whose elements have no words: eight bytes say how many there are.
  capnp::MallocMessageBuilder message;
  auto operation = message.initRoot<polyquorum::Operation>();
  operation.initMulti(1);
  auto words = capnp::messageToFlatArray(message);
  auto* raw = reinterpret_cast<std::uint64_t*>(words.begin());
  for (std::size_t i = 0; i < words.size(); i++) {
    // The list's tag: one element of the operation's size becomes a million of none.
    if (i > 0 && (raw[i] & 0xffffffff) == 1 << 2) raw[i] = 1000000ull << 2;
  }
  auto bytes = words.asBytes();
  auto& applied = trial.raw({}, {reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
  CHECK(applied.outcome.error == Error::BAD_ARGUMENTS);
  CHECK(applied.outcome.parts.empty());
}

TEST_CASE("50,000 damaged messages: no exception, replicas stay equal") {
  auto seed = std::random_device()();
  printf("hostile seed %u\n", seed);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Trial trial;
  auto second = State::create();
  Client client(trial);
  Born born;
  const std::vector<std::string> honest = {
      flat(create("/a")), flat(create("/a/b", born)), flat(setData("/a", "data")),
      flat(multi({create("/c"), setAclOf("/c", OPEN), erase("/a/b"), check("/a")})),
      flat(multi({create("/d", SEQUENTIAL), create("/e", EPHEMERAL), setData("/d", "x")})),
      flat(erase("/a")), flat(reap({"/a", "/b"})), flat(expire({1, 2, 3})), flat(attach())};
  for (int i = 0; i < 50000; i++) {
    auto bytes = honest[random() % honest.size()];
    for (auto flips = random() % 4; flips > 0; flips--) {
      bytes[random() % bytes.size()] ^= 1 << random() % 8;
    }
    From from;
    if (random() % 2 == 0) {
      auto view = trial.state->session(client.attached.session);
      from = {view ? view->id : 5, view ? view->incarnation : 5,
              view ? view->sequence + 1 : 1, 0};
    }
    REQUIRE_NOTHROW(trial.raw(from, bytes));
    if (!trial.state->session(client.attached.session)) client = Client(trial);
  }
  for (std::size_t entry = 0; entry < trial.log.size(); entry++) trial.replay(*second, entry);
  CHECK(second->digest() == trial.state->digest());
  CHECK(load(image(*trial.state))->digest() == trial.state->digest());
}

TEST_CASE("entries out of order are a broken promise of the driver, not an outcome") {
  Trial trial;
  CHECK_THROWS_AS(trial.state->apply(2), kj::Exception);
  trial.state->apply(1);
  CHECK(trial.state->index() == 1);
}
