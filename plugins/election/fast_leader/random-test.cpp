// SPDX-License-Identifier: Apache-2.0
// Fast leader election in random weather: whatever happened, afterwards there is one leader, and
// the best there is. A failing case prints its seed.
#include <catch2/catch.hpp>
#include "plugins/election/fast_leader/cluster.h"

namespace polyquorum::fast_leader {
namespace {

bool worse(const core::Evidence& one, const core::Evidence& other) {
  return std::tie(one.viewFence, one.last) < std::tie(other.viewFence, other.last);
}

void drawLogs(Cluster& cluster) {
  for (auto& [id, server] : cluster.all()) {
    core::Fence fence = 1 + cluster.draw(3);
    cluster.setLog(id, fence, cluster.draw(fence) + 1, cluster.draw(5));
  }
}

/// The voter that every running voter would elect.
core::MemberId best(Cluster& cluster) {
  core::MemberId best = 0;
  for (auto& [id, server] : cluster.all()) {
    if (!server.core || server.role != core::Role::VOTER) continue;
    if (best == 0 || !worse(server.evidence, cluster.at(best).evidence)) best = id;
  }
  return best;
}

TEST_CASE("fast_leader: servers that start together elect the best log (random)") {
  auto seed = GENERATE(range(1, 300));
  INFO("seed " << seed);
  Cluster cluster(seed % 2 ? 3 : 5, seed % 3, seed);
  cluster.logGrows = false;
  cluster.weather.delayMax = 3 * MS;
  cluster.weather.conflate = seed % 4 == 0;
  drawLogs(cluster);
  cluster.startAll();

  CHECK(cluster.runUntilLed(1000 * MS) == best(cluster));
}

TEST_CASE("fast_leader: with letters lost the leader is still best among a quorum (random)") {
  auto seed = GENERATE(range(1, 300));
  INFO("seed " << seed);
  unsigned voters = seed % 2 ? 3 : 5;
  Cluster cluster(voters, seed % 3, seed);
  cluster.logGrows = false;
  cluster.weather.delayMax = 10 * MS;
  cluster.weather.lossPercent = 10 + 10 * (seed % 4);
  cluster.weather.conflate = seed % 3 == 0;
  drawLogs(cluster);
  cluster.startAll();

  auto leader = cluster.runUntilLed(3'000'000 * MS);

  REQUIRE(leader != 0);
  unsigned notBetter = 0;
  for (auto& [id, server] : cluster.all()) {
    if (server.role != core::Role::VOTER) continue;
    notBetter += !worse(cluster.at(leader).evidence, server.evidence);
  }
  CHECK(notBetter >= voters / 2 + 1);
}

void disturb(Cluster& cluster, unsigned servers) {
  core::MemberId a = 1 + cluster.draw(servers), b = 1 + cluster.draw(servers);
  switch (cluster.draw(7)) {
    case 0:
      if (cluster.at(a).core) cluster.stop(a);
      break;
    case 1:
    case 2:
      if (!cluster.at(a).core) cluster.start(a);
      break;
    case 3:
      if (a != b) cluster.cut(a, b);
      break;
    case 4: cluster.heal(); break;
    case 5:
      if (cluster.at(a).nominee == a) {
        auto what = cluster.draw(2) ? core::Feedback::BEHIND : core::Feedback::RESIGNED;
        cluster.giveUp(a, what, b);
      }
      break;
    default: {
      auto better = cluster.at(a).evidence;
      better.last.index += cluster.draw(3);
      better.eligible = cluster.draw(8) != 0;
      cluster.at(a).evidence = better;
      cluster.tell(a, better);
    }
  }
}

TEST_CASE("fast_leader: after any storm there is one leader and it stays (random)") {
  auto seed = GENERATE(range(1, 400));
  INFO("seed " << seed);
  unsigned voters = seed % 2 ? 3 : 5, learners = seed % 3;
  Cluster cluster(voters, learners, seed);
  cluster.weather.delayMax = (1 + seed % 30) * MS;
  cluster.weather.lossPercent = seed % 5 * 8;
  cluster.weather.conflate = seed % 3 == 0;
  drawLogs(cluster);
  for (int i = 0; i < 80; i++) {
    disturb(cluster, voters + learners);
    cluster.run(static_cast<core::Nanos>(cluster.draw(300)) * MS);
  }

  cluster.heal();
  cluster.weather.lossPercent = 0;
  for (auto& [id, server] : cluster.all()) {
    server.evidence.eligible = true;
    cluster.tell(id, server.evidence);
    if (!server.core) cluster.start(id);
  }
  auto leader = cluster.runUntilLed(10'000 * MS);

  REQUIRE(leader != 0);
  auto& nominations = cluster.at(1).nominations;
  auto before = nominations.size();
  cluster.run(100'000 * MS);
  CHECK(cluster.commonLeader() == leader);
  CHECK(nominations.size() == before);
}

TEST_CASE("fast_leader: equal events give equal effects (random)") {
  auto run = [](unsigned seed) {
    Cluster cluster(5, 1, seed);
    cluster.weather.delayMax = 20 * MS;
    cluster.weather.lossPercent = 10;
    std::vector<std::string> notes;
    for (int i = 0; i < 40; i++) {
      disturb(cluster, 6);
      cluster.run(100 * MS);
    }
    for (auto& [id, server] : cluster.all()) {
      notes.insert(notes.end(), server.notes.begin(), server.notes.end());
    }
    return notes;
  };
  for (unsigned seed = 1; seed < 10; seed++) CHECK(run(seed) == run(seed));
}

}  // namespace
}  // namespace polyquorum::fast_leader
