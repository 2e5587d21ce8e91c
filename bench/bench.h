// SPDX-License-Identifier: Apache-2.0
// The load generator's door: what `polyquorum bench` can ask for. Start here.
#pragma once
#include <cstdint>
#include <iosfwd>
#include <stdexcept>
#include <string>

namespace polyquorum::bench {

enum class Test {
  MIX,     ///< closed loop, or open loop with a rate: sets, gets, creates, deletes
  LOAD,    ///< creates many nodes
  FANOUT,  ///< many sessions watch one node: from its set to the last notice
  IDLE,    ///< many sessions that do nothing
  GAP,     ///< the longest time without an acknowledged write, while servers come and go
};

/// Shares of 100.
struct Mix {
  unsigned set = 100, get = 0, create = 0, remove = 0;
};

struct BenchOptions {
  Test test = Test::MIX;
  std::string servers = "127.0.0.1:2181";  ///< "host:port,host:port"; connections go round them
  std::string root = "/bench";             ///< everything happens below this node
  Mix mix;
  unsigned connections = 16;
  unsigned depth = 16;   ///< requests under way on each connection
  double rate = 0;       ///< requests per second in all; 0: closed loop
  unsigned keys = 1000;  ///< nodes that sets and gets choose from
  unsigned valueBytes = 100;
  double warmupSeconds = 1, seconds = 5;
  bool timeline = false;       ///< MIX: a row for each second
  double slowMs = 20;          ///< MIX: from when on an answer counts as slow
  unsigned sessions = 1000;    ///< FANOUT, IDLE
  unsigned rounds = 50;        ///< FANOUT
  double holdSeconds = 10;     ///< IDLE
  unsigned nodes = 1'000'000;  ///< LOAD
  std::int32_t sessionMs = 30'000;
  std::uint64_t seed = 1;
  bool json = false;
  /// Lines about what is going on ("idle.open sessions=10000"); null: silence.
  std::ostream* progress = nullptr;
};

/// Something that the user can mend: no server, a mix that is not 100 %. what() is a sentence.
class BenchProblem : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "set", "get", "set=10,get=90", "create=50,delete=50". Throws BenchProblem.
Mix parseMix(const std::string& text);

/// Runs the test and writes its report, a table or one JSON object. Returns 0, or 1 if requests
/// failed or connections were lost (GAP: only if no write succeeded). Throws BenchProblem.
int runBench(const BenchOptions& options, std::ostream& out);

}  // namespace polyquorum::bench
