// SPDX-License-Identifier: Apache-2.0
// The grid: short runs whose every disk operation and every effect of one server is the moment of a
// failure, one run for each. Enumerated, not drawn: no moment is left out.
#pragma once
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>
#include "simulator/story.h"
#include "sdk/core.h"

namespace polyquorum::simulator {

/// What happens at the chosen moment to the server that is looked at.
enum class Strike : std::uint8_t {
  NONE,
  FAIL,   ///< the disk operation fails; it is the server's to go on or to stop
  CRASH,  ///< the power goes before the disk operation: what was not synced may be lost
  KILL,   ///< the process ends before the effect; what it wrote stays
};

struct GridScenario {
  std::string name;
  unsigned servers = 3;
  /// What the scenario does besides the strike.
  enum Play : std::uint8_t {
    CALM,
    RESTART,        ///< the server is killed and comes back
    POWER,          ///< it loses power and comes back
    COLD,           ///< all lose power at once
    DEPOSED,        ///< the leader is cut off and comes back with a tail that nobody wants
    LEADER_KILLED,
    BEHIND,         ///< the server misses a lot: entries or an image for it
    WIPED,          ///< one server lost its disk: an image and a seal
  } play = CALM;
  bool atLeader = false;  ///< the first leader is looked at; else another server
  std::uint64_t snapshotsEvery = 100000;
  std::size_t dataBytes = 8;
  std::string storage = "walSize: 1MiB";
};

/// All of them, in the order of their numbers from 0.
const std::vector<GridScenario>& gridScenarios();

struct GridResult {
  std::optional<Violation> violation;
  std::vector<std::string> last;       ///< the end of the story
  std::map<std::string, std::uint64_t> counters;
  core::MemberId leader = 0;           ///< when a second had passed
  std::uint64_t operations = 0, effects = 0;  ///< of the server looked at, until all heals
  bool struck = false;
  double simulatedSeconds = 0;
};

/// One scenario with all its cells. Runs block; each builds its own event loop.
class Grid {
 public:
  /// Runs it once without a strike, to choose the server and to count.
  explicit Grid(const GridScenario& scenario);
  ~Grid() noexcept(false);

  core::MemberId server() const { return chosen; }
  const GridResult& calm() const { return measured; }
  /// How many cells there are.
  std::uint64_t cells(Strike strike) const;
  /// at: 1 is the first operation or effect.
  GridResult run(Strike strike, std::uint64_t at, std::ostream* trace = nullptr) const;

 private:
  struct Loaded;
  const GridScenario scenario;
  std::unique_ptr<Loaded> loaded;
  core::MemberId chosen = 0;
  GridResult measured;
};

}  // namespace polyquorum::simulator
