// SPDX-License-Identifier: Apache-2.0
// The ordinary life of ZAB, phase by phase. Historic bugs are in history-test.cpp.
#include <catch2/catch.hpp>
#include "plugins/consensus/zab/test_cluster.h"

namespace polyquorum::zab {
namespace {

bool led(Cluster& cluster, core::MemberId leader, core::Nanos within = 3000 * MS) {
  cluster.adviseGood(leader);
  bool led = cluster.runUntil(within, [&] { return cluster.converged() && cluster.leads(leader); });
  cluster.adviseNothing();
  return led;
}

}  // namespace

TEST_CASE("zab: three servers elect by nomination, synchronise and broadcast (DSN'11)") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(led(cluster, 2));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.kinds.clear();

  cluster.propose(1, 60);
  cluster.run(20 * MS);

  CHECK(cluster.kinds[ENTRIES] == 2);
  CHECK(cluster.kinds[ACK] == 3);   // one of them to itself
  CHECK(cluster.kinds[COMMIT] == 2);
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.propose(1, 5);
  cluster.run(20 * MS);
  REQUIRE(led(cluster, 2));
  CHECK(cluster.follows(1));
  CHECK(cluster.at(2).standing.fence == 2);
  CHECK(cluster.decided() == 5);
}

TEST_CASE("zab: a follower restarts with a longer uncommitted tail and is truncated (TRUNC)") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.propose(1, 4);
  cluster.run(20 * MS);
  cluster.isolate(1);
  cluster.propose(1, 6);
  cluster.run(20 * MS);
  cluster.crash(1, 100);
  REQUIRE(cluster.at(1).disk.last().index == 10);

  cluster.nominate(2, 2);
  cluster.nominate(3, 2);
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.leads(2); }));
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

TEST_CASE("zab: what a quorum lacks but one member has goes, also if that member is ahead by index") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.isolate(1);
  cluster.propose(1, 20);
  cluster.run(20 * MS);
  cluster.nominate(2, 2);
  cluster.nominate(3, 2);
  REQUIRE(cluster.runUntil(3000 * MS, [&] { return cluster.leads(2); }));
  cluster.propose(2, 2);
  cluster.run(20 * MS);
  cluster.heal();

  // The shorter log wins: its view is newer. (Raft figure 8 in disguise; zxid-only comparison.)
  REQUIRE(led(cluster, 1));
  CHECK(cluster.noted(1, "leader.adopts"));
  CHECK(cluster.decided() == 2);
}

TEST_CASE("zab: a follower below the leader's log gets a snapshot, then the rest (SNAP)") {
  Cluster cluster(3);
  cluster.weather.snapshotKeeps = 2;
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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

TEST_CASE("zab: an observer learns decided entries and is counted nowhere (INFORM)") {
  Cluster cluster(3, 1);
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.propose(1, 10);
  cluster.run(50 * MS);
  CHECK(cluster.converged());
  CHECK(cluster.kinds[INFORM] > 0);
  CHECK(cluster.at(4).committed == 10);
  CHECK(!cluster.at(4).evidence.eligible);

  cluster.isolate(2);
  cluster.isolate(3);
  cluster.propose(1, 1);
  cluster.run(500 * MS);
  CHECK(cluster.decided() == 10);
  CHECK(cluster.at(4).memory.last().index == 10);
}

TEST_CASE("zab: a member that may have forgotten promises learns, and neither promises nor counts") {
  Cluster cluster(3);
  cluster.at(3).mayVote = false;
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.propose(1, 10);
  cluster.run(50 * MS);
  CHECK(cluster.converged());
  CHECK(!cluster.at(3).evidence.eligible);
  CHECK(cluster.at(3).disk.fact("accepted") == 0);

  cluster.isolate(2);
  cluster.propose(1, 1);
  cluster.run(1500 * MS);
  CHECK(cluster.decided() == 10);
  CHECK(cluster.heardOf(1, core::Feedback::QUORUM_LOST));
  cluster.nominate(3, 3);
  cluster.run(10 * MS);
  CHECK(cluster.heardOf(3, core::Feedback::QUORUM_LOST));
}

namespace {

/// Server 3 was away while 1 and 2 decided more; then 1 and 3 are up and 3 is called to lead.
void laggardLeads(Cluster& cluster) {
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.propose(1, 20);
  cluster.tell(1, core::HandOver{3});
  cluster.propose(1, 2);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.heardOf(1, core::Feedback::RESIGNED); }));
  CHECK(cluster.at(1).feedback.back().peer == 3);
  CHECK(cluster.at(3).disk.last().index == 20);
  REQUIRE(cluster.at(1).refused.size() == 2);
  CHECK(cluster.at(1).refused[0].why == core::Refused::OVERLOADED);
  REQUIRE(cluster.runUntil(2 * MS, [&] { return cluster.heardOf(3, core::Feedback::LOST); }));
  REQUIRE(led(cluster, 3));
}

TEST_CASE("zab: a leader keeps its place if the heir cannot catch up in time") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.propose(1, 5);
  cluster.run(20 * MS);
  cluster.isolate(1);
  cluster.nominate(2, 2);
  cluster.nominate(3, 2);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.leads(2); }));
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

TEST_CASE("zab: many reads share one round of pings") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  REQUIRE(led(cluster, 1));
  cluster.start(3);
  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.heardOf(1, core::Feedback::FENCED); }));
  CHECK(cluster.at(1).feedback.back().fence == 40);
  REQUIRE(led(cluster, 1));
  CHECK(cluster.at(1).standing.fence == 41);
}

TEST_CASE("zab: epochs are 64 bits wide (ZOOKEEPER-1277)") {
  Cluster cluster(3);
  for (auto& [id, server] : cluster.all()) {
    server.disk.facts["accepted"] = 0xffff'ffff'ffff;
    server.disk.facts["view"] = 0xffff'ffff'ffff;
  }
  cluster.startAll();
  REQUIRE(led(cluster, 1));
  cluster.propose(1, 2);
  cluster.run(20 * MS);
  CHECK(cluster.at(2).memory.last() == core::Position{0x1'0000'0000'0000, 2});
}

TEST_CASE("zab: a learner's stalled synchronisation is given up and tried again (contract, open stall)") {
  Settings settings;
  settings.syncTimeout = 3000 * MS;
  Cluster cluster(3, 1, 1, settings);
  cluster.weather.snapshotKeeps = 2;
  cluster.start(1);
  cluster.start(2);
  cluster.start(3);
  REQUIRE(led(cluster, 1));
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

TEST_CASE("zab: a follower far behind is paced by its acknowledgements") {
  Settings settings;
  settings.chunkBytes = 1000;
  settings.windowBytes = 3000;
  Cluster cluster(3, 0, 1, settings);
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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
               letter.kind == INFORM || letter.kind == UP_TO_DATE || letter.kind == PULLED;
    if (lie && letter.numbers.size() > 2) letter.numbers[0] = 1000 + i;
    cluster.tell(to, core::Received{letter});
    cluster.run(MS);
  }
  for (int i = 0; i < 20 && !cluster.leads(1); i++) cluster.run(200 * MS);
  cluster.propose(1, 3);
  CHECK(cluster.runUntil(10'000 * MS, [&] { return cluster.converged() && cluster.decided() > 2; }));
  CHECK(cluster.noted(1, "letter.malformed"));
}

TEST_CASE("zab: a hole in the log makes a voter abstain until it holds everything again (CTRL)") {
  Cluster cluster(3);
  cluster.startAll();
  REQUIRE(led(cluster, 1));
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

  cluster.nominate(3, 1);
  REQUIRE(cluster.runUntil(1000 * MS, [&] { return cluster.converged(); }));
  cluster.run(50 * MS);
  CHECK(cluster.at(3).evidence.eligible);
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
