// SPDX-License-Identifier: Apache-2.0
// `polyquorum bench`: the load generator of bench/ under the common flags of this program.
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include "bench/bench.h"
#include "bench/bench_options.h"
#include "cli/commands.h"

namespace polyquorum::cli {
namespace {

Exit runBench(bench::BenchOptions options, Format format) {
  options.json = options.json || format == Format::JSON;
  if (isatty(2) == 1) options.progress = &std::cerr;
  try {
    return bench::runBench(options, std::cout) == 0 ? DONE : FAILED;
  } catch (const bench::BenchProblem& problem) {
    throw Refusal(UNAVAILABLE, problem.what());
  }
}

}  // namespace

void addBench(CLI::App& app, Context& context) {
  auto options = std::make_shared<bench::BenchOptions>();
  auto* verb = app.add_subcommand(
      "bench", "Generate load over ZooKeeper's protocol and measure; drives Apache ZooKeeper, too");
  bench::addBenchOptions(*verb, *options);
  verb->callback([options, &context]() {
    context.verb = [options, &context]() { return runBench(*options, context.format); };
  });
}

}  // namespace polyquorum::cli
