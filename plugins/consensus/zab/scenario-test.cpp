// SPDX-License-Identifier: Apache-2.0
// The ordinary life of ZAB, phase by phase. Historic bugs are in history-test.cpp.
#include <catch2/catch.hpp>
#include "plugins/consensus/zab/test_cluster.h"

namespace polyquorum::zab {
TEST_CASE("zab: three servers elect by nomination, synchronise and broadcast (DSN'11)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(2));
  CHECK(cluster.heardOf(1, core::Feedback::ESTABLISHED));
  CHECK(cluster.heardOf(2, core::Feedback::ESTABLISHED));

  cluster.propose(2, 100);
  cluster.run(50 * MS);

  CHECK(cluster.decided() == 100);
  CHECK(cluster.converged());
  CHECK(cluster.at(1).evidence.viewFence == 1);
  CHECK(cluster.at(1).standing.leader == 2);
}

TEST_CASE("zab: the proposals of one step travel in one letter to each follower") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.kinds.clear();

  cluster.propose(1, 60);
  cluster.run(20 * MS);

  CHECK(cluster.kinds[ENTRIES] == 2);
  CHECK(cluster.kinds[ACK] == 3);   // one of them to itself
  CHECK(cluster.kinds[HELD] == 2);
  CHECK(cluster.kinds[COMMIT] <= 1);  // to the one whose disk was last
  CHECK(cluster.decided() == 60);
}

TEST_CASE("zab: a single voter leads after its own disk said so, by the same code") {
  Cluster cluster(1);
  cluster.startAll();
  cluster.holdDisk(1);
  cluster.nominate(1, 1);
  cluster.run(100 * MS);
  CHECK(!cluster.leads(1));

  cluster.releaseDisk(1);
  REQUIRE(cluster.runUntil(100 * MS, [&] { return cluster.leads(1); }));
  cluster.propose(1, 3);
  auto token = cluster.read(1);
  cluster.run(20 * MS);

  CHECK(cluster.decided() == 3);
  REQUIRE(cluster.at(1).readable.size() == 1);
  CHECK(cluster.at(1).readable[0].token == token);
}

TEST_CASE("zab: a leader without a quorum gets no epoch and says so") {
  Cluster cluster(3);
  cluster.start(1);
  cluster.nominate(1, 1);
  cluster.run(2500 * MS);
  CHECK(cluster.heardOf(1, core::Feedback::QUORUM_LOST));
  CHECK(cluster.at(1).standing.phase == core::Standing::IDLE);
}

TEST_CASE("zab: every nomination is answered: dead, unknown, and not a voter") {
  Cluster cluster(3, 1);
  cluster.start(1);
  for (core::MemberId leader : {3u, 9u, 4u}) {
    cluster.at(1).feedback.clear();
    cluster.nominate(1, leader);
    cluster.run(2500 * MS);
    CHECK(cluster.heardOf(1, core::Feedback::LOST));
  }
  cluster.start(4);
  cluster.nominate(4, 4);
  cluster.run(MS);
  CHECK(cluster.heardOf(4, core::Feedback::QUORUM_LOST));
}

TEST_CASE("zab: a nomination equal to the last one is a retry when idle and no-op while leading") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.nominateAll(1);
  cluster.run(100 * MS);
  CHECK(cluster.at(1).standing.fence == 1);

  cluster.isolate(3);
  REQUIRE(cluster.runUntil(2000 * MS, [&] { return cluster.heardOf(3, core::Feedback::LOST); }));
  cluster.heal();
  cluster.nominate(3, 1);
  CHECK(cluster.runUntil(1000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.at(1).standing.fence == 1);
}

TEST_CASE("zab: a leader told of another one steps down and follows") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 5);
  cluster.run(20 * MS);
  REQUIRE(cluster.elect(2));
  CHECK(cluster.follows(1));
  CHECK(cluster.at(2).standing.fence == 2);
  CHECK(cluster.decided() == 5);
}

TEST_CASE("zab: a follower restarts with a longer uncommitted tail and is truncated (TRUNC)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 4);
  cluster.run(20 * MS);
  cluster.isolate(1);
  cluster.propose(1, 6);
  cluster.run(20 * MS);
  cluster.crash(1, 100);
  REQUIRE(cluster.at(1).disk.last().index == 10);

  REQUIRE(cluster.electAmong(2, 3));
  cluster.propose(2, 1);
  cluster.run(20 * MS);
  cluster.heal();
  cluster.start(1);
  cluster.nominate(1, 2);

  REQUIRE(cluster.runUntil(1000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.modes[TRUNC] == 1);
  CHECK(cluster.decided() == 5);
  CHECK(cluster.body(1, 5) == cluster.body(2, 5));
}

TEST_CASE("zab: what only one member has goes, also if that member is ahead by index") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.isolate(1);
  cluster.propose(1, 20);
  cluster.run(20 * MS);
  REQUIRE(cluster.electAmong(2, 3));
  cluster.propose(2, 2);
  cluster.run(20 * MS);
  cluster.heal();

  // The shorter log wins: its view is newer. (Raft figure 8 in disguise; zxid-only comparison.)
  REQUIRE(cluster.elect(1));
  CHECK(cluster.noted(1, "leader.adopts"));
  CHECK(cluster.decided() == 2);
}

TEST_CASE("zab: a follower below the leader's log gets a snapshot, then the rest (SNAP)") {
  Cluster cluster(3);
  cluster.weather.snapshotKeeps = 2;
  REQUIRE(cluster.startUnder(1));
  cluster.isolate(3);
  cluster.propose(1, 50);
  cluster.run(50 * MS);
  cluster.ownSnapshot(1);
  cluster.run(20 * MS);
  cluster.propose(1, 10);
  cluster.run(50 * MS);

  cluster.heal();
  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.modes[SNAP] == 1);
  CHECK(cluster.at(3).disk.base.index == 50);
  CHECK(cluster.decided() == 60);
}

namespace {

/// Server 3 was away while 1 and 2 decided more; then 1 and 3 are up and 3 is called to lead.
void laggardLeads(Cluster& cluster) {
  REQUIRE(cluster.startUnder(1));
  cluster.isolate(3);
  cluster.propose(1, 30);
  cluster.run(50 * MS);
  cluster.crash(2);
  cluster.heal();
  cluster.nominate(1, 3);
  cluster.nominate(3, 3);
}

}  // namespace

TEST_CASE("zab: a leader that lags fetches the better history of its quorum (discovery: adopt)") {
  Settings settings;
  settings.chunkBytes = 500;
  Cluster cluster(3, 0, 1, settings);
  laggardLeads(cluster);
  REQUIRE(cluster.runUntil(2000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.leads(3));
  CHECK(cluster.kinds[PULL] > 3);
  CHECK(cluster.at(3).committed == 30);
}

TEST_CASE("zab: a leader that lags far behind adopts a snapshot of its quorum") {
  Cluster cluster(3);
  cluster.weather.snapshotEvery = 20;
  cluster.weather.snapshotKeeps = 3;
  laggardLeads(cluster);
  REQUIRE(cluster.runUntil(2000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.leads(3));
  CHECK(cluster.snapshotsAdopted == 1);
  CHECK(cluster.at(3).committed == 30);
}

TEST_CASE("zab: a leader that lags hands over to the better one (discovery: abort, ZooKeeper)") {
  Settings settings;
  settings.adopt = false;
  Cluster cluster(3, 0, 1, settings);
  laggardLeads(cluster);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.heardOf(3, core::Feedback::BEHIND); }));
  CHECK(cluster.at(3).feedback.back().peer == 1);
  CHECK(!cluster.leads(3));
  cluster.nominate(1, 1);
  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(2000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.leads(1));
}

TEST_CASE("zab: leadership is handed over only to one that has everything, and nothing is lost") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 20);
  cluster.tell(1, core::HandOver{3});
  cluster.propose(1, 2);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.heardOf(1, core::Feedback::RESIGNED); }));
  CHECK(cluster.at(1).feedback.back().peer == 3);
  CHECK(cluster.at(3).disk.last().index == 20);
  REQUIRE(cluster.at(1).refused.size() == 2);
  CHECK(cluster.at(1).refused[0].why == core::Refused::OVERLOADED);
  REQUIRE(cluster.runUntil(2 * MS, [&] { return cluster.heardOf(3, core::Feedback::LOST); }));
  REQUIRE(cluster.elect(3));
}

TEST_CASE("zab: a leader keeps its place if the heir cannot catch up in time") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.holdDisk(3);
  cluster.propose(1, 5);
  cluster.tell(1, core::HandOver{3});
  cluster.run(1200 * MS);
  CHECK(cluster.leads(1));
  CHECK(!cluster.heardOf(1, core::Feedback::RESIGNED));
  cluster.propose(1, 1);
  cluster.run(50 * MS);
  CHECK(cluster.decided() == 6);
}

TEST_CASE("zab: a deposed leader answers no read (ZOOKEEPER-1675)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 5);
  cluster.run(20 * MS);
  for (core::MemberId other : {2, 3}) {   // its links look well
    cluster.stall(1, other);
    cluster.stall(other, 1);
  }
  REQUIRE(cluster.electAmong(2, 3));
  cluster.propose(2, 5);
  cluster.run(20 * MS);
  REQUIRE(cluster.leads(1));

  cluster.read(1);
  auto fresh = cluster.read(2);
  auto elsewhere = cluster.read(3);
  cluster.run(2000 * MS);

  CHECK(cluster.at(1).readable.empty());
  REQUIRE(cluster.at(1).refused.size() == 1);
  CHECK(cluster.at(1).refused[0].why == core::Refused::NOT_LEADER);
  REQUIRE(cluster.at(2).readable.size() == 1);
  CHECK(cluster.at(2).readable[0].token == fresh);
  CHECK(cluster.at(2).readable[0].index == 10);
  REQUIRE(cluster.at(3).refused.size() == 1);
  CHECK(cluster.at(3).refused[0].token == elsewhere);
}

TEST_CASE("zab: an answer to an earlier round of pings confirms no later read (M14, etcd #20418)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 5);
  cluster.run(20 * MS);
  for (core::MemberId other : {2, 3}) cluster.stall(other, 1);
  auto early = cluster.read(1);
  cluster.run(20 * MS);  // both answered; the answers are on their way
  for (core::MemberId other : {2, 3}) cluster.stall(1, other);
  cluster.onSend = [](core::MemberId, const core::Letter& letter) { return letter.kind != BYE; };
  REQUIRE(cluster.electAmong(2, 3));
  cluster.propose(2, 5);
  cluster.run(20 * MS);
  REQUIRE(cluster.leads(1));

  auto late = cluster.read(1);
  cluster.run(20 * MS);
  cluster.onSend = [](core::MemberId from, const core::Letter&) { return from != 1; };
  cluster.release();
  cluster.run(20 * MS);

  REQUIRE(cluster.at(1).readable.size() == 1);
  CHECK(cluster.at(1).readable[0].token == early);
  CHECK(cluster.at(1).readable[0].token != late);
}

}  // namespace polyquorum::zab
