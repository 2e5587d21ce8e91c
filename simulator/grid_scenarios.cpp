// SPDX-License-Identifier: Apache-2.0
// The scenarios of the grid: what is played, on which storage; see grid.h.
#include "simulator/grid.h"

namespace polyquorum::simulator {
namespace {

struct Play {
  const char* name;
  GridScenario::Play play;
  bool alone, together;  ///< makes sense for one server, for three
};
const Play PLAYS[] = {
    {"calm", GridScenario::CALM, true, true},
    {"restart", GridScenario::RESTART, true, true},
    {"power loss", GridScenario::POWER, true, true},
    {"all lose power", GridScenario::COLD, false, true},
    {"deposed leader", GridScenario::DEPOSED, false, true},
    {"leader killed", GridScenario::LEADER_KILLED, false, true},
    {"far behind", GridScenario::BEHIND, false, true},
    {"wiped", GridScenario::WIPED, false, true},
};

struct Variety {
  const char* name;
  std::uint64_t snapshotsEvery;
  std::size_t dataBytes;
  const char* storage;
};
const Variety VARIETIES[] = {
    {"log only", 100000, 8, "walSize: 1MiB"},
    {"snapshots", 8, 8, "walSize: 1MiB"},
    {"log files roll over", 100000, 150000, "walSize: 1MiB"},
    {"log files recycled", 8, 150000, "walSize: 1MiB, snapshotsKept: 1"},
    {"purged by timer", 6, 8, "walSize: 1MiB, snapshotsKept: 1, purgeInterval: 300ms"},
};

std::vector<GridScenario> make() {
  std::vector<GridScenario> out;
  bool atLeader = false;
  for (unsigned servers : {1, 3}) {
    for (auto& play : PLAYS) {
      if (servers == 1 ? !play.alone : !play.together) continue;
      for (auto& variety : VARIETIES) {
        atLeader = !atLeader && servers > 1;
        std::string who = servers == 1 ? "one server" : atLeader ? "leader of 3" : "follower of 3";
        out.push_back({who + ", " + play.name + ", " + variety.name, servers, play.play, atLeader,
                       variety.snapshotsEvery, variety.dataBytes, variety.storage});
      }
    }
  }
  return out;
}

}  // namespace

const std::vector<GridScenario>& gridScenarios() {
  static const auto scenarios = make();
  return scenarios;
}

}  // namespace polyquorum::simulator
