// SPDX-License-Identifier: Apache-2.0
// See bench.h: checks what was asked, runs it, reports.
#include "bench/bench.h"
#include <sstream>
#include "bench/tests.h"

namespace polyquorum::bench {
namespace {

void check(const BenchOptions& options) {
  auto positive = [](double value, const char* name) {
    if (!(value > 0)) throw BenchProblem(std::string(name) + " must be more than 0");
  };
  positive(options.connections, "--connections");
  positive(options.depth, "--depth");
  positive(options.keys, "--keys");
  positive(options.seconds, "--seconds");
  positive(options.sessions, "--sessions");
  positive(options.rounds, "--rounds");
  positive(options.nodes, "--nodes");
  positive(options.sessionMs, "--session-ms");
  if (options.rate < 0)
    throw BenchProblem("--rate cannot be negative; 0 means as fast as possible");
  if (options.warmupSeconds < 0) throw BenchProblem("--warmup cannot be negative");
  if (options.valueBytes > (1 << 20)) throw BenchProblem("--size can be at most 1048576");
  if (options.root.size() < 2 || options.root.front() != '/' || options.root.back() == '/' ||
      options.root.size() > 200) {
    throw BenchProblem("--root must be a path such as /bench");
  }
  auto& mix = options.mix;
  if (mix.set + mix.get + mix.create + mix.remove != 100) {
    throw BenchProblem("the shares of --mix must add up to 100");
  }
}

}  // namespace

Mix parseMix(const std::string& text) {
  Mix mix{0, 0, 0, 0};
  std::istringstream words(text);
  std::string word;
  bool bare = text.find('=') == std::string::npos && text.find(',') == std::string::npos;
  while (std::getline(words, word, ',')) {
    auto equals = word.find('=');
    auto name = word.substr(0, equals);
    unsigned share = 100;
    if (!bare) {
      auto digits = equals == std::string::npos ? "" : word.substr(equals + 1);
      bool sound = !digits.empty() && digits.size() <= 3 &&
                   digits.find_first_not_of("0123456789") == std::string::npos;
      if (!sound) throw BenchProblem("a mix is written like set=10,get=90, not " + word);
      share = static_cast<unsigned>(std::stoul(digits));
    }
    if (name == "set")
      mix.set = share;
    else if (name == "get")
      mix.get = share;
    else if (name == "create")
      mix.create = share;
    else if (name == "delete")
      mix.remove = share;
    else
      throw BenchProblem("a mix is made of set, get, create and delete, not " + name);
  }
  if (mix.set + mix.get + mix.create + mix.remove != 100) {
    throw BenchProblem("the shares of a mix must add up to 100: " + text);
  }
  return mix;
}

int runBench(const BenchOptions& options, std::ostream& out) {
  check(options);
  struct Row {
    Test test;
    const char* name;
    void (*run)(const BenchOptions&, Report&);
  };
  constexpr Row ROWS[] = {{Test::MIX, "mix", runMix},
                          {Test::LOAD, "load", runLoad},
                          {Test::FANOUT, "fanout", runFanout},
                          {Test::IDLE, "idle", runIdle},
                          {Test::GAP, "gap", runGap}};
  for (auto& row : ROWS) {
    if (row.test != options.test) continue;
    Report report(row.name);
    row.run(options, report);
    report.write(out, options.json);
    return report.failed() ? 1 : 0;
  }
  throw BenchProblem("there is no such test");
}

}  // namespace polyquorum::bench
