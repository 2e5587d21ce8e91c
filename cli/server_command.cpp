// SPDX-License-Identifier: Apache-2.0
// `polyquorum server`: one server of a cluster, in the foreground.
#include <CLI/CLI.hpp>
#include <memory>
#include "cli/commands.h"
#include "cli/serve.h"
#include "kernel/config.h"
#include "kernel/system_environment.h"

namespace polyquorum::cli {
namespace {

struct ServerArguments {
  std::string file, level = "info";
  std::uint32_t id = 0;
  bool bootstrap = false;
};

Exit runServer(const ServerArguments& arguments) {
  auto config = kernel::readConfig(arguments.file);
  ServeSettings settings;
  settings.id = arguments.id;
  settings.bootstrap = arguments.bootstrap;
  kernel::parseLevel(arguments.level, settings.level);
  return serve(config, settings);
}

}  // namespace

void addServer(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<ServerArguments>();
  auto* verb = app.add_subcommand("server", "Run one server of a cluster");
  verb->add_option("--config", arguments->file, "The cluster's YAML file")
      ->required()
      ->envname("POLYQUORUM_CONFIG");
  verb->add_option("--id", arguments->id, "Which of its servers this is")
      ->required()
      ->envname("POLYQUORUM_ID");
  verb->add_flag("--bootstrap", arguments->bootstrap,
                 "Format an empty data directory as a founding member; only for the first start "
                 "of a cluster");
  verb->add_option("--log-level", arguments->level, "The least important lines that are printed")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  verb->callback([arguments, &context]() {
    context.verb = [arguments]() { return runServer(*arguments); };
  });
}

}  // namespace polyquorum::cli
