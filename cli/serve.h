// SPDX-License-Identifier: Apache-2.0
// Runs one server in this process until a signal or a fault ends it. No command line here.
#pragma once
#include <functional>
#include <string>
#include "cli/exit.h"
#include "kernel/config.h"
#include "sdk/environment.h"

namespace polyquorum::cli {

struct ServeSettings {
  std::uint32_t id = 0;
  bool bootstrap = false;
  sdk::Level level = sdk::Level::INFO;
  /// Called once when the APIs listen; may print.
  std::function<void()> onServing;
};

/// SIGTERM and SIGINT stop in order (exit DONE); a second one ends at once. Throws ConfigError
/// before anything is started, kj::Exception if the start fails. FAILED: the node had to stop.
Exit serve(const kernel::Config& config, const ServeSettings& settings);

}  // namespace polyquorum::cli
