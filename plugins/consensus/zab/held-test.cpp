// SPDX-License-Identifier: Apache-2.0
// A follower counts too: what other disks hold and its own disk makes a quorum's is decided, before the
// leader says so. (docs/adr/0015-followers-count-too.md)
#include <catch2/catch.hpp>
#include "plugins/consensus/zab/test_cluster.h"

using namespace polyquorum;
using namespace polyquorum::zab;

TEST_CASE("zab: a follower decides when its disk and its leader's have an entry") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.stall(2, 1);
  cluster.stall(3, 1);
  cluster.propose(1, 2);
  cluster.run(20 * MS);
  CHECK(cluster.at(2).committed == 2);
  CHECK(cluster.at(3).committed == 2);
  CHECK(cluster.at(1).committed == 0);
  cluster.release();
  cluster.run(20 * MS);
  CHECK(cluster.at(1).committed == 2);
}

TEST_CASE("zab: a read at the leader waits for what a follower may have found decided") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.onSend = [](core::MemberId from, const core::Letter& letter) {
    return letter.kind != ACK || from == 1;
  };
  cluster.propose(1);
  cluster.run(20 * MS);
  REQUIRE(cluster.at(2).committed == 1);
  auto token = cluster.read(1);
  cluster.run(20 * MS);  // the round of pings is long over
  CHECK(cluster.at(1).readable.empty());
  cluster.onSend = nullptr;
  cluster.propose(1);
  cluster.run(20 * MS);
  REQUIRE(cluster.at(1).readable.size() == 1);
  CHECK(cluster.at(1).readable[0].token == token);
  CHECK(cluster.at(1).readable[0].index == 1);
}

TEST_CASE("zab: a read that waits so is refused when the leadership ends") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.stall(2, 1);
  cluster.stall(3, 1);
  cluster.propose(1);
  cluster.run(20 * MS);
  auto token = cluster.read(1);
  cluster.run(2000 * MS);
  REQUIRE(cluster.at(1).refused.size() == 1);
  CHECK(cluster.at(1).refused[0].token == token);
  CHECK(cluster.at(1).readable.empty());
}

TEST_CASE("zab: its leader's word alone decides nothing at a follower whose disk is behind") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.stall(3, 1);
  cluster.holdDisk(2);
  cluster.propose(1);
  cluster.run(20 * MS);
  CHECK(cluster.at(2).committed == 0);
  cluster.releaseDisk(2);
  cluster.run(20 * MS);
  CHECK(cluster.at(2).committed == 1);
}

TEST_CASE("zab: a follower with a slow disk still hears what others decided") {
  Cluster cluster(3);
  REQUIRE(cluster.startUnder(1));
  cluster.holdDisk(2);
  cluster.propose(1);
  cluster.run(20 * MS);
  CHECK(cluster.at(2).committed == 1);
}

TEST_CASE("zab: of five voters two others' disks must hold what a follower decides") {
  Cluster cluster(5);
  REQUIRE(cluster.startUnder(1));
  for (core::MemberId id : {3u, 4u, 5u}) cluster.holdDisk(id);
  cluster.propose(1);
  cluster.run(20 * MS);
  CHECK(cluster.at(2).committed == 0);
  cluster.releaseDisk(3);
  for (core::MemberId id : {2u, 3u}) cluster.stall(id, 1);
  cluster.run(20 * MS);
  CHECK(cluster.at(1).committed == 0);
  cluster.release();
  cluster.run(20 * MS);
  CHECK(cluster.at(2).committed == 1);
}
