// SPDX-License-Identifier: Apache-2.0
// `polyquorum dev`: one node with memory storage, for trying things out. Nothing is kept.
#include <stdlib.h>
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include "cli/commands.h"
#include "cli/local_cluster.h"
#include "cli/serve.h"

namespace polyquorum::cli {
namespace {

/// A folder that is gone with the process that made it.
class Folder {
public:
  Folder() {
    auto name = (std::filesystem::temp_directory_path() / "polyquorum-dev-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Refusal(FAILED, "cannot make a folder in /tmp");
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

Exit dev(unsigned port) {
  Folder folder;
  ClusterWish wish;
  wish.servers = 1;
  wish.basePort = port;
  wish.storage = "memory";
  auto config = kernel::parseConfig(clusterYaml(wish), "dev.yaml", folder.path);
  ServeSettings settings;
  settings.id = 1;
  settings.bootstrap = true;
  settings.level = sdk::Level::WARNING;
  settings.onServing = [&]() {
    auto address = zookeeperAddress(config.servers[0]);
    std::cout << "One server in memory; what it holds is gone when it stops (Ctrl-C).\n\n"
              << "  ZooKeeper clients   " << address << "\n"
              << "  shell               zkCli.sh -server " << address << "\n"
              << "  state               polyquorum status --endpoint " << address << "\n"
              << std::flush;
  };
  return serve(config, settings);
}

}  // namespace

void addDev(CLI::App& app, Context& context) {
  auto port = std::make_shared<unsigned>(2181);
  auto* verb = app.add_subcommand("dev", "One server in memory, to try things out");
  verb->add_option("--port", *port, "ZooKeeper's port; the next free one is taken")
      ->check(CLI::Range(1, 65000))
      ->capture_default_str();
  verb->callback([port, &context]() { context.verb = [port]() { return dev(*port); }; });
}

}  // namespace polyquorum::cli
