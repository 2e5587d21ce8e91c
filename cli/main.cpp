// SPDX-License-Identifier: Apache-2.0
// The one binary: reads the command line, runs one verb, turns what it throws into one clear error.
#include <kj/exception.h>
#include <CLI/CLI.hpp>
#include <iostream>
#include "cli/commands.h"
#include "kernel/config.h"

namespace polyquorum::cli {
namespace {

Exit runVerb(Context& context) {
  Exit code = DONE;
  auto thrown = kj::runCatchingExceptions([&]() {
    try {
      code = context.verb();
    } catch (const kernel::ConfigError& error) {
      say(error.what());
      auto count = error.problems.size();
      say(paint(Colour::RED, "error: ", 2) + std::to_string(count) +
          (count == 1 ? " problem" : " problems") + " in the configuration; nothing was started");
      code = PROBLEMS;
    } catch (const Refusal& refusal) {
      say(paint(Colour::RED, "error: ", 2) + refusal.what());
      code = refusal.code;
    }
  });
  KJ_IF_MAYBE(exception, thrown) {
    say(paint(Colour::RED, "error: ", 2) + plainly(exception->getDescription().cStr()));
    code = FAILED;
  }
  return code;
}

int run(int argc, char** argv) {
  CLI::App app{"Polyquorum: a coordination service that ZooKeeper's clients can use."};
  Context context;
  app.name("polyquorum");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", std::string("polyquorum ") + POLYQUORUM_VERSION);
  app.add_option("-o,--output", context.format, "How to print results: table or json")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Format>{{"table", Format::TABLE}, {"json", Format::JSON}}))
      ->option_text("table|json");
  addServer(app, context);
  addDev(app, context);
  addCluster(app, context);
  addStatus(app, context);
  addData(app, context);
  addBench(app, context);
  addConfig(app, context);
  addPlugins(app, context);
  addSimulate(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? DONE : USAGE;
  }
  return runVerb(context);
}

}  // namespace
}  // namespace polyquorum::cli

int main(int argc, char** argv) { return polyquorum::cli::run(argc, argv); }
