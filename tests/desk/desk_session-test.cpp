// SPDX-License-Identifier: Apache-2.0
// Sessions at their home desk: order, attach, moving, ending, limits, deadlines.
#include <catch2/catch.hpp>
#include "world.h"

namespace polyquorum::kernel::test {

using Level = coordination::Level;
using Kind = coordination::Watch::Kind;

TEST_CASE("desk: a pipelined session is answered in order and reads its own writes (P2.2)") {
  World world(3);
  world.elect(2);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  auto made = create("/a", "0"), one = setData("/a", "1"), two = setData("/a", "2");

  home.told.clear();
  home.submit({get(session, 1, "/a"), write(session, 2, made), get(session, 3, "/a"),
               write(session, 4, one), ping(session, 5), get(session, 6, "/a"),
               write(session, 7, two), get(session, 8, "/a")});
  world.settle();

  std::vector<std::uint64_t> order;
  for (auto& told : home.told) order.push_back(told.token);
  CHECK(order == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(home.reply(3).data == "0");
  CHECK(home.reply(6).data == "1");
  CHECK(home.reply(8).data == "2");
}

TEST_CASE("desk: a read with nothing pending is answered within the turn") {
  World world(1);
  world.elect(1);
  auto session = world.open(1).attached;

  world.node(1).submit({get(session, 5, "/", Level::SESSION)});
  world.turn();

  CHECK(world.node(1).reply(5).error == Error::OK);
}

TEST_CASE("desk: a session read waits until what the client has seen is applied") {
  World world(2);
  world.elect(2);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  auto seen = home.tree->index() + 1;

  home.submit({get(session, 5, "/a", Level::SESSION, false, seen)});
  world.turn();
  CHECK(!home.answered(5));
  auto made = create("/a", "x");
  world.node(2).submit({write(0, 6, made)});
  world.settle();

  CHECK(home.reply(5).data == "x");
  CHECK(home.reply(5).index >= seen);
}

TEST_CASE("desk: a write behind a linearizable read takes effect after it") {
  World world(2);
  world.elect(2);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  auto made = create("/a", "0"), changed = setData("/a", "1");

  home.submit({write(session, 1, made), get(session, 2, "/a", Level::LINEARIZABLE),
               write(session, 3, changed), get(session, 4, "/a")});
  world.settle();

  CHECK(home.reply(2).data == "0");
  CHECK(home.reply(4).data == "1");
}

TEST_CASE("desk: sync and linearizable reads wait for what the leader had committed (C8)") {
  World world(2);
  world.elect(2);
  auto session = world.open(1).attached;
  auto made = create("/a", "x");
  auto& home = world.node(1);
  world.node(2).submit({write(0, 6, made)});
  world.turn();
  world.logProposals();
  world.commit(world.length());
  world.applyTo(world.node(2), world.committed);

  home.submit({sync(session, 7), get(session, 8, "/a"),
               get(0, 9, "/a", Level::LINEARIZABLE)});
  world.turn();
  while (world.deliver(1, 2)) {}
  world.turn();
  world.answerReads();
  while (world.deliver(2, 1)) {}
  world.turn();
  CHECK(!home.answered(7));
  CHECK(!home.answered(9));
  world.settle();

  CHECK(home.reply(7).error == Error::OK);
  CHECK(home.reply(7).index >= world.committed);
  CHECK(home.reply(8).data == "x");
  CHECK(home.reply(9).data == "x");
}

TEST_CASE("desk: a read barrier survives a change of leader") {
  World world(3);
  world.elect(2);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  home.submit({sync(session, 7)});
  world.lose();
  world.settle();
  CHECK(!home.answered(7));

  world.elect(3);
  world.settle();

  CHECK(home.reply(7).error == Error::OK);
}

TEST_CASE("desk: a second connection ends the first one before it is told its own attach (B4)") {
  World world(1);
  world.elect(1);
  auto first = world.open(1, 6000, 1);
  auto again = attach(first.attached, 2, 6000, 1, first.password);
  auto& home = world.node(1);
  home.told.clear();

  home.submit({write(0, 50, again)});
  world.settle();

  REQUIRE(home.told.size() == 2);
  CHECK(home.told[0].kind == Told::ENDED);
  CHECK(home.told[0].error == Error::SESSION_MOVED);
  CHECK(home.told[1].token == 50);
  CHECK(home.told[1].incarnation > first.incarnation);
}

TEST_CASE("desk: a session that moved away is ended at its old home, which cannot write (M28)") {
  World world(3);
  world.elect(2);
  auto session = world.open(1);
  auto moved = attach(session.attached, 2, 6000, 3, session.password);
  auto late = create("/late");
  world.node(3).submit({write(0, 50, moved)});
  world.settle();

  CHECK(world.node(3).reply(50).error == Error::OK);
  CHECK(world.node(1).count(Told::ENDED) == 1);
  CHECK(world.node(1).told.back().error == Error::SESSION_MOVED);

  world.node(1).submit({write(session.attached, 51, late)});
  world.settle();
  CHECK(world.node(1).reply(51).error == Error::SESSION_MOVED);
  CHECK(!world.node(2).tree->look("/late"));

  auto fresh = create("/fresh");
  world.node(3).submit({write(session.attached, 52, fresh)});
  world.settle();
  CHECK(world.node(3).reply(52).error == Error::OK);
}

TEST_CASE("desk: a wrong password disturbs nobody (B8)") {
  World world(1);
  world.elect(1);
  auto session = world.open(1);
  auto thief = attach(session.attached, 2, 6000, 1, "0123456789abcdef");

  world.node(1).submit({write(0, 50, thief), ping(session.attached, 51)});
  world.settle();

  CHECK(world.node(1).reply(50).error == Error::SESSION_EXPIRED);
  CHECK(world.node(1).reply(51).error == Error::OK);
  CHECK(world.node(1).count(Told::ENDED) == 0);
}

TEST_CASE("desk: detach is answered, later requests of the session are expired") {
  World world(2);
  world.elect(2);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  auto bye = operation([](Operation::Builder operation) { operation.setDetach(); });
  auto after = create("/after");

  home.submit({write(session, 1, bye), write(session, 2, after), get(session, 3, "/")});
  world.settle();

  CHECK(home.reply(1).error == Error::OK);
  CHECK(home.reply(2).error == Error::SESSION_EXPIRED);
  CHECK(home.reply(3).error == Error::SESSION_EXPIRED);
  CHECK(home.count(Told::ENDED) == 0);
  CHECK(world.node(2).tree->sessionCount() == 0);
}

TEST_CASE("desk: after leave nothing is told, and the session lives on") {
  World world(1);
  world.elect(1);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  auto made = create("/a");
  home.submit({watch(session, 1, "/a", Kind::EXIST)});
  world.turn();
  home.told.clear();
  home.submit({write(session, 2, made), leave(session)});

  world.settle();

  CHECK(home.told.empty());
  CHECK(home.tree->look("/a"));
  CHECK(home.tree->sessionCount() == 1);
}

TEST_CASE("desk: an open whose asker gave up is closed again") {
  World world(2);
  world.elect(2);
  auto words = attach(0, 1, 60000, 1);
  auto& home = world.node(1);
  home.submit({ask(0, 5, [&](auto request) {
    request.setDeadlineMs(50);
    request.setOperation(words.asBytes());
  })});
  world.turn();
  while (world.deliver(1, 2)) {}
  world.clock.advanceTo(world.clock.now() + 60 * kj::MILLISECONDS);
  world.turn();
  CHECK(home.reply(5).error == Error::TIMED_OUT);

  world.settle();

  CHECK(world.length() == 2);
  CHECK(world.node(2).tree->sessionCount() == 0);
}

TEST_CASE("desk: a state replaced by a snapshot sets its sessions adrift") {
  World world(1);
  world.elect(1);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  home.submit({watch(session, 1, "/a", Kind::PERSISTENT)});
  home.desk->stateReplaced();
  world.turn();
  CHECK(home.count(Told::ADRIFT) == 1);
}

TEST_CASE("desk: without room what grows is refused in its turn, all else goes on (P1.5, P4)") {
  World world(2);
  world.elect(2);
  auto session = world.open(1).attached;
  auto& node = world.node(1);
  node.submit({write(session, 1, create("/a"))});
  world.settle();
  node.refusing = "the disk is full";
  auto multi = operation([](Operation::Builder operation) {
    auto parts = operation.initMulti(2);
    parts[0].initCheck().setPath("/a");
    parts[1].initCreate().setPath("/b");
  });
  auto gone = operation([](Operation::Builder operation) { operation.initDelete().setPath("/a"); });
  auto begin = node.told.size();
  node.submit({write(session, 2, gone), write(session, 3, create("/c")), write(session, 4, multi),
               write(session, 5, setData("/a", "x")), get(session, 6, "/a"),
               write(0, 7, create("/d"))});
  world.settle();

  CHECK(node.reply(2).error == Error::OK);
  for (auto token : {3, 4, 5, 7}) CHECK(node.reply(token).error == Error::NO_ROOM);
  CHECK(node.reply(6).error == Error::NO_NODE);
  std::vector<std::uint64_t> order;
  for (auto i = begin; i < node.told.size(); i++) {
    if (node.told[i].session == session) order.push_back(node.told[i].token);
  }
  CHECK(order == std::vector<std::uint64_t>{2, 3, 4, 5, 6});

  node.refusing = "";
  node.submit({write(session, 8, create("/c"))});
  world.settle();
  CHECK(node.reply(8).error == Error::OK);
}

TEST_CASE("desk: over the limit requests are answered overloaded within the turn (P4)") {
  DeskSettings settings;
  settings.limits.pendingRequests = 3;
  World world(1, settings);
  world.elect(1);
  auto session = world.open(1).attached;
  world.lose();
  auto& home = world.node(1);
  auto made = create("/a");

  home.submit({write(session, 1, made), write(session, 2, made), write(session, 3, made),
               write(session, 4, made), get(0, 5, "/", Level::LOCAL)});
  world.turn();
  CHECK(home.reply(4).error == Error::OVERLOADED);
  CHECK(home.reply(5).error == Error::OK);
  world.elect(1);
  world.settle();

  CHECK(home.reply(1).error == Error::OK);
  CHECK(home.reply(3).error == Error::NODE_EXISTS);
}

TEST_CASE("desk: a deadline without a leader is notServing and takes no place in the order") {
  World world(2);
  world.elect(2);
  auto session = world.open(1, 60000).attached;
  auto& home = world.node(1);
  world.lose();
  auto made = create("/a"), next = create("/b");
  home.submit({ask(session, 1,
                   [&](auto request) {
                     request.setDeadlineMs(100);
                     request.setOperation(made.asBytes());
                   }),
               write(session, 2, next), ask(0, 3, [&](auto request) {
                 request.setDeadlineMs(100);
                 request.setSync();
               })});
  world.clock.advanceTo(world.clock.now() + 150 * kj::MILLISECONDS);
  world.turn();
  CHECK(home.reply(1).error == Error::NOT_SERVING);
  CHECK(home.reply(3).error == Error::NOT_SERVING);

  world.elect(2);
  world.settle();

  CHECK(!world.node(2).tree->look("/a"));
  CHECK(home.reply(2).error == Error::OK);
  CHECK(home.tree->look("/b"));
}

TEST_CASE("desk: what an API must not ask is refused at once") {
  World world(1);
  world.elect(1);
  auto session = world.open(1).attached;
  auto& home = world.node(1);
  auto expire = operation([](Operation::Builder operation) { operation.initExpire(1).set(0, 1); });
  auto bye = operation([](Operation::Builder operation) { operation.setDetach(); });
  auto open = attach(0, 3, 5000, 1);
  std::string garbage = "12345678";

  home.submit({write(session, 1, expire), write(0, 2, bye), write(session, 3, open),
               ask(session, 4, [&](auto request) {
                 request.setOperation(kj::StringPtr(garbage.c_str()).asBytes());
               }),
               watch(0, 5, "/a", Kind::DATA)});
  world.turn();

  for (auto token : {1, 2, 3, 4, 5}) CHECK(home.reply(token).error == Error::BAD_ARGUMENTS);
}

TEST_CASE("desk: what is delivered before the outbox is known waits for it") {
  World world(1);
  world.elect(1);
  auto late = world.node(1).desk->door(3);
  auto call = late.submitRequest();
  get(0, 5, "/")(call.initRequests(1)[0]);
  call.send().wait(world.scope);
  world.turn();
  CHECK(world.node(1).told.empty());
}

}  // namespace polyquorum::kernel::test
