// SPDX-License-Identifier: Apache-2.0
// What a client sees of the tree: fresh state, Stat rules, sequence numbers, null data.
#include <catch2/catch.hpp>
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;

TEST_CASE("a fresh tree counts five nodes and shows cversion -1 and -2 (B8, DataTree)") {
  Trial trial;

  CHECK(trial.state->nodeCount() == 5);
  CHECK(trial.stat("/").getCversion() == -1);
  CHECK(trial.stat("/").getNumChildren() == 1);
  CHECK(trial.stat("/zookeeper").getCversion() == -2);
  CHECK(trial.stat("/zookeeper").getNumChildren() == 2);
  CHECK(trial.children("/") == std::vector<std::string>{"zookeeper"});
  CHECK(trial.children("/zookeeper") == std::vector<std::string>{"config", "quota"});
  CHECK(trial.stat("").getCversion() == -1);
}

TEST_CASE("a sequence goes on after deletes, and plain creates use numbers too (B8)") {
  Trial trial;
  trial(create("/q"));
  for (int i = 0; i < 3; i++) {
    auto path = trial(create("/q/n", SEQUENTIAL)).outcome.path;
    CHECK(path == "/q/n000000000" + std::to_string(i));
    CHECK(trial.error(erase(path)) == Error::OK);
  }

  CHECK(trial(create("/q/n", SEQUENTIAL)).outcome.path == "/q/n0000000003");
  CHECK(trial.stat("/q").getCversion() == 7);
  CHECK(trial.stat("/q").getNumChildren() == 1);
  CHECK(trial.error(create("/q/plain")) == Error::OK);
  CHECK(trial(create("/q/n", SEQUENTIAL)).outcome.path == "/q/n0000000005");
}

TEST_CASE("every Stat field moves when it should and not otherwise (B2)") {
  Trial trial;
  trial.timeMs = 5000;
  trial(create("/a"));
  trial.timeMs = 6000;
  trial(create("/a/b"));
  trial.timeMs = 5500;  // the cluster's time never goes back
  trial(setData("/a", "xyz"));

  auto a = trial.stat("/a");
  CHECK(a.getCzxid() == 1);
  CHECK(a.getMzxid() == 3);
  CHECK(a.getPzxid() == 2);
  CHECK(a.getCtimeMs() == 5000);
  CHECK(a.getMtimeMs() == 6000);
  CHECK(a.getVersion() == 1);
  CHECK(a.getCversion() == 1);
  CHECK(a.getAversion() == 0);
  CHECK(a.getDataLength() == 3);
  CHECK(a.getNumChildren() == 1);

  trial(setData("/a/b", "1"));
  CHECK(trial.stat("/a").getPzxid() == 2);
  trial(setAclOf("/a", OPEN));
  CHECK(trial.stat("/a").getAversion() == 1);
  CHECK(trial.stat("/a").getMzxid() == 3);
  CHECK(trial.stat("/a").getVersion() == 1);
  trial(erase("/a/b"));
  CHECK(trial.stat("/a").getPzxid() == 6);
  CHECK(trial.stat("/a").getCversion() == 2);
}

TEST_CASE("null data is not empty data (B8)") {
  Trial trial;
  Born null;
  null.data = nullptr;
  trial(create("/null", null));
  trial(create("/empty"));

  CHECK(!trial.get("/null").get().getHasData());
  CHECK(trial.get("/empty").get().getHasData());
  CHECK(trial.stat("/null").getDataLength() == 0);
  trial(setNull("/empty"));
  trial(setData("/null", ""));
  CHECK(trial.get("/null").get().getHasData());
  CHECK(!trial.get("/empty").get().getHasData());
}

TEST_CASE("a setData of equal data counts and is told (B1)") {
  Trial trial;
  trial(create("/a"));
  auto& applied = trial(setData("/a", ""));

  CHECK(applied.outcome.stat->version == 1);
  REQUIRE(applied.changes.size() == 1);
  CHECK(applied.changes[0].what == polyquorum::Change::What::DATA_CHANGED);
}

TEST_CASE("a failed operation consumes its index (B8)") {
  Trial trial;
  trial(create("/a"));
  CHECK(trial.error(create("/a")) == Error::NODE_EXISTS);
  CHECK(trial.state->index() == 2);
  CHECK(trial(create("/b")).outcome.stat->czxid == 3);
}

TEST_CASE("special paths cannot be deleted (B2)") {
  Trial trial;
  for (auto path : {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "", "a"}) {
    CHECK(trial.error(erase(path)) == Error::BAD_ARGUMENTS);
  }
}

TEST_CASE("paths are judged as PathUtils does, after the parent was looked up (A7.1)") {
  Trial trial;
  for (auto path : {"/a/", "//", "/a//b", "/.", "/..", "/a/../b", "/a\x01", "/a\x7f", "x", "",
                    "/\xff", "/\xf0\x9f\x98\x80", "/\xed\xa0\x80", "/\xef\xbf\xbf"}) {
    auto error = trial.error(create(path));
    // The parent of "//" is "/", and that is there.
    bool belowNothing = path[0] == '/' && std::string_view(path).rfind('/') > 1;
    INFO(path);
    CHECK(error == (belowNothing ? Error::NO_NODE : Error::BAD_ARGUMENTS));
  }
  CHECK(trial.error(create("/..a")) == Error::OK);
  CHECK(trial.error(create("/a...")) == Error::OK);
  CHECK(trial.error(create("/\xc3\xa9")) == Error::OK);
  CHECK(trial.error(create("/")) == Error::NODE_EXISTS);
}

TEST_CASE("the kernel's looks: node, counts, children by page") {
  Trial trial;
  for (auto path : {"/p", "/p/c", "/p/a", "/p/b", "/p/b/x"}) trial(create(path));

  CHECK(trial.state->look("/p")->pzxid == 4);
  CHECK(!trial.state->look("/q"));
  CHECK(trial.children("/p") == std::vector<std::string>{"a", "b", "c"});
  auto page = trial.ask("/p", [](auto query) {
    auto page = query.initChildren();
    page.setAfter("a");
    page.setLimit(1);
  });
  REQUIRE(page.get().getNames().size() == 1);
  CHECK(page.get().getNames()[0] == "b");
  CHECK(trial.ask("/p", [](auto query) { query.setCount(); }).get().getCount() == 4);
  CHECK(trial.ask("/", [](auto query) { query.setCount(); }).get().getCount() == 8);
  CHECK(trial.state->nodeCount() == 10);
}
