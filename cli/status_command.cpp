// SPDX-License-Identifier: Apache-2.0
// `polyquorum status`: how servers are, by their four-letter words.
#include <CLI/CLI.hpp>
#include <unistd.h>
#include <iostream>
#include <memory>
#include <sstream>
#include "cli/commands.h"
#include "cli/local_cluster.h"

namespace polyquorum::cli {
namespace {

constexpr int ASK_MS = 1000;

struct StatusArguments {
  std::string endpoints, file;
  bool watch = false;
  double seconds = 1;
};

std::vector<std::string> splitAddresses(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  std::string one;
  while (std::getline(stream, one, ',')) {
    if (one.empty()) continue;
    all.push_back(one.find(':') == std::string::npos ? one + ":2181" : one);
  }
  return all;
}

/// What was asked for; else the local cluster; else ZooKeeper's usual address.
std::vector<std::string> addressesOf(const StatusArguments& arguments) {
  if (!arguments.endpoints.empty()) return splitAddresses(arguments.endpoints);
  if (!arguments.file.empty()) return zookeeperAddresses(kernel::readConfig(arguments.file));
  return usualAddresses();
}

Table tableOf(const std::vector<std::string>& addresses, const std::vector<ServerState>& states) {
  Table table({"address", "role", "zxid", "nodes#", "connections#", "outstanding#",
               "latency min/avg/max", "received#", "sent#", "version"});
  for (std::size_t i = 0; i < states.size(); i++) {
    auto& state = states[i];
    auto role = state.serving ? state.mode : state.answered ? "waiting for a leader" : "no answer";
    table.add({addresses[i], role, state.zxid, state.nodes, state.connections, state.outstanding,
               state.latency, state.received, state.sent, state.version});
  }
  return table;
}

Exit status(const StatusArguments& arguments, Format format) {
  auto addresses = addressesOf(arguments);
  SignalWait signals;
  for (;;) {
    auto states = askServers(addresses, ASK_MS);
    if (arguments.watch && format == Format::TABLE && isatty(1) == 1) std::cout << "\x1b[H\x1b[2J";
    tableOf(addresses, states).print(format);
    bool serving = std::any_of(states.begin(), states.end(),
                               [](auto& state) { return state.serving; });
    if (!arguments.watch) {
      if (!serving) say("no server serves; is the cluster up? See `polyquorum cluster up`");
      return serving ? DONE : UNAVAILABLE;
    }
    int signal = signals.next(static_cast<int>(arguments.seconds * 1000));
    if (signal == SIGINT || signal == SIGTERM) return DONE;
  }
}

}  // namespace

void addStatus(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<StatusArguments>();
  auto* verb = app.add_subcommand("status", "Role, position and load of each server");
  auto* endpoint = verb->add_option("--endpoint", arguments->endpoints,
                                    "host:port,host:port ... of the ZooKeeper API")
                       ->envname("POLYQUORUM_ENDPOINTS");
  verb->add_option("--config", arguments->file, "Ask the servers of this YAML file")
      ->excludes(endpoint);
  verb->add_flag("--watch", arguments->watch, "Again and again, until Ctrl-C");
  verb->add_option("--interval", arguments->seconds, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  verb->callback([arguments, &context]() {
    context.verb = [arguments, &context]() { return status(*arguments, context.format); };
  });
}

}  // namespace polyquorum::cli
