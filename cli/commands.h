// SPDX-License-Identifier: Apache-2.0
// The verbs: each file adds its own to the command line. What runs returns an exit code.
#pragma once
#include <functional>
#include <string>
#include <vector>
#include "cli/exit.h"
#include "cli/output.h"

namespace CLI {
class App;
}

namespace polyquorum::cli {

/// What all verbs share.
struct Context {
  Format format = Format::TABLE;
  /// Set by the verb that was chosen; run after all of the line was read.
  std::function<Exit()> verb;
};

void addServer(CLI::App& app, Context& context);
void addDev(CLI::App& app, Context& context);
void addCluster(CLI::App& app, Context& context);
void addStatus(CLI::App& app, Context& context);
/// ls, get, set, create, rm, stat and watch.
void addData(CLI::App& app, Context& context);
void addBench(CLI::App& app, Context& context);
void addConfig(CLI::App& app, Context& context);
void addPlugins(CLI::App& app, Context& context);
void addSimulate(CLI::App& app, Context& context);

}  // namespace polyquorum::cli
