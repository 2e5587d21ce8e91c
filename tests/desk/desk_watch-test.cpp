// SPDX-License-Identifier: Apache-2.0
// Watches through the desk: events before replies, renewal, ACLs, bounds.
#include <catch2/catch.hpp>
#include "world.h"

namespace polyquorum::kernel::test {

using Level = coordination::Level;
using Kind = coordination::Watch::Kind;
using What = Change::What;

namespace {

/// A session at node 1 of a world of two led by 2, and a writer without one at node 2.
struct Scene {
  World world{2};
  std::uint64_t session;
  Node& home;
  Scene() : session((world.elect(2), world.open(1).attached)), home(world.node(1)) {}

  void change(const Words& words) {
    world.node(2).submit({write(0, ++token, words)});
    world.settle();
    REQUIRE(world.node(2).reply(token).error == Error::OK);
  }
  std::vector<std::pair<std::string, What>> events() {
    std::vector<std::pair<std::string, What>> list;
    for (auto& told : home.told) {
      if (told.kind == Told::EVENT) list.push_back({told.path, told.what});
    }
    home.told.clear();
    return list;
  }
  std::uint64_t token = 1000;
};

using Events = std::vector<std::pair<std::string, What>>;

Words remove(const std::string& path) {
  return operation([&](Operation::Builder operation) { operation.initDelete().setPath(path); });
}

}  // namespace

TEST_CASE("desk: the event comes before the reply of the write that caused it (B3)") {
  Scene scene;
  auto made = create("/a");
  scene.home.submit({watch(scene.session, 1, "/a", Kind::EXIST)});
  scene.home.submit({write(scene.session, 2, made), get(scene.session, 3, "/a")});
  scene.world.settle();

  auto& told = scene.home.told;
  REQUIRE(told.size() >= 4);
  auto& event = told[told.size() - 3];
  CHECK(event.kind == Told::EVENT);
  CHECK(event.what == What::CREATED);
  CHECK(told[told.size() - 2].token == 2);
  CHECK(event.index == told[told.size() - 2].index);
}

TEST_CASE("desk: a query leaves its watch only where there is something to watch (B1)") {
  Scene scene;
  scene.home.submit({get(scene.session, 1, "/a", Level::SESSION, true)});
  scene.change(create("/a"));
  CHECK(scene.events().empty());

  scene.home.submit({get(scene.session, 2, "/a", Level::SESSION, true)});
  scene.world.turn();
  scene.change(setData("/a", "1"));
  scene.change(setData("/a", "2"));
  CHECK(scene.events() == Events{{"/a", What::DATA_CHANGED}});

  scene.home.submit({ask(scene.session, 3, [](auto request) {
    auto at = request.initQuery();
    at.initQuery().setPath("/b");
    at.getQuery().setExists();
    at.setLevel(Level::SESSION);
    at.setWatch(true);
  })});
  scene.world.turn();
  scene.change(create("/b"));
  CHECK(scene.events() == Events{{"/b", What::CREATED}});
}

TEST_CASE("desk: renewed watches are judged against the tree, the border not included (B3, M29)") {
  Scene scene;
  scene.change(create("/p"));
  scene.change(create("/p/c"));
  auto seen = scene.home.tree->index();
  scene.change(create("/gone"));
  scene.change(remove("/gone"));

  auto renew = [&](const char* path, Kind kind, std::uint64_t since) {
    scene.home.told.clear();
    scene.home.submit({rewatch(scene.session, ++scene.token, path, kind, since)});
    scene.world.turn();
    REQUIRE(scene.home.told.back().token == scene.token);  // after its events
    return scene.events();
  };

  CHECK(renew("/p", Kind::CHILDREN, seen).empty());
  CHECK(renew("/p", Kind::CHILDREN, seen - 1) == Events{{"/p", What::CHILDREN_CHANGED}});
  CHECK(renew("/p", Kind::DATA, seen).empty());
  CHECK(renew("/p", Kind::DATA, 1) == Events{{"/p", What::DATA_CHANGED}});
  CHECK(renew("/gone", Kind::DATA, seen) == Events{{"/gone", What::DELETED}});
  CHECK(renew("/gone", Kind::CHILDREN, seen) == Events{{"/gone", What::DELETED}});
  CHECK(renew("/gone", Kind::EXIST, seen).empty());
  CHECK(renew("/p", Kind::EXIST, seen) == Events{{"/p", What::CREATED}});
  CHECK(renew("/p", Kind::PERSISTENT, 0).empty());

  scene.change(setData("/p", "1"));
  CHECK(scene.events() == Events{{"/p", What::DATA_CHANGED}});
  scene.change(create("/gone"));
  CHECK(scene.events() == Events{{"/gone", What::CREATED}});
}

TEST_CASE("desk: watching data or children asks for one-shot watches only (3.9, ZOOKEEPER-4472)") {
  Scene scene;
  auto watching = [&](std::uint64_t token, Kind kind) {
    scene.home.submit({ask(scene.session, token, [&](coordination::Request::Builder request) {
      auto list = request.initWatching(1);
      list[0].setPath("/a");
      list[0].setKind(kind);
    })});
    scene.world.settle();
    return scene.home.reply(token).error;
  };
  scene.home.submit({watch(scene.session, 1, "/a", Kind::PERSISTENT)});
  scene.world.settle();
  CHECK(watching(2, Kind::DATA) == Error::NO_WATCHER);
  CHECK(watching(3, Kind::CHILDREN) == Error::NO_WATCHER);
  CHECK(watching(4, Kind::RECURSIVE) == Error::NO_WATCHER);
  CHECK(watching(5, Kind::PERSISTENT) == Error::OK);
  CHECK(watching(6, Kind::ANY) == Error::OK);
  scene.home.submit({watch(scene.session, 7, "/a", Kind::DATA)});
  scene.world.settle();
  CHECK(watching(8, Kind::DATA) == Error::OK);
  CHECK(watching(9, Kind::CHILDREN) == Error::NO_WATCHER);
}

TEST_CASE("desk: unwatch and watching tell whether there was a watch (B1)") {
  Scene scene;
  auto other = [&](std::uint64_t token, bool remove, Kind kind) {
    scene.home.submit({ask(scene.session, token, [&](auto request) {
      auto list = remove ? request.initUnwatch(1) : request.initWatching(1);
      list[0].setPath("/a");
      list[0].setKind(kind);
    })});
    scene.world.turn();
    return scene.home.reply(token).error;
  };
  scene.home.submit({watch(scene.session, 1, "/a", Kind::RECURSIVE)});

  CHECK(other(2, false, Kind::ANY) == Error::OK);
  CHECK(other(3, false, Kind::DATA) == Error::NO_WATCHER);
  CHECK(other(4, true, Kind::DATA) == Error::NO_WATCHER);
  CHECK(other(5, true, Kind::RECURSIVE) == Error::OK);
  CHECK(other(6, true, Kind::ANY) == Error::NO_WATCHER);
  scene.change(create("/a"));
  CHECK(scene.events().empty());
}

TEST_CASE("desk: who may not read a node hears nothing of it (CVE-2024-23944)") {
  Scene scene;
  auto secret = operation([](Operation::Builder operation) {
    auto create = operation.initCreate();
    create.setPath("/s");
    auto acl = create.initAcl(2);
    acl[0].setBits(31);
    acl[0].initWho().setScheme("digest");
    acl[0].getWho().setId("bob:hash");
    acl[1].setBits(8);
    acl[1].initWho().setScheme("world");
    acl[1].getWho().setId("anyone");
  });
  auto asBob = [&](auto request) {
    auto list = request.initWatch(1);
    list[0].setPath("/s");
    list[0].setKind(Kind::PERSISTENT);
    auto who = request.initIdentities(1);
    who[0].setScheme("digest");
    who[0].setId("bob:hash");
  };
  auto bob = scene.world.open(1, 6000, 7).attached;
  scene.home.submit({watch(scene.session, 1, "/s", Kind::PERSISTENT), ask(bob, 2, asBob)});
  scene.change(secret);
  scene.change(remove("/s"));

  std::size_t heard = 0;
  for (auto& told : scene.home.told) {
    if (told.kind != Told::EVENT) continue;
    CHECK(told.session == bob);
    heard++;
  }
  CHECK(heard == 2);
}

TEST_CASE("desk: the deletes of a session's end are told one by one at one index (B3)") {
  Scene scene;
  auto ephemeral = [](const char* path) {
    return operation([&](Operation::Builder operation) {
      auto create = operation.initCreate();
      create.setPath(path);
      create.setMode(Create::Mode::EPHEMERAL);
      auto acl = create.initAcl(1);
      acl[0].setBits(31);
      acl[0].initWho().setScheme("world");
      acl[0].getWho().setId("anyone");
    });
  };
  auto dying = scene.world.open(2, 6000, 8).attached;
  auto one = ephemeral("/e1"), two = ephemeral("/e2");
  auto bye = operation([](Operation::Builder operation) { operation.setDetach(); });
  scene.world.node(2).submit({write(dying, 1, one), write(dying, 2, two)});
  scene.home.submit({watch(scene.session, 3, "/", Kind::RECURSIVE)});
  scene.world.settle();
  scene.home.told.clear();

  scene.world.node(2).submit({write(dying, 4, bye)});
  scene.world.settle();

  REQUIRE(scene.home.told.size() == 2);
  CHECK(scene.home.told[0].path == "/e1");
  CHECK(scene.home.told[1].path == "/e2");
  CHECK(scene.home.told[0].index == scene.home.told[1].index);
}

TEST_CASE("desk: more than a mebibyte of waiting events is a gap, and costs nobody else (P4)") {
  Scene scene;
  auto other = scene.world.open(1, 6000, 9).attached;
  scene.home.submit({watch(scene.session, 1, "/", Kind::RECURSIVE),
                     watch(other, 2, "/last", Kind::EXIST)});
  scene.world.settle();
  scene.home.told.clear();

  // One turn of the loop: nothing is taken out of the outbox between these.
  std::string name(1000, 'n');
  std::vector<Words> words;
  std::vector<Fill> fills;
  for (int i = 0; i < 1500; i++) words.push_back(create("/" + name + std::to_string(i)));
  words.push_back(create("/last"));
  for (auto& one : words) fills.push_back(write(0, ++scene.token, one));
  scene.world.node(2).submit(fills);
  scene.world.logProposals();
  scene.world.commit(scene.world.length());
  scene.world.applyTo(scene.home, scene.world.committed);
  scene.world.settle();

  CHECK(scene.home.count(Told::GAP) == 1);
  CHECK(scene.home.count(Told::EVENT) < 1100);
  auto& last = scene.home.told.back();
  CHECK(last.session == other);
  CHECK(last.path == "/last");
  scene.home.told.clear();
  scene.change(create("/afterwards"));
  CHECK(scene.events() == Events{{"/afterwards", What::CREATED}});
}

TEST_CASE("desk: a seal's new members are told to who watches /zookeeper/config") {
  Scene scene;
  scene.home.submit({get(scene.session, 1, "/zookeeper/config", Level::SESSION, true)});
  scene.world.settle();
  scene.home.told.clear();
  capnp::MallocMessageBuilder message;
  auto segment = message.initRoot<Segment>();
  segment.setBase(scene.home.tree->index());

  scene.home.desk->entered(scene.home.tree->enter(segment.asReader()));
  scene.home.submit({get(scene.session, 2, "/zookeeper/config")});
  scene.world.settle();

  REQUIRE(scene.home.told.size() == 2);
  CHECK(scene.home.told[0].kind == Told::EVENT);
  CHECK(scene.home.told[0].path == "/zookeeper/config");
  CHECK(scene.home.told[0].what == What::DATA_CHANGED);
  CHECK(scene.home.told[0].index == segment.getBase());
  CHECK(scene.home.told[1].data.find("version=") == 0);

  scene.home.told.clear();
  scene.home.desk->entered(scene.home.tree->enter(segment.asReader()));  // the watch was spent
  scene.world.settle();
  CHECK(scene.events().empty());
}

TEST_CASE("desk: status and inspection count what is here") {
  Scene scene;
  scene.home.submit({watch(scene.session, 1, "/a", Kind::PERSISTENT),
                     watch(scene.session, 2, "/b", Kind::DATA)});
  auto status = scene.home.door.statusRequest().send().wait(scene.world.scope);
  CHECK(status.getStatus().getWatches() == 2);
  CHECK(status.getStatus().getWatchPaths() == 2);
  CHECK(status.getStatus().getWatchers() == 1);
  CHECK(status.getStatus().getSessions() == 1);

  auto call = scene.home.door.inspectRequest();
  call.setWhat(coordination::Inspection::WATCHES_BY_PATH);
  auto rows = call.send().wait(scene.world.scope);
  REQUIRE(rows.getRows().size() == 2);
  CHECK(rows.getRows()[1].getPath() == "/b");
  CHECK(rows.getRows()[1].getSessions()[0] == scene.session);
}

}  // namespace polyquorum::kernel::test
