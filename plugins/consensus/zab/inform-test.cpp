// SPDX-License-Identifier: Apache-2.0
// Members without a vote: what they are told, when, and that nobody counts them.
#include <catch2/catch.hpp>
#include "plugins/consensus/zab/test_cluster.h"

using namespace polyquorum;
using namespace polyquorum::zab;

namespace {

/// An observer is told so rarely that a test sees what goes to it for another reason.
Settings rarely() {
  Settings settings;
  settings.informInterval = 1000 * MS;
  return settings;
}

/// Three voters and an observer, its id 4, that has what was decided; no letter to it for so long that
/// the next one goes out at once.
struct Watched {
  Cluster cluster;
  explicit Watched(Settings settings = {}) : cluster(3, 1, 1, settings) {
    REQUIRE(cluster.startUnder(1));
    cluster.propose(1);
    cluster.run(50 * MS);
    REQUIRE(cluster.at(4).committed == 1);
    cluster.kinds.clear();
  }
};

}  // namespace

TEST_CASE("zab: an observer learns decided entries and is counted nowhere (INFORM)") {
  Cluster cluster(3, 1);
  REQUIRE(cluster.startUnder(1));
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

TEST_CASE("zab: a member that may have forgotten promises learns, and counts nowhere") {
  Cluster cluster(3);
  cluster.at(3).mayVote = false;
  REQUIRE(cluster.startUnder(1));
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

TEST_CASE("zab: an observer is sent the first entry at once and those of the next 10 ms in one letter") {
  Watched watched;
  auto& cluster = watched.cluster;
  for (unsigned i = 0; i < 100; i++) {
    cluster.propose(1);
    cluster.run(1 * MS);
    if (i == 3) CHECK(cluster.at(4).committed >= 2);
  }
  cluster.run(20 * MS);
  CHECK(cluster.at(4).committed == 101);
  CHECK(cluster.kinds[INFORM] >= 8);
  CHECK(cluster.kinds[INFORM] <= 12);
  CHECK(cluster.kinds[ENTRIES] == 200);
}

TEST_CASE("zab: what waits for an observer is sent from memory, not read from the log") {
  Watched watched;
  auto& cluster = watched.cluster;
  cluster.fetches = 0;
  for (unsigned i = 0; i < 20; i++) {
    cluster.propose(1);
    cluster.run(1 * MS);
  }
  cluster.run(20 * MS);
  CHECK(cluster.at(4).committed == 21);
  CHECK(cluster.fetches == 0);
}

TEST_CASE("zab: an entry that a client at the observer waits for is sent at once") {
  Watched watched(rarely());
  auto& cluster = watched.cluster;
  cluster.run(1000 * MS);
  cluster.propose(1);
  cluster.run(10 * MS);
  REQUIRE(cluster.at(4).committed == 2);
  cluster.propose(1);
  cluster.run(20 * MS);
  REQUIRE(cluster.at(4).committed == 2);
  cluster.proposeFor(4, 1);
  cluster.run(20 * MS);
  CHECK(cluster.at(4).committed == 4);
  cluster.propose(1);
  cluster.run(20 * MS);
  CHECK(cluster.at(4).committed == 4);
  cluster.run(1000 * MS);
  CHECK(cluster.at(4).committed == 5);
}

TEST_CASE("zab: what a read must see is sent at once: its asker may be an observer's client") {
  Watched watched(rarely());
  auto& cluster = watched.cluster;
  cluster.propose(1);
  cluster.run(20 * MS);
  REQUIRE(cluster.at(1).committed == 2);
  REQUIRE(cluster.at(4).committed == 1);
  cluster.read(1);
  cluster.run(20 * MS);
  CHECK(cluster.at(4).committed == 2);
  CHECK(cluster.kinds[PING] == 2);  // a round asks voters only
}

TEST_CASE("zab: what waits for an observer is sent at once when it fills a chunk") {
  auto settings = rarely();
  settings.chunkBytes = 1000;
  Watched watched(settings);
  auto& cluster = watched.cluster;
  cluster.propose(1, 2, 100);
  cluster.run(20 * MS);
  REQUIRE(cluster.at(4).committed == 1);
  cluster.propose(1, 1, 1000);
  cluster.run(20 * MS);
  CHECK(cluster.at(4).committed == 4);
}

TEST_CASE("zab: an observer that takes nothing more costs its leader no letters") {
  Settings settings;
  settings.windowBytes = 500;
  Watched watched(settings);
  auto& cluster = watched.cluster;
  cluster.stall(4, 1);
  for (unsigned i = 0; i < 50; i++) {
    cluster.propose(1);
    cluster.run(5 * MS);
  }
  CHECK(cluster.kinds[INFORM] <= 5);
  std::size_t toObserver = 0;
  cluster.onSend = [&](core::MemberId from, const core::Letter& letter) {
    toObserver += from == 1 && letter.peer == 4 && letter.kind != PING;
    return true;
  };
  for (unsigned i = 0; i < 50; i++) {
    cluster.propose(1);
    cluster.run(1 * MS);
  }
  CHECK(toObserver == 0);
  cluster.onSend = nullptr;
  cluster.release();
  REQUIRE(cluster.runUntil(500 * MS, [&] { return cluster.converged(); }));
  CHECK(cluster.at(4).committed == 101);
}
