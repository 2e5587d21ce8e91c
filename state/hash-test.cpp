// SPDX-License-Identifier: Apache-2.0
// The digest notices what it is there for (the simulator's checkers found that it did not).
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <catch2/catch.hpp>
#include <set>
#include "state/path.h"
#include "state/sessions.h"
#include "state/state.h"

using namespace polyquorum;
using namespace polyquorum::state;

TEST_CASE("short names below the root lead to different hashes and digests") {
  std::set<std::uint64_t> hashes, digests;
  std::size_t count = 0;
  for (std::string name : {"a", "b", "c", "ab", "ba", "abc", "abd", "abcd", "abce", "abcdefg", "abcdefh"}) {
    count++;
    hashes.insert(childHash(ROOT_HASH, name));
    capnp::MallocMessageBuilder message;
    auto create = message.initRoot<Operation>().initCreate();
    create.setPath("/" + name);
    auto acl = create.initAcl(1);
    acl[0].setBits(31);
    acl[0].initWho().setScheme("world");
    acl[0].getWho().setId("anyone");
    auto words = capnp::messageToFlatArray(message);
    capnp::MallocMessageBuilder body;
    body.initRoot<Body>().setOperation(words.asBytes());
    auto tree = State::create();
    REQUIRE(tree->apply(1, body.getRoot<Body>().asReader()).outcome.error == Error::OK);
    digests.insert(tree->digest());
  }
  CHECK(hashes.size() == count);
  CHECK(digests.size() == count);
}

TEST_CASE("sessions that differ in their id only have different hashes") {
  Session one, two;
  one.id = 1;
  two.id = 2;
  CHECK(one.coreHash() != two.coreHash());
}
