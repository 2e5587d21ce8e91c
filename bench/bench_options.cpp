// SPDX-License-Identifier: Apache-2.0
// See bench_options.h.
#include "bench/bench_options.h"
#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

namespace polyquorum::bench {

void addBenchOptions(CLI::App& verb, BenchOptions& options) {
  static const std::map<std::string, Test> TESTS{{"mix", Test::MIX},
                                                 {"load", Test::LOAD},
                                                 {"fanout", Test::FANOUT},
                                                 {"idle", Test::IDLE},
                                                 {"gap", Test::GAP}};
  verb.add_option("test", options.test,
                  "mix: requests in a loop; load: create many nodes; fanout: one node, many "
                  "watchers; idle: many silent sessions; gap: longest pause between writes")
      ->transform(CLI::CheckedTransformer(TESTS))
      ->option_text("mix|load|fanout|idle|gap [mix]");
  verb.add_option("--servers,--endpoint", options.servers, "host:port,host:port ... to connect to")
      ->envname("POLYQUORUM_ENDPOINTS")
      ->capture_default_str();
  verb.add_option_function<std::string>(
          "--mix",
          [&options](const std::string& text) {
            try {
              options.mix = parseMix(text);
            } catch (const BenchProblem& problem) {
              throw CLI::ValidationError("--mix", problem.what());
            }
          },
          "mix: set, get, or shares of 100 such as set=10,get=80,create=5,delete=5")
      ->option_text("MIX [set]");
  verb.add_option("--connections", options.connections, "Connections, each with its own session")
      ->capture_default_str();
  verb.add_option("--depth", options.depth, "Requests under way on each connection")
      ->capture_default_str();
  verb.add_option("--rate", options.rate,
                  "mix: requests per second in all, latencies counted from their schedule; 0: as "
                  "fast as answers come")
      ->capture_default_str();
  verb.add_option("--keys", options.keys, "mix: nodes that sets and gets choose from")
      ->capture_default_str();
  verb.add_option("--size", options.valueBytes, "Bytes of each value")->capture_default_str();
  verb.add_option("--warmup", options.warmupSeconds, "mix: seconds before measuring")
      ->capture_default_str();
  verb.add_option("--seconds", options.seconds, "mix, gap: seconds of measuring")
      ->capture_default_str();
  verb.add_flag("--timeline", options.timeline, "mix: a row for each second");
  verb.add_option("--slow-ms", options.slowMs, "--timeline: answers that took longer are counted as slow")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_option("--sessions", options.sessions, "fanout, idle: how many")->capture_default_str();
  verb.add_option("--rounds", options.rounds, "fanout: changes of the watched node")
      ->capture_default_str();
  verb.add_option("--hold", options.holdSeconds, "idle: seconds to hold the sessions open")
      ->capture_default_str();
  verb.add_option("--nodes", options.nodes, "load: nodes to create")->capture_default_str();
  verb.add_option("--session-ms", options.sessionMs, "Session timeout to ask for")
      ->capture_default_str();
  verb.add_option("--root", options.root, "Node below which everything happens")
      ->capture_default_str();
  verb.add_flag_function(
      "--progress", [&options](std::int64_t) { options.progress = &std::cerr; },
      "Tell on stderr what is going on; for scripts");
  verb.add_option("--seed", options.seed, "Of the choice of nodes and operations")
      ->capture_default_str();
}

}  // namespace polyquorum::bench
