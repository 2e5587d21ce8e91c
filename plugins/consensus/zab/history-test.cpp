// SPDX-License-Identifier: Apache-2.0
// Bugs that ZooKeeper's ZAB once had (protocols.md, section 3, Z1 to Z10, Z12, Z21), each as a schedule.
#include <catch2/catch.hpp>
#include "plugins/consensus/zab/test_cluster.h"

namespace polyquorum::zab {
namespace {

/// 1 led and decided 20 with 2, which then follows 1 again; 3 missed all of it.
void oneMissed(Cluster& cluster) {
  REQUIRE(cluster.startUnder(1));
  cluster.isolate(3);
  cluster.propose(1, 20);
  cluster.run(50 * MS);
  REQUIRE(cluster.decided() == 20);
}

}  // namespace

TEST_CASE("zab: Z1 no ACK_LEADER before the history is durable (ZOOKEEPER-3911)") {
  Cluster cluster(3);
  oneMissed(cluster);
  cluster.crash(2);
  cluster.holdDisk(3);
  cluster.heal();
  REQUIRE(cluster.runUntil(1500 * MS, [&] { return !cluster.leads(1); }));
  cluster.kinds.clear();
  cluster.nominate(1, 1);
  cluster.nominate(3, 1);
  cluster.run(500 * MS);
  // Not even the promise leaves while the disk is slow; then one write after the other.
  CHECK(cluster.kinds[ACK_EPOCH] <= 1);
  cluster.releaseDisk(3);
  REQUIRE(cluster.runUntil(1000 * MS, [&] { return cluster.kinds[NEW_LEADER] == 1; }));
  cluster.holdDisk(3);
  cluster.run(500 * MS);
  CHECK(cluster.kinds[ACK_LEADER] <= 1);   // the leader's own
  CHECK(!cluster.leads(1));

  // All crash; the follower comes back with what was durable, and the old leader stays away.
  cluster.crash(3, 0);
  cluster.crash(1);
  cluster.start(3);
  cluster.start(2);
  REQUIRE(cluster.electAmong(3, 2));
  CHECK(cluster.at(3).committed == 20);
}

TEST_CASE("zab: Z2 a crash after any number of sync writes loses nothing (ZOOKEEPER-4646)") {
  for (std::size_t kept = 0; kept < 8; kept++) {
    Settings settings;
    settings.chunkBytes = 500;
    Cluster cluster(3, 0, 1, settings);
    oneMissed(cluster);
    cluster.heal();
    cluster.nominate(3, 1);
    REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.at(3).standing.fence == 1; }));
    cluster.holdDisk(3);
    cluster.run(30 * MS);
    cluster.crash(3, kept);
    cluster.crash(1);
    cluster.start(3);
    REQUIRE(cluster.electAmong(3, 2));
    CHECK(cluster.at(3).committed == 20);
  }
}

TEST_CASE("zab: Z3 the view never stands before its history on the disk (ZOOKEEPER-4643)") {
  Settings settings;
  settings.chunkBytes = 300;
  Cluster cluster(3, 0, 1, settings);
  oneMissed(cluster);
  cluster.crash(2);
  REQUIRE(cluster.runUntil(1500 * MS, [&] { return !cluster.leads(1); }));
  cluster.heal();
  cluster.start(2);
  REQUIRE(cluster.elect(1));   // epoch 2 or later, with 3 synchronising
  auto epoch = cluster.at(1).standing.fence;

  // And the same once more, looking at the disk after every happening.
  cluster.isolate(3);
  cluster.propose(1, 20);
  cluster.run(50 * MS);
  REQUIRE(cluster.runUntil(1500 * MS, [&] {
    return cluster.at(3).standing.phase == core::Standing::IDLE;
  }));
  cluster.heal();
  cluster.adviseGood(2);
  auto whole = cluster.decided();
  cluster.runUntil(3000 * MS, [&] {
    auto& disk = cluster.at(3).disk;
    if (disk.fact("view") > epoch) CHECK(disk.last().index >= whole);
    return cluster.converged();
  });
  CHECK(cluster.at(3).disk.fact("view") > epoch);
}

TEST_CASE("zab: Z4 an ACK is no ACK_LEADER, whichever comes first (ZOOKEEPER-4685)") {
  Settings settings;
  settings.chunkBytes = 2000;
  Cluster cluster(3, 0, 1, settings);
  oneMissed(cluster);
  cluster.weather.diskMax = 20 * MS;
  cluster.heal();
  cluster.nominate(3, 1);
  auto drops = [&] { return cluster.noted(1, "leader.drops peer=3 why=ack"); };
  for (int i = 0; i < 200 && !cluster.follows(3); i++) {
    cluster.propose(1, 2);
    cluster.run(3 * MS);
  }
  CHECK(cluster.follows(3));
  CHECK(!drops());
  CHECK(cluster.runUntil(1000 * MS, [&] { return cluster.converged(); }));
}

TEST_CASE("zab: Z5 a commit at any point of a synchronisation is neither lost nor early "
          "(ZOOKEEPER-4785, -4394; Zab specification, issues 1 and 2)") {
  for (core::Nanos offset = 0; offset < 60; offset++) {
    Settings settings;
    settings.chunkBytes = 700;
    Cluster cluster(3, 1, 1 + offset, settings);
    oneMissed(cluster);
    cluster.at(3).feedback.clear();   // it heard of its isolation
    cluster.heal();
    cluster.nominate(3, 1);
    cluster.run(offset * MS / 10);
    cluster.propose(1, 3);
    cluster.run(offset % 7 * MS / 10);
    cluster.propose(1, 1);
    REQUIRE(cluster.runUntil(1000 * MS, [&] { return cluster.converged(); }));
    CHECK(cluster.at(3).committed == 24);
    CHECK(!cluster.heardOf(3, core::Feedback::LOST));
  }
}

TEST_CASE("zab: Z6 what was synchronised is passed on without a hole (ZOOKEEPER-4925)") {
  Settings settings;
  settings.chunkBytes = 300;
  Cluster cluster(5, 0, 1, settings);
  REQUIRE(cluster.startUnder(1));
  cluster.isolate(4);
  cluster.isolate(5);
  cluster.propose(1, 15);
  cluster.run(50 * MS);
  cluster.heal();
  cluster.isolate(5);
  cluster.nominate(4, 1);
  cluster.propose(1, 5);
  REQUIRE(cluster.runUntil(2000 * MS, [&] { return cluster.at(4).committed == 20; }));

  cluster.heal();
  REQUIRE(cluster.elect(4));
  CHECK(cluster.at(5).committed == 20);
  for (core::Index index = 1; index <= 20; index++) {
    CHECK(cluster.body(5, index) == cluster.body(2, index));
  }
}

TEST_CASE("zab: Z7 what an earlier role wrote is never acknowledged for a later one "
          "(ZOOKEEPER-4712, -4541)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 5);
  cluster.run(20 * MS);
  // 1 writes proposals that its disk keeps back, loses its place, and follows.
  cluster.holdDisk(1);
  cluster.isolate(1);
  cluster.propose(1, 10);
  cluster.run(20 * MS);
  REQUIRE(cluster.electAmong(2, 3));
  cluster.propose(2, 2);
  cluster.run(20 * MS);
  cluster.heal();
  cluster.nominate(1, 2);
  cluster.run(50 * MS);
  CHECK(cluster.decided() == 7);
  cluster.releaseDisk(1);
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.at(1).disk.last() == cluster.at(2).disk.last());
  CHECK(cluster.decided() == 7);
}

TEST_CASE("zab: Z8 a partitioned leader's proposals leave memory and disk when it follows "
          "(ZOOKEEPER-2845)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 5);
  cluster.run(20 * MS);
  cluster.isolate(1);
  cluster.propose(1, 1);
  cluster.run(20 * MS);
  REQUIRE(cluster.electAmong(2, 3));
  cluster.heal();
  cluster.nominate(1, 2);
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.modes[TRUNC] == 1);
  CHECK(cluster.body(1, 6) == 0);

  REQUIRE(cluster.elect(1));
  cluster.propose(1, 1);
  cluster.run(20 * MS);
  CHECK(cluster.body(1, 6) == cluster.body(3, 6));
}

TEST_CASE("zab: Z9 a snapshot that broke off leaves the disk as it was (ZOOKEEPER-3642)") {
  Cluster cluster(3);
  cluster.weather.snapshotKeeps = 2;
  cluster.weather.snapshotMax = 1;
  oneMissed(cluster);
  cluster.ownSnapshot(1);
  cluster.run(20 * MS);
  cluster.heal();
  cluster.holdDisk(3);
  cluster.nominate(3, 1);
  cluster.run(300 * MS);
  cluster.releaseDisk(3);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.snapshotsAdopted == 1; }));
  // In memory, not on the disk; the leader dies, and this node, too.
  cluster.crash(3, 0);
  cluster.crash(1);
  cluster.start(3);
  CHECK(cluster.at(3).disk.base.index == 0);
  REQUIRE(cluster.electAmong(2, 3));
  CHECK(cluster.runUntil(1000 * MS, [&] { return cluster.at(3).committed == 20; }));
  cluster.crash(3);
  cluster.start(3);
  cluster.nominate(3, 2);
  CHECK(cluster.runUntil(1000 * MS, [&] { return cluster.converged(); }));
}

TEST_CASE("zab: Z10 a TRUNC whose session broke leaves no gap (ZOOKEEPER-5094)") {
  for (int round = 0; round < 40; round++) {
    Cluster cluster(3, 0, 1 + round);
    REQUIRE(cluster.startUnder(1));
    cluster.propose(1, 5);
    cluster.run(20 * MS);
    cluster.isolate(1);
    cluster.propose(1, 8);
    cluster.run(20 * MS);
    REQUIRE(cluster.electAmong(2, 3));
    cluster.propose(2, 4);
    cluster.run(20 * MS);
    cluster.weather.diskMax = 3 * MS;
    cluster.heal();
    cluster.nominate(1, 2);
    cluster.runUntil(500 * MS, [&] { return cluster.modes[TRUNC] > 0; });
    cluster.run(round * MS / 5);
    if (round % 2 == 0) cluster.crash(1);
    else cluster.isolate(1);
    cluster.run(5 * MS);
    cluster.heal();
    if (round % 2 == 0) cluster.start(1);
    cluster.adviseGood(2);
    REQUIRE(cluster.runUntil(5000 * MS, [&] { return cluster.converged(); }));
    cluster.crash(1);
    cluster.start(1);
    REQUIRE(cluster.runUntil(5000 * MS, [&] { return cluster.converged(); }));
    CHECK(cluster.decided() == 9);
  }
}

TEST_CASE("zab: Z12 a restart is possible after a crash between any two writes (ZOOKEEPER-2354)") {
  for (std::size_t kept = 0; kept < 6; kept++) {
    Cluster cluster(3);
    cluster.startAll();
    for (auto& [id, server] : cluster.all()) cluster.holdDisk(id);
    cluster.nominateAll(1);
    cluster.run(20 * MS);
    for (core::MemberId id : {1, 2, 3}) cluster.crash(id, kept);
    cluster.startAll();
    CHECK(cluster.elect(1));
  }
}

TEST_CASE("zab: a late snapshot never cuts a suffix that agrees with it (contract, not caught)") {
  // A node that holds 1..20 and knows nothing decided is handed a snapshot at 10.
  Ledger ledger{Settings{}};
  core::ConsensusOpened opened{3, true, {{1}, {2}, {3}}, {}, {{1, 20, 1}}, {{"view", 1}}, 0};
  ledger.open(opened);
  REQUIRE(ledger.adopt({1, 10}));
  auto effects = ledger.finish(core::NEVER);
  REQUIRE(effects.persist);
  CHECK(!effects.persist->truncateFrom);
  CHECK(ledger.last() == core::Position{1, 20});
  CHECK(ledger.committed() == 10);

  // One that differs is cut: it was seen to differ.
  REQUIRE(ledger.adopt({2, 15}));
  effects = ledger.finish(core::NEVER);
  REQUIRE(effects.persist->truncateFrom);
  CHECK(*effects.persist->truncateFrom == 16);
  CHECK(ledger.last() == core::Position{2, 15});
}

TEST_CASE("zab: an acknowledgement of an earlier session is not counted in a later one (K1)") {
  Cluster cluster(3);
  std::uint64_t session = 0;
  core::Link link = 0;
  cluster.onSend = [&](core::MemberId from, const core::Letter& letter) {
    if (from == 3 && letter.kind == FOLLOWER_INFO) session = letter.numbers[0];
    if (from == 3) link = letter.link;
    return true;
  };
  REQUIRE(cluster.startUnder(1));
  cluster.cut(1, 2);
  auto earlier = session;
  cluster.nominate(3, 0);
  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return session != earlier && cluster.follows(3); }));
  cluster.run(10 * MS);
  cluster.holdDisk(3);
  cluster.propose(1, 5);
  cluster.run(10 * MS);

  auto stale = letter(3, link, ACK, {earlier, 1, 5});
  cluster.tell(1, core::Received{stale});
  cluster.run(10 * MS);
  CHECK(cluster.decided() == 0);
  cluster.releaseDisk(3);
  cluster.run(10 * MS);
  CHECK(cluster.decided() == 5);
}

TEST_CASE("zab: an epoch is counted once, also if two leaders found it (S1; ACKEPOCH -1)") {
  Cluster cluster(3);
  cluster.startAll();
  cluster.stall(1, 2);
  cluster.nominate(1, 1);
  cluster.nominate(2, 1);
  cluster.run(20 * MS);   // 1 has chosen epoch 1; 2 does not know
  cluster.cut(1, 3);
  REQUIRE(cluster.electAmong(3, 2));
  REQUIRE(cluster.at(3).standing.fence == 1);
  cluster.propose(3, 5);
  cluster.run(20 * MS);

  cluster.crash(3);
  cluster.release();
  cluster.nominate(2, 1);
  cluster.run(1000 * MS);
  CHECK(!cluster.leads(1));
  REQUIRE(cluster.runUntil(3000 * MS, [&] {
    return cluster.heardOf(1, core::Feedback::QUORUM_LOST);
  }));
  REQUIRE(cluster.elect(1));
  CHECK(cluster.at(1).committed == 5);
}

TEST_CASE("zab: the view is compared before the last position (Raft figure 8, zxid-only ZAB)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(2));
  cluster.isolate(2);
  cluster.propose(2, 1);        // (1, 1) on 2 only
  cluster.run(20 * MS);
  cluster.crash(2, 100);
  REQUIRE(cluster.electAmong(1, 3));
  cluster.isolate(1);
  cluster.propose(1, 1);        // (2, 1) on 1 only; 3 has view 2 and an empty log
  cluster.run(20 * MS);
  cluster.crash(1, 100);
  cluster.heal();
  cluster.start(2);
  REQUIRE(cluster.electAmong(2, 3));
  CHECK(cluster.at(2).memory.last().index == 0);
  cluster.crash(2);
  cluster.start(1);
  REQUIRE(cluster.electAmong(3, 1));
  CHECK(cluster.decided() == 0);
}

TEST_CASE("zab: two nominees: at most one is established in an epoch, the other one is answered") {
  Cluster cluster(5);
  cluster.startAll();
  cluster.nominate(1, 1);
  cluster.nominate(2, 1);
  cluster.nominate(3, 3);
  cluster.nominate(4, 3);
  cluster.nominate(5, 3);
  cluster.run(3000 * MS);
  CHECK(cluster.leads(3));
  CHECK(cluster.heardOf(1, core::Feedback::QUORUM_LOST));
  CHECK(cluster.heardOf(2, core::Feedback::LOST));
}

}  // namespace polyquorum::zab
