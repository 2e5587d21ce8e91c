// SPDX-License-Identifier: Apache-2.0
// Who may do what: schemes, auth, super, masking, the rights of each query.
#include <catch2/catch.hpp>
#include "state/acl.h"
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;

namespace {

Born with(std::vector<Permission> acl) {
  Born born;
  born.acl = std::move(acl);
  return born;
}

const Identity BOB = {"digest", "bob:hash"};
const Identity EVE = {"digest", "eve:hash"};

}  // namespace

TEST_CASE("digest owners pass, others do not, super always does (checkACL)") {
  Trial trial;
  trial.identities = {BOB};
  trial(create("/bob", with({{31, BOB}})));

  CHECK(trial.error(setData("/bob", "1")) == Error::OK);
  trial.identities = {EVE};
  CHECK(trial.error(setData("/bob", "2")) == Error::NO_AUTH);
  CHECK(trial.error(create("/bob/x")) == Error::NO_AUTH);
  CHECK(trial.get("/bob").get().getError() == Error::NO_AUTH);
  trial.identities = {EVE, {"super", ""}};
  CHECK(trial.error(setData("/bob", "3")) == Error::OK);
  CHECK(trial.get("/bob").get().getError() == Error::OK);
}

TEST_CASE("auth means whoever is authenticated; ip is not (fixupACL)") {
  Trial trial;
  trial.identities = {{"ip", "10.0.0.1"}};
  CHECK(trial.error(create("/a", with({{31, {"auth", ""}}}))) == Error::INVALID_ACL);
  trial.identities = {{"ip", "10.0.0.1"}, BOB, EVE};
  CHECK(trial.error(create("/a", with({{31, {"auth", ""}}}))) == Error::OK);
  auto& acl = *trial.state->look("/a")->acl;
  REQUIRE(acl.size() == 2);
  CHECK(acl[0].who.id == BOB.id);
  CHECK(acl[1].who.id == EVE.id);
}

TEST_CASE("addresses match by network (IPAuthenticationProvider)") {
  Trial trial;
  trial.identities = {{"ip", "10.1.2.3"}};
  trial(create("/net", with({{31, {"ip", "10.1.0.0/16"}}})));
  CHECK(trial.get("/net").get().getError() == Error::OK);
  trial.identities = {{"ip", "10.2.2.3"}};
  CHECK(trial.get("/net").get().getError() == Error::NO_AUTH);
  for (auto wrong : {"10.1.0.0/33", "10.1", "x", "10.1.0.0/"}) {
    CHECK(trial.error(create("/bad", with({{31, {"ip", wrong}}}))) == Error::INVALID_ACL);
  }
}

TEST_CASE("getACL needs READ or ADMIN and masks digests without ADMIN (B8)") {
  Trial trial;
  trial.identities = {BOB};
  trial(create("/a", with({{31, BOB}, {READ, {"world", "anyone"}}})));
  trial(create("/b", with({{31, BOB}, {ADMIN, EVE}})));
  trial(create("/c", with({{31, BOB}})));
  auto acl = [](auto query) { query.setAcl(); };

  CHECK(trial.ask("/a", acl).get().getAcl()[0].getWho().getId() == "bob:hash");
  trial.identities = {EVE};
  auto masked = trial.ask("/a", acl);
  CHECK(masked.get().getAcl()[0].getWho().getId() == "bob:x");
  CHECK(masked.get().getAcl()[1].getWho().getId() == "anyone");
  CHECK(trial.ask("/b", acl).get().getAcl()[0].getWho().getId() == "bob:hash");
  CHECK(trial.ask("/c", acl).get().getError() == Error::NO_AUTH);
}

TEST_CASE("every query but ephemerals needs READ on an existing node (3.9)") {
  Trial trial;
  trial.identities = {BOB};
  trial(create("/a", with({{31, BOB}})));
  trial.identities = {EVE};
  auto error = [&](auto kind) { return trial.ask("/a", kind).get().getError(); };

  CHECK(error([](auto query) { query.setGet(); }) == Error::NO_AUTH);
  CHECK(error([](auto query) { query.setExists(); }) == Error::NO_AUTH);
  CHECK(error([](auto query) { query.initChildren(); }) == Error::NO_AUTH);
  CHECK(error([](auto query) { query.setNames(); }) == Error::NO_AUTH);
  CHECK(error([](auto query) { query.setCount(); }) == Error::NO_AUTH);
  CHECK(trial.ask("/none", [](auto query) { query.setExists(); }).get().getError() ==
        Error::NO_NODE);
}

TEST_CASE("a multi query answers each alone; not nested (multiRead)") {
  Trial trial;
  trial(create("/a"));
  auto asked = trial.ask("", [](auto query) {
    auto list = query.initMulti(3);
    list[0].setPath("/a");
    list[0].setGet();
    list[1].setPath("/none");
    list[1].initChildren();
    list[2].initMulti(1);
  });
  auto parts = asked.get().getParts();
  REQUIRE(parts.size() == 3);
  CHECK(parts[0].getStat().getCzxid() == 1);
  CHECK(parts[1].getError() == Error::NO_NODE);
  CHECK(parts[2].getError() == Error::BAD_ARGUMENTS);
}

TEST_CASE("the configuration is readable by all and written by nobody but super") {
  Trial trial;
  CHECK(trial.error(setData("/zookeeper/config", "x")) == Error::NO_AUTH);
  CHECK(trial.error(create("/zookeeper/config/x")) == Error::NO_AUTH);
  CHECK(trial.stat("/zookeeper/config").getAversion() == -1);
  CHECK(trial.get("/zookeeper/config").get().getError() == Error::OK);
}

TEST_CASE("a segment's members are shown in /zookeeper/config, told once or twice alike") {
  Trial trial;
  for (int index = 1; index <= 26; index++) trial.state->apply(index);
  capnp::MallocMessageBuilder message;
  auto segment = message.initRoot<polyquorum::Segment>();
  segment.setBase(26);
  auto member = segment.initMembers(1)[0];
  member.setId(3);
  auto addresses = member.initAddresses(2);
  addresses[0].setPurpose("peer");
  addresses[0].setAt("a.example:2888");
  addresses[1].setPurpose("zookeeper");
  addresses[1].setAt("a.example:2181");
  auto& changes = trial.state->enter(segment.asReader()).changes;
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].path == "/zookeeper/config");
  CHECK(changes[0].what == polyquorum::Change::What::DATA_CHANGED);
  auto digest = trial.state->digest();

  CHECK(trial.text("/zookeeper/config") ==
        "server.3=a.example:2888:2888:participant;a.example:2181\nversion=1a");
  CHECK(trial.stat("/zookeeper/config").getVersion() == -1);
  trial.state->enter(segment.asReader());
  CHECK(trial.state->digest() == digest);
  trial.state->apply(27);
  auto later = trial.state->digest();
  CHECK(trial.state->enter(segment.asReader()).changes.empty());
  CHECK(trial.state->digest() == later);
}

TEST_CASE("equal lists are one list; a list that nobody has is gone") {
  Acls acls;
  auto first = acls.intern({{31, BOB}});
  CHECK(acls.intern({{31, BOB}}) == first);
  auto other = acls.intern({{1, BOB}});
  CHECK(other != first);
  acls.release(first);
  CHECK(acls.used(first));
  acls.release(first);
  CHECK(!acls.used(first));
  CHECK(acls.intern({{2, EVE}}) == first);
}
