// SPDX-License-Identifier: Apache-2.0
// Limits, clocks, hostile letters and damaged disks.
#include <catch2/catch.hpp>
#include "plugins/consensus/zab/test_cluster.h"

namespace polyquorum::zab {
TEST_CASE("zab: many reads share one round of pings") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.kinds.clear();
  for (int i = 0; i < 60; i++) cluster.read(1);
  cluster.run(10 * MS);
  CHECK(cluster.at(1).readable.size() == 60);
  CHECK(cluster.kinds[PING] == 2);
}

TEST_CASE("zab: proposals are refused when too much is undecided, and taken again after") {
  Settings settings;
  settings.undecidedEntries = 10;
  Cluster cluster(3, 0, 1, settings);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 15);
  cluster.run(MS / 100);
  REQUIRE(cluster.at(1).refused.size() == 5);
  CHECK(cluster.at(1).refused[0].why == core::Refused::OVERLOADED);
  cluster.run(50 * MS);
  cluster.propose(1, 10);
  cluster.run(50 * MS);
  CHECK(cluster.decided() == 20);
}

TEST_CASE("zab: a hung leader is lost after the leader timeout, a broken link at once") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.stall(1, 2);
  auto since = cluster.now;
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.heardOf(2, core::Feedback::LOST); }));
  CHECK(cluster.now - since >= 800 * MS);
  CHECK(cluster.now - since <= 1100 * MS);

  since = cluster.now;
  cluster.cut(1, 3);
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.heardOf(3, core::Feedback::LOST); }));
  CHECK(cluster.now - since <= MS);
}

TEST_CASE("zab: leaderAlive comes at most once per heartbeat, also while synchronising") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  std::vector<core::Nanos> alive;
  cluster.onFeedback = [&](core::MemberId at, const core::Feedback& feedback) {
    if (at == 2 && feedback.what == core::Feedback::LEADER_ALIVE) alive.push_back(cluster.now);
  };
  for (int i = 0; i < 100; i++) {
    cluster.propose(1, 3);
    cluster.run(10 * MS);
  }
  REQUIRE(alive.size() >= 8);
  for (std::size_t i = 1; i < alive.size(); i++) CHECK(alive[i] - alive[i - 1] >= 100 * MS);
}

TEST_CASE("zab: a higher epoch fences an established leader, which lets its owner join") {
  Cluster cluster(3);
  cluster.at(3).disk.facts["accepted"] = 40;
  cluster.start(1);
  cluster.start(2);
  REQUIRE(cluster.elect(1));
  cluster.start(3);
  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.heardOf(1, core::Feedback::FENCED); }));
  CHECK(cluster.at(1).feedback.back().fence == 40);
  REQUIRE(cluster.elect(1));
  CHECK(cluster.at(1).standing.fence == 41);
}

TEST_CASE("zab: a learner refuses an epoch below what it promised, whatever its leader took it for") {
  Cluster cluster(3);
  cluster.at(3).disk.facts["accepted"] = 40;
  cluster.start(1);
  cluster.start(3);
  core::Letter call;
  cluster.onSend = [&](core::MemberId, const core::Letter& letter) {
    if (letter.kind == FOLLOWER_INFO) call = letter;
    return letter.kind != FOLLOWER_INFO;
  };
  cluster.nominate(3, 1);
  cluster.run(20 * MS);
  REQUIRE(call.kind == FOLLOWER_INFO);
  cluster.tell(3, core::Received{letter(1, call.link, LEADER_INFO, {call.numbers[0], 39})});
  cluster.run(20 * MS);
  CHECK(cluster.kinds[REFUSE] == 1);
  CHECK(cluster.kinds[ACK_EPOCH] == 0);
  CHECK(cluster.heardOf(3, core::Feedback::LOST));
}

TEST_CASE("zab: epochs are 64 bits wide (ZOOKEEPER-1277)") {
  Cluster cluster(3);
  for (auto& [id, server] : cluster.all()) {
    server.disk.facts["accepted"] = 0xffff'ffff'ffff;
    server.disk.facts["view"] = 0xffff'ffff'ffff;
  }
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 2);
  cluster.run(20 * MS);
  CHECK(cluster.at(2).memory.last() == core::Position{0x1'0000'0000'0000, 2});
}

TEST_CASE("zab: a stalled synchronisation is given up and tried again (contract, open stall)") {
  Settings settings;
  settings.syncTimeout = 3000 * MS;
  Cluster cluster(3, 1, 1, settings);
  cluster.weather.snapshotKeeps = 2;
  cluster.start(1);
  cluster.start(2);
  cluster.start(3);
  REQUIRE(cluster.elect(1));
  cluster.propose(1, 50);
  cluster.run(50 * MS);
  cluster.ownSnapshot(1);
  cluster.run(20 * MS);
  bool swallow = true;
  cluster.onSnapshot = [&](core::MemberId) { return !swallow; };
  cluster.start(4);
  cluster.nominate(4, 1);

  // The leader's pings go on all the time.
  REQUIRE(cluster.runUntil(4000 * MS, [&] { return cluster.heardOf(4, core::Feedback::LOST); }));
  CHECK(cluster.leads(1));
  swallow = false;
  cluster.nominate(4, 1);
  CHECK(cluster.runUntil(2000 * MS, [&] { return cluster.converged(); }));
}

TEST_CASE("zab: a learner that has an image gets no second one, though the first seemed to break off") {
  Cluster cluster(3, 1);
  cluster.weather.snapshotKeeps = 2;
  for (core::MemberId id : {1u, 2u, 3u}) cluster.start(id);
  REQUIRE(cluster.elect(1));
  cluster.propose(1, 50);
  cluster.run(50 * MS);
  cluster.ownSnapshot(1);
  cluster.run(20 * MS);
  core::Link link = 0;
  cluster.onSend = [&](core::MemberId, const core::Letter& letter) {
    if (letter.kind == SYNC) link = letter.link;
    return true;
  };
  cluster.onSnapshot = [&](core::MemberId to) {  // another one of it was whole (zab_test, seed 11677)
    cluster.tell(1, core::SnapshotSent{to, link, {}, false});
    return true;
  };
  cluster.start(4);
  cluster.nominate(4, 1);
  REQUIRE(cluster.runUntil(2000 * MS, [&] { return cluster.converged(); }));
  cluster.propose(1, 5);
  cluster.run(500 * MS);
  CHECK_FALSE(cluster.heardOf(4, core::Feedback::LOST));
  CHECK(cluster.modes[SNAP] == 1);
  CHECK(cluster.at(4).committed == 55);
}

TEST_CASE("zab: a follower far behind is paced by its acknowledgements") {
  Settings settings;
  settings.chunkBytes = 1000;
  settings.windowBytes = 3000;
  Cluster cluster(3, 0, 1, settings);
  REQUIRE(cluster.startUnder(1));
  cluster.isolate(3);
  cluster.propose(1, 400);
  cluster.run(100 * MS);
  std::size_t sent = 0, acked = 0, most = 0;
  cluster.onSend = [&](core::MemberId, const core::Letter& letter) {
    if (letter.kind == ENTRIES) sent += letter.entries.size() * 100;
    if (letter.kind == ACK && letter.numbers[2] > 0) acked = letter.numbers[2] * 100;
    most = std::max(most, sent - std::min(sent, acked));
    return true;
  };
  cluster.heal();
  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(5000 * MS, [&] { return cluster.converged(); }));
  CHECK(most <= 5000);
}

TEST_CASE("zab: malformed and misplaced letters are noted and do no harm (ZOOKEEPER-3769)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.adviseGood(1);
  for (std::uint64_t i = 0; i < 3000; i++) {
    core::Letter letter;
    letter.peer = cluster.draw(5);
    letter.link = cluster.draw(8);
    letter.kind = cluster.draw(22);
    for (auto left = cluster.draw(12); left > 0; left--) {
      letter.numbers.push_back(cluster.draw(3) == 0 ? ~std::uint64_t{0} >> cluster.draw(64)
                                                    : cluster.draw(4));
    }
    if (cluster.draw(4) == 0) letter.entries.push_back({cluster.draw(9), cluster.draw(3), {}});
    auto to = core::MemberId(1 + cluster.draw(3));
    if (letter.peer == to) continue;   // its own letters are not forged
    // A hostile voter may lie about what it holds; that is not in the fault model.
    bool lie = letter.kind == ACK || letter.kind == ACK_LEADER || letter.kind == ACK_EPOCH ||
               letter.kind == COMMIT || letter.kind == PING || letter.kind == ENTRIES ||
               letter.kind == INFORM || letter.kind == UP_TO_DATE || letter.kind == PULLED ||
               letter.kind == HELD;
    if (lie && letter.numbers.size() > 2) letter.numbers[0] = 1000 + i;
    cluster.tell(to, core::Received{letter});
    cluster.run(MS);
  }
  for (int i = 0; i < 20 && !cluster.leads(1); i++) cluster.run(200 * MS);
  cluster.propose(1, 3);
  CHECK(cluster.runUntil(10'000 * MS, [&] {
    return cluster.converged() && cluster.decided() > 2;
  }));
  CHECK(cluster.noted(1, "letter.malformed"));
}

TEST_CASE("zab: a hole in the log makes a voter abstain until it holds everything again (CTRL)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 30);
  cluster.run(50 * MS);
  cluster.crash(3);
  cluster.at(3).disk.log.erase(12);
  cluster.start(3);
  cluster.run(10 * MS);
  CHECK(!cluster.at(3).evidence.eligible);
  CHECK(cluster.at(3).evidence.last.index == 11);
  cluster.crash(3);
  cluster.start(3);
  cluster.run(10 * MS);
  CHECK(!cluster.at(3).evidence.eligible);
  // What stands above the hole may be a last copy: nobody drops it before a history replaces it.
  CHECK(cluster.at(3).disk.log.count(30) == 1);

  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(1000 * MS, [&] { return cluster.converged(); }));
  cluster.run(50 * MS);
  CHECK(cluster.at(3).evidence.eligible);
}

TEST_CASE("zab: a voter whose log's end is damaged abstains and leads nobody (adversary, seed 5300526)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 30);
  cluster.run(50 * MS);
  cluster.crash(3);
  cluster.crash(2);
  cluster.at(3).disk.log.erase(29);
  cluster.at(3).disk.log.erase(30);
  cluster.at(3).disk.damagedTo = 30;
  cluster.start(3);
  cluster.run(10 * MS);
  CHECK(!cluster.at(3).evidence.eligible);
  cluster.nominate(3, 3);
  cluster.nominate(1, 3);
  cluster.run(3000 * MS);
  CHECK(!cluster.leads(3));

  cluster.at(3).disk.damagedTo = 0;
  cluster.start(2);
  REQUIRE(cluster.elect(1));
  cluster.run(50 * MS);
  CHECK(cluster.at(3).evidence.eligible);
  CHECK(cluster.at(3).disk.log.count(30) == 1);
}

TEST_CASE("zab: a leader whose log rots under it serves a learner by its state (seed 9100026)") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.propose(1, 5);
  cluster.run(50 * MS);
  cluster.crash(3);
  cluster.propose(1, 25);
  cluster.run(50 * MS);
  cluster.crash(1);
  cluster.start(1);  // what it serves it now reads from its disk
  cluster.adviseGood(1);
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.leads(1); }));
  cluster.at(1).memory.log.erase(12);
  cluster.at(1).memory.log.erase(13);

  cluster.start(3);
  auto serves = [&] { return cluster.follows(3) && cluster.at(3).committed == cluster.at(1).committed; };
  REQUIRE(cluster.runUntil(3000 * MS, serves));
}

TEST_CASE("zab: equal events give equal effects, whatever the round of the nomination says (S5)") {
  auto trace = [](std::uint64_t round) {
    Cluster cluster(3);
    cluster.startAll();
    for (auto& [id, server] : cluster.all()) cluster.tell(id, core::Nominated{2, round});
    cluster.run(200 * MS);
    cluster.propose(2, 5);
    cluster.run(200 * MS);
    return std::tuple{cluster.lettersSent, cluster.kinds, cluster.decided(),
                      cluster.at(2).standing.fence};
  };
  CHECK(trace(1) == trace(~std::uint64_t{0}));
}

}  // namespace polyquorum::zab
