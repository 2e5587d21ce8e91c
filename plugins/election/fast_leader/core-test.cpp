// SPDX-License-Identifier: Apache-2.0
// Fast leader election, scene by scene. Servers of a small cluster in virtual time (cluster.h).
#include "plugins/election/fast_leader/core.h"
#include <catch2/catch.hpp>
#include "plugins/election/fast_leader/cluster.h"

namespace polyquorum::fast_leader {
namespace {

using core::Feedback;

TEST_CASE("fast_leader: servers 1 and 2 start empty and 2 leads; 3 joins later (A10.15)") {
  Cluster cluster(3);
  cluster.start(1);
  cluster.run(50 * MS);
  CHECK(cluster.at(1).nominations.empty());

  cluster.start(2);
  CHECK(cluster.runUntilLed(20 * MS) == 2);
  cluster.run(5000 * MS);
  cluster.start(3);

  CHECK(cluster.runUntilLed(20 * MS) == 2);
  CHECK(cluster.at(1).nominations.size() == 1);
  CHECK(cluster.at(2).nominations.size() == 1);
  CHECK(cluster.at(3).nominations.size() == 1);
}

TEST_CASE("fast_leader: leader 2 dies; 1 at zxid 13 beats 3 at zxid 12 (A10.19)") {
  Cluster cluster(3);
  cluster.logGrows = false;
  cluster.start(1);
  cluster.start(2);
  REQUIRE(cluster.runUntilLed(20 * MS) == 2);
  cluster.start(3);
  REQUIRE(cluster.runUntilLed(20 * MS) == 2);
  cluster.tell(1, core::Evidence{101, {101, 13}, 12, true});
  cluster.tell(3, core::Evidence{101, {101, 12}, 12, true});
  cluster.run(10 * MS);

  cluster.stop(2);

  CHECK(cluster.runUntilLed(20 * MS) == 1);
}

TEST_CASE("fast_leader: three idle servers elect in a handful of milliseconds") {
  Cluster cluster(3);
  cluster.startAll();

  CHECK(cluster.runUntilLed(5 * MS) == 3);
  CHECK(cluster.lettersSent <= 16);
}

TEST_CASE("fast_leader: when the leader is killed the survivors do not wait for it") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);

  cluster.stop(3);

  CHECK(cluster.runUntilLed(5 * MS) == 2);
}

TEST_CASE("fast_leader: a returning server joins the running leader without an election (A10.11)") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);
  cluster.stop(3);
  REQUIRE(cluster.runUntilLed(10 * MS) == 2);
  cluster.run(1000 * MS);

  cluster.start(3);

  CHECK(cluster.runUntilLed(10 * MS) == 2);
  CHECK(cluster.at(1).nominations.size() == 2);
  CHECK(cluster.at(2).nominations.size() == 2);
}

TEST_CASE("fast_leader: a late joiner sees one vote though zxids differ (ZOOKEEPER-1732)") {
  Cluster cluster(5);
  for (core::MemberId id : {1, 2, 3}) cluster.start(id);
  REQUIRE(cluster.runUntilLed(20 * MS) == 3);
  cluster.run(100 * MS);
  cluster.start(4);
  REQUIRE(cluster.runUntilLed(20 * MS) == 3);
  cluster.stop(1);
  cluster.run(10 * MS);
  cluster.tell(4, core::Evidence{101, {101, 50}, 50, true});

  cluster.start(5);

  CHECK(cluster.runUntilLed(20 * MS) == 3);
}

TEST_CASE("fast_leader: one of three never elects itself (A10.22)") {
  Cluster cluster(3);
  cluster.start(3);
  cluster.run(600'000 * MS);

  CHECK(cluster.at(3).nominations.empty());
}

TEST_CASE("fast_leader: notifications are repeated after 200 ms, doubling to 60 s (A10.6)") {
  Cluster cluster(3);
  cluster.weather.lossPercent = 100;
  cluster.startAll();
  std::vector<core::Nanos> pauses;
  auto& server = cluster.at(1);
  cluster.run(1 * MS);
  for (int i = 0; i < 12; i++) {
    auto next = server.wakeAt;
    cluster.run(next - cluster.now);
    pauses.push_back((server.wakeAt - next) / MS);
  }

  CHECK(pauses == std::vector<core::Nanos>{400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000,
                                           60000, 60000, 60000});
}

TEST_CASE("fast_leader: a peer that comes up is told at once, however long the pause") {
  Cluster cluster(3);
  cluster.start(1);
  cluster.run(300'000 * MS);

  cluster.start(2);

  CHECK(cluster.runUntilLed(5 * MS) == 2);
}

TEST_CASE("fast_leader: a single voter nominates itself at once") {
  Cluster cluster(1);
  cluster.start(1);
  cluster.run(0);

  CHECK(cluster.commonLeader() == 1);
  CHECK(cluster.at(1).nominations.size() == 1);
}

TEST_CASE("fast_leader: a single voter whose nominations fail does not spin") {
  Cluster cluster(1);
  cluster.leaderTimeout = 1;
  cluster.start(1);
  for (int i = 0; i < 3; i++) {
    cluster.run(0);
    REQUIRE(cluster.at(1).nominee == 1);
    cluster.giveUp(1, Feedback::QUORUM_LOST, 0);
    cluster.tell(1, Feedback{Feedback::QUORUM_LOST, 0, 0});
    cluster.run(200 * MS);
  }

  CHECK(cluster.at(1).nominations.size() == 4);
}

TEST_CASE("fast_leader: with a voter that is up but silent the full finalizeWait is kept") {
  Cluster cluster(3);
  cluster.startAll();
  cluster.run(0);
  cluster.at(3).core = std::make_unique<FastLeader>(Timing{core::NEVER / 4, core::NEVER / 4});
  cluster.at(3).inbox.clear();
  cluster.at(3).wakeAt = core::NEVER;
  core::ElectionOpened deaf{3, {}, {}, {0, {}, 0, false}, 3};
  for (core::MemberId id : {1, 2, 3}) deaf.members.push_back({id, core::Role::VOTER});
  cluster.tell(3, deaf);

  CHECK(cluster.runUntilLed(190 * MS) == 0);
  cluster.run(100 * MS);

  CHECK(cluster.at(1).nominee != 0);
  CHECK(cluster.at(1).nominee == cluster.at(2).nominee);
}

TEST_CASE("fast_leader: five servers lose two one after the other and go on") {
  Cluster cluster(5);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 5);
  cluster.stop(5);
  REQUIRE(cluster.runUntilLed(10 * MS) == 4);
  cluster.stop(4);
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);
  cluster.stop(3);
  CHECK(cluster.runUntilLed(60'000 * MS) == 0);

  cluster.start(4);

  CHECK(cluster.runUntilLed(10 * MS) != 0);
}

TEST_CASE("fast_leader: a partition leaves the majority a leader; healed, the rest joins it") {
  Cluster cluster(5);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 5);
  for (core::MemberId a : {4, 5}) {
    for (core::MemberId b : {1, 2, 3}) cluster.cut(a, b);
  }
  cluster.run(10'000 * MS);
  CHECK(cluster.at(1).nominee == 3);
  CHECK(cluster.at(2).nominee == 3);
  CHECK(cluster.at(4).nominee == 0);
  CHECK(cluster.at(5).nominee == 0);
  auto before = cluster.at(1).nominations.size();

  cluster.heal();

  CHECK(cluster.runUntilLed(20 * MS) == 3);
  CHECK(cluster.at(1).nominations.size() == before);
}

TEST_CASE("fast_leader: a server cut off from the best candidate alone disturbs nobody") {
  Cluster cluster(3);
  cluster.cut(1, 3);
  cluster.startAll();
  cluster.run(5000 * MS);

  CHECK(cluster.at(2).nominee == 3);
  CHECK(cluster.at(3).established);
  CHECK(cluster.at(2).nominations.size() == 1);
  CHECK(cluster.at(3).nominations.size() == 1);

  cluster.heal();
  CHECK(cluster.runUntilLed(10 * MS) == 3);
}

TEST_CASE("fast_leader: who followed a server that votes for a third one does not wait for its timeout") {
  Cluster cluster(3);
  cluster.cut(1, 3);   // 1 hears of 2 alone and agrees with it at once; 2 hears of 3, too
  cluster.startAll();
  cluster.run(2 * MS);
  REQUIRE(cluster.at(1).nominations.size() == 1);
  REQUIRE(cluster.at(1).nominations[0].leader == 2);

  cluster.heal();

  CHECK(cluster.runUntilLed(cluster.timing.finalizeWait + 20 * MS) == 3);   // not the timeout of 1000 ms
}

TEST_CASE("fast_leader: a broken and healed link costs a nomination, no leader (A10.21)") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);
  cluster.cut(1, 3);
  cluster.run(20 * MS);

  cluster.heal();

  CHECK(cluster.runUntilLed(10 * MS) == 3);
  CHECK(cluster.at(1).nominations.size() == 2);   // the same one again (contract, hole 16)
  CHECK(cluster.at(1).nominations.back().leader == 3);
  CHECK(cluster.at(3).nominations.size() == 1);
}

TEST_CASE("fast_leader: learners follow whom the voters elected and are counted nowhere (A10.9)") {
  Cluster cluster(3, 2);
  cluster.setLog(4, 99, 99, 99);   // a learner's log is no candidate
  cluster.start(4);
  cluster.start(5);
  cluster.start(1);
  cluster.run(1000 * MS);
  CHECK(cluster.at(1).nominations.empty());
  CHECK(cluster.at(4).nominations.empty());

  cluster.start(2);

  CHECK(cluster.runUntilLed(20 * MS) == 2);
  CHECK(cluster.at(4).nominee == 2);
  CHECK(cluster.at(5).nominee == 2);
  cluster.start(3);
  CHECK(cluster.runUntilLed(20 * MS) == 2);
  cluster.stop(2);
  CHECK(cluster.runUntilLed(20 * MS) == 3);
}

TEST_CASE("fast_leader: an ineligible voter abstains, but follows (contract, hole 17)") {
  Cluster cluster(3);
  cluster.at(3).evidence = {9, {9, 99}, 99, false};
  cluster.start(2);
  cluster.start(3);
  cluster.run(10'000 * MS);
  CHECK(cluster.at(2).nominations.empty());
  CHECK(cluster.at(3).nominations.empty());

  cluster.start(1);

  CHECK(cluster.runUntilLed(10 * MS) == 2);
  CHECK(cluster.at(3).nominee == 2);
}

TEST_CASE("fast_leader: `behind` hands over to the peer it names (contract, hole 18)") {
  Cluster cluster(3);
  cluster.logGrows = false;
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);

  cluster.giveUp(3, Feedback::BEHIND, 1);
  cluster.run(1 * MS);

  CHECK(cluster.runUntilLed(700 * MS) != 3);
  CHECK(cluster.commonLeader() != 0);
}

TEST_CASE("fast_leader: a leader that resigns is followed by the heir it names") {
  Cluster cluster(5);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 5);
  cluster.run(100 * MS);

  cluster.giveUp(5, Feedback::RESIGNED, 2);
  cluster.run(1 * MS);

  CHECK(cluster.runUntilLed(30 * MS) == 2);
}

TEST_CASE("fast_leader: an heir with a worse log does not lead") {
  Cluster cluster(3);
  cluster.logGrows = false;
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);
  cluster.tell(2, core::Evidence{101, {101, 9}, 0, true});
  cluster.tell(3, core::Evidence{101, {101, 9}, 0, true});
  cluster.run(10 * MS);

  cluster.giveUp(3, Feedback::RESIGNED, 1);
  cluster.run(1 * MS);

  CHECK(cluster.runUntilLed(1500 * MS) == 2);
}

TEST_CASE("fast_leader: an heir that dies is not waited for longer than a second") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);
  cluster.giveUp(3, Feedback::RESIGNED, 1);
  cluster.stop(1);
  cluster.run(1 * MS);

  auto leader = cluster.runUntilLed(1500 * MS);

  CHECK((leader == 2 || leader == 3));
}

TEST_CASE("fast_leader: better evidence while looking is told in a round of its own") {
  Cluster cluster(3);
  cluster.start(1);
  cluster.run(10 * MS);
  cluster.tell(1, core::Evidence{4, {4, 40}, 40, true});
  cluster.run(10 * MS);

  cluster.start(2);

  CHECK(cluster.runUntilLed(10 * MS) == 1);
}

TEST_CASE("fast_leader: a candidate that dies in its own election is forgotten at once") {
  Cluster cluster(3);
  cluster.weather.delayMin = cluster.weather.delayMax = 10 * MS;
  cluster.startAll();
  cluster.run(11 * MS);   // everybody has heard of 3
  CHECK(cluster.at(1).nominations.empty());

  cluster.stop(3);

  CHECK(cluster.runUntilLed(50 * MS) == 2);
  CHECK(cluster.at(1).nominations.size() == 1);
}

TEST_CASE("fast_leader: broken and foreign letters are noted and change nothing") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(cluster.runUntilLed(10 * MS) == 3);
  auto notes = cluster.at(1).notes.size();
  cluster.tell(1, core::Received{{2, 1, 7, {}, {}}});
  cluster.tell(1, core::Received{{2, 1, NOTIFICATION, {0, ~0ull, 2, 9, 9, 9, 0}, {}}});
  cluster.tell(1, core::Received{{200, 1, NOTIFICATION, {0, 9, 2, 9, 9, 9, 0}, {}}});
  cluster.tell(1, core::Received{{2, 1, NOTIFICATION, {0, 9, 77, 9, 9, 9, 0}, {}}});
  cluster.run(10 * MS);

  CHECK(cluster.at(1).notes.size() == notes + 4);
  CHECK(cluster.commonLeader() == 3);
}

TEST_CASE("fast_leader: a core must be opened once, before anything else") {
  FastLeader core({});
  std::vector<core::ElectionEvent> opened{
      core::ElectionOpened{1, {{1, core::Role::VOTER}}, {}, {}, 1}};

  CHECK_THROWS_AS(core.step(0, {}), std::logic_error);
  core.step(0, opened);
  CHECK_THROWS_AS(core.step(1, opened), std::logic_error);
}

}  // namespace
}  // namespace polyquorum::fast_leader
