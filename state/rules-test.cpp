// SPDX-License-Identifier: Apache-2.0
// The order of checks of each operation, multi, and the changes that watches are told.
#include <catch2/catch.hpp>
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;
using What = polyquorum::Change::What;

namespace {

const std::vector<Permission> READ_ONLY = {{READ, {"world", "anyone"}}};
const std::vector<Permission> NONSENSE = {{31, {"nobody", "x"}}};

Born with(std::vector<Permission> acl) {
  Born born;
  born.acl = std::move(acl);
  return born;
}

std::vector<std::string> lines(const Applied& applied) {
  std::vector<std::string> lines;
  for (auto& change : applied.changes) {
    lines.push_back(change.path + " " + "CDdc"[static_cast<int>(change.what)]);
  }
  return lines;
}

}  // namespace

TEST_CASE("create checks in ZooKeeper's order (B2, pRequest2TxnCreate)") {
  Trial trial;
  Client client(trial);
  trial(create("/closed", with(READ_ONLY)));
  client(create("/e", EPHEMERAL));

  // path before ACL, ACL before parent, parent before rights, rights before the full path
  CHECK(trial.error(create("nopath", with(NONSENSE))) == Error::BAD_ARGUMENTS);
  CHECK(trial.error(create("/none/x", with(NONSENSE))) == Error::INVALID_ACL);
  CHECK(trial.error(create("/none/x")) == Error::NO_NODE);
  CHECK(trial.error(create("/closed/./")) == Error::NO_NODE);
  CHECK(trial.error(create("/closed/.")) == Error::NO_AUTH);
  CHECK(trial.error(create("/closed")) == Error::NODE_EXISTS);
  CHECK(trial.error(create("/e/x")) == Error::NO_CHILDREN_FOR_EPHEMERALS);
  CHECK(trial.error(create("/x", EPHEMERAL)) == Error::BAD_ARGUMENTS);
  CHECK(trial.error(create("/x", with({}))) == Error::INVALID_ACL);
}

TEST_CASE("delete checks parent, right, node, version, then children (B1, B8)") {
  Trial trial;
  trial(create("/closed", with({{31 & ~DELETE, {"world", "anyone"}}})));
  trial(create("/closed/x"));
  trial(create("/a"));
  trial(create("/a/b"));

  CHECK(trial.error(erase("/none/x")) == Error::NO_NODE);
  CHECK(trial.error(erase("/closed/none")) == Error::NO_AUTH);
  CHECK(trial.error(erase("/a/none")) == Error::NO_NODE);
  CHECK(trial.error(erase("/a", 7)) == Error::BAD_VERSION);
  CHECK(trial.error(erase("/a", -1, 999)) == Error::BAD_VERSION);
  CHECK(trial.error(erase("/a", 0)) == Error::NOT_EMPTY);
  CHECK(trial.error(erase("/a/b", 0, 4)) == Error::OK);
}

TEST_CASE("setData checks path, node, right, version; version -1 is any (B1)") {
  Trial trial;
  trial(create("/closed", with(READ_ONLY)));
  trial(create("/a"));

  CHECK(trial.error(setData("bad", "")) == Error::BAD_ARGUMENTS);
  CHECK(trial.error(setData("", "")) == Error::BAD_ARGUMENTS);
  CHECK(trial.error(setData("/none", "")) == Error::NO_NODE);
  CHECK(trial.error(setData("/closed", "", 9)) == Error::NO_AUTH);
  CHECK(trial.error(setData("/a", "", 9)) == Error::BAD_VERSION);
  CHECK(trial.error(setData("/a", "", 0)) == Error::OK);
  CHECK(trial.error(setData("/a", "", 1)) == Error::OK);
  CHECK(trial.error(setData("/a", "")) == Error::OK);
}

TEST_CASE("setAcl checks path, ACL, node, right, then the ACL's version (PrepRequestProcessor)") {
  Trial trial;
  trial(create("/closed", with(READ_ONLY)));
  trial(create("/a"));

  CHECK(trial.error(setAclOf("bad", NONSENSE)) == Error::BAD_ARGUMENTS);
  CHECK(trial.error(setAclOf("/none", NONSENSE)) == Error::INVALID_ACL);
  CHECK(trial.error(setAclOf("/none", OPEN)) == Error::NO_NODE);
  CHECK(trial.error(setAclOf("/closed", OPEN)) == Error::NO_AUTH);
  CHECK(trial.error(setAclOf("/a", OPEN, 3)) == Error::BAD_VERSION);
  CHECK(trial.error(setAclOf("/a", OPEN, 0)) == Error::OK);
  CHECK(trial.stat("/a").getAversion() == 1);
}

TEST_CASE("check needs READ and changes nothing (B1)") {
  Trial trial;
  trial(create("/closed", with({{WRITE, {"world", "anyone"}}})));
  trial(create("/a"));

  CHECK(trial.error(check("/closed")) == Error::NO_AUTH);
  CHECK(trial.error(check("/none")) == Error::NO_NODE);
  CHECK(trial.error(check("/a", 3)) == Error::BAD_VERSION);
  CHECK(trial.error(check("/a", 0)) == Error::OK);
  CHECK(trial(check("/a", 0)).changes.empty());
}

TEST_CASE("changes are told per sub-operation, node first and then its parent (B3)") {
  Trial trial;
  auto& applied = trial(multi({create("/a"), create("/a/s", SEQUENTIAL), setData("/a", "x"),
                               erase("/a/s0000000000"), check("/a", 1)}));

  CHECK(applied.outcome.error == Error::OK);
  CHECK(lines(applied) == std::vector<std::string>{"/a C", "/ c", "/a/s0000000000 C", "/a c",
                                                   "/a d", "/a/s0000000000 D", "/a c"});
  REQUIRE(applied.outcome.parts.size() == 5);
  CHECK(applied.outcome.parts[1].path == "/a/s0000000000");
  CHECK(applied.outcome.parts[2].stat->version == 1);
  CHECK(applied.outcome.parts[0].stat->czxid == 1);
  CHECK(trial.stat("/a").getMzxid() == 1);  // one index for all
  CHECK(trial.stat("/a").getCversion() == 2);
}

TEST_CASE("a failed multi answers 0, code, -2 and leaves no trace (B2, ZOOKEEPER-1624)") {
  Trial trial;
  Client client(trial);
  trial(create("/q"));
  trial(create("/q/old", with(READ_ONLY)));
  trial(create("/q/data"));
  Trial twin;  // lives through the same entries but for the operations inside
  Client other(twin);
  twin(create("/q"));
  twin(create("/q/old", with(READ_ONLY)));
  twin(create("/q/data"));

  auto& applied = client(
      multi({create("/q/s", SEQUENTIAL), create("/q/e", EPHEMERAL), erase("/q/old"),
             setData("/q/data", "longer than before"), setAclOf("/q/data", READ_ONLY),
             create("/q/old"), create("/q/new"), create("/q/new"), check("/q")}));

  CHECK(applied.outcome.error == Error::NODE_EXISTS);
  CHECK(applied.changes.empty());
  REQUIRE(applied.outcome.parts.size() == 9);
  for (int i = 0; i < 7; i++) CHECK(applied.outcome.parts[i].error == Error::OK);
  CHECK(!applied.outcome.parts[0].stat);
  CHECK(applied.outcome.parts[7].error == Error::NODE_EXISTS);
  CHECK(applied.outcome.parts[8].error == Error::ROLLED_BACK);
  CHECK(trial(create("/q/s", SEQUENTIAL)).outcome.path == "/q/s0000000002");

  other(multi({check("/none")}));
  twin(create("/q/s", SEQUENTIAL));
  CHECK(trial.children("/q") == twin.children("/q"));
  CHECK(trial.state->dataBytes() == twin.state->dataBytes());
  CHECK(trial.state->ephemeralCount() == 0);
  for (auto path : {"/", "/q", "/q/old", "/q/data", "/q/s0000000002"}) {
    auto mine = trial.get(path), theirs = twin.get(path);
    CHECK(mine.get().toString().flatten() == theirs.get().toString().flatten());
  }
}

TEST_CASE("a rolled back multi gives back exactly the digest of the nodes") {
  Trial trial;
  trial(create("/a"));
  trial(create("/a/b"));
  auto before = image(*trial.state);
  trial(multi({erase("/a/b"), erase("/a"), create("/c"), create("/c/d"), setData("/c", "1"),
               setAclOf("/c", READ_ONLY), check("/none")}));
  auto after = image(*trial.state);
  auto loaded = load(after);

  CHECK(loaded->digest() == trial.state->digest());
  CHECK(trial.children("/") == std::vector<std::string>{"a", "zookeeper"});
}

TEST_CASE("an empty multi is fine; lists and session words inside a multi are not (B8)") {
  Trial trial;
  Client client(trial);
  CHECK(client(multi({})).outcome.error == Error::OK);
  for (auto& inner : {multi({}), detach(), attach(), expire({1}), reap({"/"})}) {
    auto& applied = client(multi({create("/x"), inner}));
    CHECK(applied.outcome.parts.at(1).error == Error::BAD_ARGUMENTS);
    CHECK(!trial.state->look("/x"));
  }
}

TEST_CASE("what only the cluster may ask is refused to a session") {
  Trial trial;
  Client client(trial);
  Client other(trial);
  CHECK(client(expire({other.attached.incarnation})).outcome.error == Error::BAD_ARGUMENTS);
  CHECK(client(reap({"/"})).outcome.error == Error::BAD_ARGUMENTS);
  CHECK(client(attach()).outcome.error == Error::BAD_ARGUMENTS);
  CHECK(trial.error(detach()) == Error::BAD_ARGUMENTS);
  CHECK(trial.state->sessionCount() == 2);
}

TEST_CASE("TTLs have 40 bits and belong to TTL nodes (EphemeralType.TTL)") {
  Trial trial;
  Born ttl;
  ttl.mode = polyquorum::Create::Mode::TTL;
  for (auto wrong : {0ull, 1ull << 40}) {
    ttl.ttlMs = wrong;
    CHECK(trial.error(create("/t", ttl)) == Error::BAD_ARGUMENTS);
  }
  ttl.ttlMs = (1ull << 40) - 1;
  CHECK(trial.error(create("/t", ttl)) == Error::OK);
  CHECK(trial.stat("/t").getEphemeralOwner() == 0);
  ttl.mode = polyquorum::Create::Mode::PERSISTENT;
  CHECK(trial.error(create("/p", ttl)) == Error::BAD_ARGUMENTS);
}

TEST_CASE("containers and TTL nodes are reaped when due, and checked again (ContainerManager)") {
  Trial trial;
  Born ttl;
  ttl.mode = polyquorum::Create::Mode::TTL;
  ttl.ttlMs = 100;
  trial.timeMs = 1000;
  trial(create("/used", CONTAINER));
  trial(create("/fresh", CONTAINER));
  trial(create("/t", ttl));
  trial(create("/used/x"));

  CHECK(trial.state->reapable(1100, 10).empty());
  CHECK(trial.state->reapable(1101, 10) == std::vector<std::string>{"/t"});
  trial(erase("/used/x"));
  CHECK(trial.state->reapable(5000, 10) == std::vector<std::string>{"/t", "/used"});
  CHECK(trial.state->reapable(5000, 1) == std::vector<std::string>{"/t"});
  trial.timeMs = 1050;  // the entry's time decides, not the asker's
  auto& applied = trial(reap({"/t", "/used", "/fresh", "/none", "/zookeeper"}));
  CHECK(applied.outcome.error == Error::OK);
  CHECK(lines(applied) == std::vector<std::string>{"/used D", "/ c"});
  trial.timeMs = 1101;
  trial(setData("/t", "touched"));
  trial(reap({"/t"}));
  CHECK(trial.state->look("/t"));
  trial.timeMs = 1202;
  trial(reap({"/t"}));
  CHECK(!trial.state->look("/t"));
}
