// SPDX-License-Identifier: Apache-2.0
// How long sessions live: signs of life, expiry, and a home desk without contact to a leader.
#include <catch2/catch.hpp>
#include "world.h"

namespace polyquorum::kernel::test {

using Kind = coordination::Watch::Kind;

TEST_CASE("desk: sessions expire everywhere, once, with their watches") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 1000).attached;
  auto& home = world.node(1);
  home.submit({watch(session, 1, "/a", Kind::PERSISTENT)});
  auto before = world.clock.now();

  while (home.count(Told::ENDED) == 0) {
    world.pass(50 * kj::MILLISECONDS);
    REQUIRE(world.clock.now() < before + 10 * kj::SECONDS);
  }

  CHECK(world.clock.now() > before + 1000 * kj::MILLISECONDS);
  CHECK(world.clock.now() <= before + (1000 + 2000 + 50) * kj::MILLISECONDS);
  CHECK(home.told.back().error == Error::SESSION_EXPIRED);
  for (auto& node : world.nodes) CHECK(node->tree->sessionCount() == 0);
}

TEST_CASE("desk: touches at a follower keep a session alive, also without pings") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 3000).attached;
  for (int i = 0; i < 20; i++) {
    world.node(1).submit({get(session, 100 + i, "/")});
    world.pass(1000 * kj::MILLISECONDS);
  }
  CHECK(world.node(1).count(Told::ENDED) == 0);
  CHECK(world.node(2).tree->sessionCount() == 1);
}

TEST_CASE("desk: a command is a sign of life, though the touch behind it is lost (seed 850000287)") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 6000).attached, other = world.open(1, 30000, 2).attached;
  auto& home = world.node(1);
  world.pass(4500 * kj::MILLISECONDS);
  home.submit({get(other, 1, "/")});
  world.settle();  // touches go out, the next ones a while later
  home.submit({write(session, 2, create("/a"))});
  world.settle();
  REQUIRE(home.reply(2).error == Error::OK);
  world.cut(1, 2);

  world.pass(4500 * kj::MILLISECONDS, false);
  CHECK(world.node(2).tree->session(session).has_value());
  world.pass(4500 * kj::MILLISECONDS, false);
  CHECK(!world.node(2).tree->session(session).has_value());
}

TEST_CASE("desk: a new leader grants every session a full timeout") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 5000).attached;
  world.pass(4500 * kj::MILLISECONDS);
  world.elect(3);
  world.settle();
  world.pass(4900 * kj::MILLISECONDS);
  CHECK(world.node(1).count(Told::ENDED) == 0);
  CHECK(world.node(1).tree->session(session).has_value());
  world.pass(2200 * kj::MILLISECONDS);
  CHECK(world.node(1).count(Told::ENDED) == 1);
}

TEST_CASE("desk: without a leader pings are answered for a third of the timeout, then adrift") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 6000).attached;
  auto& home = world.node(1);
  auto made = create("/a");
  world.lose();
  home.submit({ping(session, 1), get(session, 2, "/")});
  world.turn();
  CHECK(home.reply(1).error == Error::OK);
  world.pass(1900 * kj::MILLISECONDS);
  home.submit({ping(session, 3), write(session, 4, made)});
  world.turn();
  CHECK(home.reply(3).error == Error::OK);

  world.pass(300 * kj::MILLISECONDS);

  CHECK(home.count(Told::ADRIFT) == 1);
  CHECK(!home.answered(4));
  home.submit({ping(session, 5), get(session, 6, "/"), write(session, 7, made)});
  world.settle();
  CHECK(home.told.back().kind == Told::ADRIFT);

  world.elect(3);  // the session lives on
  world.settle();
  CHECK(world.node(3).tree->session(session).has_value());
  CHECK(!home.answered(4));
}

TEST_CASE("desk: a leader that is heard but cannot be told of sessions is no contact (seed 830000448)") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 6000).attached;
  auto& home = world.node(1);
  world.lose();  // catching up takes long: its disk is slow
  for (int second = 0; second < 3; second++) {
    home.desk->contact();
    world.pass(1000 * kj::MILLISECONDS);
  }

  home.submit({get(session, 1, "/")});
  world.turn();

  CHECK(home.count(Told::ADRIFT) == 1);
  CHECK(!home.answered(1));
}

TEST_CASE("desk: who was silent for long is answered when the leader has heard of it (seed 900045376)") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 6000).attached;
  auto& home = world.node(1);
  world.settle();
  world.pass(3500 * kj::MILLISECONDS);
  auto made = create("/a");
  home.submit({get(session, 1, "/"), write(session, 2, made), ping(session, 3)});
  world.turn();
  CHECK(!home.answered(1));
  world.settle();
  CHECK(home.reply(1).error == Error::OK);
  CHECK(home.reply(2).error == Error::OK);
  CHECK(home.reply(3).error == Error::OK);
  world.pass(1900 * kj::MILLISECONDS);
  home.submit({get(session, 4, "/")});
  world.turn();
  CHECK(home.reply(4).error == Error::OK);  // it is heard in time: nothing waits

  // What this server says does not arrive, what the leader says does.
  world.settle();
  world.pass(3500 * kj::MILLISECONDS);
  home.submit({get(session, 5, "/")});
  world.turn();
  world.mail[{1, 2}].clear();
  world.pass(1900 * kj::MILLISECONDS);
  CHECK(!home.answered(5));
  CHECK(home.count(Told::ADRIFT) == 0);
  SECTION("a new link") {
    world.cut(1, 2);
    world.join(1, 2);
  }
  SECTION("another leader") { world.elect(3); }
  SECTION("this server leads") { world.elect(1); }
  world.settle();
  CHECK(home.reply(5).error == Error::OK);
}

TEST_CASE("desk: what was told behind a lost touch is known when it is heard (seed 920038441)") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 6000).attached;
  auto& home = world.node(1);
  world.settle();
  world.pass(1000 * kj::MILLISECONDS);
  home.submit({ping(session, 1)});
  world.clock.advanceTo(world.clock.now() + 300 * kj::MILLISECONDS);
  world.turn();
  world.mail[{1, 2}].clear();
  world.pass(3500 * kj::MILLISECONDS);
  home.submit({get(session, 2, "/")});
  world.turn();
  world.mail[{1, 2}].clear();
  REQUIRE(!home.answered(2));
  world.cut(1, 2);
  world.join(1, 2);
  world.settle();
  CHECK(home.reply(2).error == Error::OK);
}

TEST_CASE("desk: nobody is answered whose end is on its way (seed 930033654)") {
  World world(3);
  world.elect(2);
  auto at = GENERATE(core::MemberId(1), core::MemberId(2));
  auto session = world.open(at, 4000).attached;
  auto& home = world.node(at);
  auto& leader = world.node(2);
  world.settle();
  while (leader.proposals.empty()) {  // nothing is decided meanwhile
    world.clock.advanceTo(world.clock.now() + 100 * kj::MILLISECONDS);
    home.desk->contact();
    world.turn();
  }
  home.submit({get(session, 1, "/"), ping(session, 2)});
  for (int i = 0; i < 3; i++) {
    world.turn();
    while (world.deliver(1, 2) || world.deliver(2, 1)) world.turn();
  }
  CHECK(!home.answered(1));
  CHECK(!home.answered(2));
  SECTION("its end takes place") {
    world.settle();
    CHECK(home.reply(1).error == Error::SESSION_EXPIRED);
    CHECK(home.reply(2).error == Error::SESSION_EXPIRED);
  }
  SECTION("another leads and grants it a timeout") {
    world.elect(3);
    world.settle();
    CHECK(home.reply(1).error == Error::OK);
    CHECK(home.reply(2).error == Error::OK);
  }
}

TEST_CASE("desk: a session at the leader waits for nobody, however long it was silent") {
  World world(3);
  world.elect(2);
  auto session = world.open(2, 6000).attached;
  world.settle();
  world.pass(5000 * kj::MILLISECONDS);
  world.node(2).submit({get(session, 1, "/")});
  world.turn();
  CHECK(world.node(2).reply(1).error == Error::OK);
}

TEST_CASE("desk: a node that was paused does not reassure before it knows (decision 10)") {
  World world(3);
  world.elect(2);
  auto session = world.open(1, 6000).attached;
  auto& home = world.node(1);
  world.clock.advanceTo(world.clock.now() + 30 * kj::SECONDS);  // nothing ran meanwhile

  home.desk->contact();  // what lay in its sockets
  home.submit({ping(session, 1)});
  world.turn();

  CHECK(home.count(Told::ADRIFT) == 1);
  CHECK(!home.answered(1));
}

TEST_CASE("desk: a cluster of one is always in touch with itself") {
  World world(1);
  world.elect(1);
  auto session = world.open(1, 4000).attached;
  for (int i = 0; i < 10; i++) {
    world.pass(1500 * kj::MILLISECONDS, false);
    world.node(1).submit({ping(session, i + 1)});
  }
  world.settle();
  CHECK(world.node(1).reply(10).error == Error::OK);
  CHECK(world.node(1).count(Told::ADRIFT) == 0);
}

}  // namespace polyquorum::kernel::test
