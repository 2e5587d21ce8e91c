// SPDX-License-Identifier: Apache-2.0
// A follower may apply an entry before its leader does (docs/adr/0015-followers-count-too.md): what its
// desk then sends is of sessions that the leader's desk does not know yet.
#include <catch2/catch.hpp>
#include "world.h"

namespace polyquorum::kernel::test {
namespace {

/// The leader, 2, has it all decided and has applied nothing of it; the other one has.
void applyOnlyAt(World& world, core::MemberId id) {
  world.logProposals();
  world.committed = world.length();
  world.applyTo(world.node(id), world.length());
  world.turn();
}

void deliverAll(World& world, core::MemberId a, core::MemberId b) {
  world.turn();
  while (world.deliver(a, b) || world.deliver(b, a)) world.turn();
}

}  // namespace

TEST_CASE("desk: a command of a session that its leader has yet to apply takes place") {
  World world(3);
  world.elect(2);
  world.settle();
  auto& home = world.node(1);
  auto begin = attach(0, 1, 6000, 1);
  home.submit({write(0, 1, begin)});
  deliverAll(world, 1, 2);
  applyOnlyAt(world, 1);
  auto session = home.reply(1).attached;
  REQUIRE(session != 0);
  REQUIRE(world.node(2).tree->index() < world.committed);

  auto words = create("/a");
  home.submit({write(session, 2, words)});
  deliverAll(world, 1, 2);
  world.settle();

  CHECK(home.reply(2).error == Error::OK);
}

TEST_CASE("desk: a session that came back in time is not held up by the end that was on its way") {
  World world(3);
  world.elect(2);
  auto old = world.open(1, 4000);
  world.settle();
  auto& home = world.node(3);
  auto again = attach(old.attached, 2, 4000, 3, old.password);
  home.submit({write(0, 1, again)});
  deliverAll(world, 3, 2);
  auto& leader = world.node(2);
  REQUIRE(leader.proposals.size() == 1);
  while (leader.proposals.size() < 2) {  // that session's end, behind its return
    world.clock.advanceTo(world.clock.now() + 100 * kj::MILLISECONDS);
    for (auto& node : world.nodes) node->desk->contact();
    world.turn();
  }
  applyOnlyAt(world, 3);
  REQUIRE(home.reply(1).attached == old.attached);
  deliverAll(world, 3, 2);  // signs of life, and what the leader makes of them

  home.submit({get(old.attached, 2, "/"), ping(old.attached, 3)});
  auto words = create("/a");
  home.submit({write(old.attached, 4, words)});
  deliverAll(world, 3, 2);
  world.settle();

  CHECK(home.reply(2).error == Error::OK);
  CHECK(home.reply(3).error == Error::OK);
  CHECK(home.reply(4).error == Error::OK);
}

}  // namespace polyquorum::kernel::test
