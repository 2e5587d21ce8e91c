// SPDX-License-Identifier: Apache-2.0
// Joining a leader that runs already: which letters of settled servers make a quorum for it.
#include <catch2/catch.hpp>
#include "plugins/election/fast_leader/cluster.h"

namespace polyquorum::fast_leader {
namespace {

/// `from` has this leader: so it says to `to`.
void says(Cluster& cluster, core::MemberId from, core::MemberId to, core::MemberId leader, core::Fence epoch,
          std::uint64_t round) {
  auto state = from == leader ? State::LEADING : State::FOLLOWING;
  auto letter = write({state, {leader, round, epoch, {epoch, 9}}, 0}, to);
  letter.peer = from;
  letter.link = 1;
  cluster.tell(to, core::Received{letter});
  cluster.run(MS);
}

TEST_CASE("fast_leader: a server leads again only by votes of the round it is in (ZooKeeper, checkLeader)") {
  Cluster cluster(3);
  cluster.start(3);
  cluster.run(MS);
  says(cluster, 1, 3, 3, 5, 7);
  says(cluster, 2, 3, 3, 5, 7);
  CHECK(cluster.at(3).nominations.empty());

  says(cluster, 1, 3, 3, 5, 1);
  says(cluster, 2, 3, 3, 5, 1);
  REQUIRE(cluster.at(3).nominations.size() == 1);
  CHECK(cluster.at(3).nominations[0].leader == 3);
}

TEST_CASE("fast_leader: followers of two epochs of one leader make no quorum together (ZOOKEEPER-1732)") {
  Cluster cluster(5);
  cluster.start(5);
  cluster.tell(5, core::PeerUp{1, 1, 1});
  says(cluster, 1, 5, 1, 7, 9);
  says(cluster, 2, 5, 1, 7, 9);
  says(cluster, 3, 5, 1, 5, 4);
  CHECK(cluster.at(5).nominations.empty());

  says(cluster, 4, 5, 1, 7, 8);   // it joined in another round
  REQUIRE(cluster.at(5).nominations.size() == 1);
  CHECK(cluster.at(5).nominations[0].leader == 1);
}

}  // namespace
}  // namespace polyquorum::fast_leader
