// SPDX-License-Identifier: Apache-2.0
// `polyquorum cluster up|status|kill|restart|down`: a whole cluster on this machine.
#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include "cli/commands.h"
#include "cli/local_cluster.h"
#include "kernel/loader.h"

namespace polyquorum::cli {
namespace {

constexpr int ASK_MS = 1000;
constexpr int STEP_MS = 30;
constexpr int START_LIMIT_MS = 30000;

struct ClusterArguments {
  std::string folder = defaultClusterFolder(), file;
  ClusterWish wish;
  std::uint32_t id = 0;
  bool detach = false, destroy = false, yes = false;
};

using Clock = std::chrono::steady_clock;

long long sinceMs(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

/// The end of a log, for a server that did not come up.
std::string tail(const std::string& file) {
  std::ifstream stream(file, std::ios::ate);
  auto size = static_cast<long long>(stream.tellg());
  if (size <= 0) return "";
  stream.seekg(std::max(0LL, size - 1500));
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A server without ZooKeeper's door cannot be asked; that it runs has to do.
bool allServe(const LocalCluster& cluster, const std::vector<ServerState>& states) {
  for (std::size_t i = 0; i < states.size(); i++) {
    auto& row = cluster.config().servers[i];
    bool mute = zookeeperAddress(row).empty();
    if (mute ? cluster.process(row.id).pid == 0 : !states[i].serving) return false;
  }
  return true;
}

/// Waits until every server that runs serves. Throws Refusal with the log of one that ended.
std::vector<ServerState> waitForLeader(const LocalCluster& cluster, SignalWait& signals) {
  Progress progress;
  auto start = Clock::now();
  auto& servers = cluster.config().servers;
  for (;;) {
    int signal = signals.next(STEP_MS);
    if (signal == SIGINT || signal == SIGTERM) throw Refusal(FAILED, "interrupted");
    auto states = cluster.states(ASK_MS);
    if (allServe(cluster, states)) return states;
    std::size_t serving = 0, answering = 0;
    for (std::size_t i = 0; i < states.size(); i++) {
      serving += states[i].serving;
      answering += states[i].answered;
      if (states[i].answered || cluster.process(servers[i].id).pid != 0) continue;
      throw Refusal(FAILED, "server " + std::to_string(servers[i].id) + " ended; its log " +
                                cluster.logFile(servers[i].id) + " ends with\n" +
                                tail(cluster.logFile(servers[i].id)));
    }
    progress.show("starting: " + std::to_string(answering) + " of " +
                  std::to_string(states.size()) + " answer, " + std::to_string(serving) +
                  " serve, " + std::to_string(sinceMs(start)) + " ms");
    if (sinceMs(start) > START_LIMIT_MS) {
      throw Refusal(UNAVAILABLE, "no leader after 30 s; look into " + cluster.folder() + "/log");
    }
  }
}

std::string folderFlag(const ClusterArguments& arguments) {
  if (arguments.folder == defaultClusterFolder()) return "";
  return " --folder " + arguments.folder;
}

void printWelcome(const LocalCluster& cluster, const std::vector<ServerState>& states,
                  const ClusterArguments& arguments, Format format) {
  cluster.table(states).print(format);
  if (format == Format::JSON) return;
  std::string all;
  std::uint32_t leader = cluster.config().servers[0].id;
  for (std::size_t i = 0; i < states.size(); i++) {
    auto address = zookeeperAddress(cluster.config().servers[i]);
    if (!address.empty()) all += (all.empty() ? "" : ",") + address;
    if (states[i].mode == "leader") leader = cluster.config().servers[i].id;
  }
  auto flag = folderFlag(arguments);
  auto endpoint = flag.empty() ? "" : " --endpoint " + all;
  std::cout << "\nTry:\n  polyquorum create /hello world" << endpoint
            << "\n  polyquorum cluster kill " << leader << flag
            << "     # the leader; nobody should notice\n  zkCli.sh -server " << all << "\n\n"
            << std::flush;
}

/// Stays with the servers until Ctrl-C, or until all of them were stopped by others.
Exit stay(const LocalCluster& cluster, SignalWait& signals) {
  say("Ctrl-C stops all servers. Logs are in " + cluster.folder() + "/log");
  std::vector<bool> running(cluster.config().servers.size(), true);
  for (;;) {
    int signal = signals.next(1000);
    if (signal == SIGINT || signal == SIGTERM) break;
    for (std::size_t i = 0; i < running.size(); i++) {
      auto id = cluster.config().servers[i].id;
      bool now = cluster.process(id).pid != 0;
      if (now != running[i]) {
        say("server " + std::to_string(id) + (now ? " is back" : " is down; bring it back with "
            "`polyquorum cluster restart " + std::to_string(id) + "`"));
      }
      running[i] = now;
    }
    if (std::find(running.begin(), running.end(), true) == running.end()) {
      say("all servers are down");
      return DONE;
    }
  }
  say("stopping");
  cluster.stopAll();
  return DONE;
}

Exit up(const ClusterArguments& arguments, Format format) {
  auto cluster = LocalCluster::prepare(arguments.folder, arguments.file, arguments.wish);
  if (cluster.anyRuns()) {
    throw Refusal(CONFLICT, "the cluster in " + cluster.folder() +
                                " runs already; see `polyquorum cluster status`, or stop it with "
                                "`polyquorum cluster down`");
  }
  kernel::load(cluster.config());
  for (auto& hint : cluster.config().hints) say("hint: " + hint.text());
  SignalWait signals;
  bool fresh = cluster.isNew();
  try {
    for (auto& row : cluster.config().servers) cluster.start(row.id, fresh, arguments.detach);
    auto states = waitForLeader(cluster, signals);
    printWelcome(cluster, states, arguments, format);
  } catch (...) {
    cluster.stopAll();
    throw;
  }
  return arguments.detach ? DONE : stay(cluster, signals);
}

Exit status(const ClusterArguments& arguments, Format format) {
  auto cluster = LocalCluster::find(arguments.folder);
  auto states = cluster.states(ASK_MS);
  cluster.table(states).print(format);
  bool led = std::any_of(states.begin(), states.end(), [](auto& state) {
    return state.mode == "leader" || state.mode == "standalone";
  });
  return led ? DONE : UNAVAILABLE;
}

void requireServer(const LocalCluster& cluster, std::uint32_t id) {
  if (cluster.config().server(id) != nullptr) return;
  throw Refusal(NOT_FOUND, "there is no server " + std::to_string(id) + " in " +
                               cluster.config().file);
}

Exit killOne(const ClusterArguments& arguments, Format) {
  auto cluster = LocalCluster::find(arguments.folder);
  requireServer(cluster, arguments.id);
  auto process = cluster.process(arguments.id);
  if (!sendSignal(process, SIGKILL)) {
    throw Refusal(NOT_FOUND, "server " + std::to_string(arguments.id) + " does not run");
  }
  waitForEnd(process, ASK_MS);
  say("server " + std::to_string(arguments.id) + " (pid " + std::to_string(process.pid) +
      ") was killed; bring it back with `polyquorum cluster restart " +
      std::to_string(arguments.id) + folderFlag(arguments) + "`");
  return DONE;
}

Exit restart(const ClusterArguments& arguments, Format) {
  auto cluster = LocalCluster::find(arguments.folder);
  requireServer(cluster, arguments.id);
  cluster.stop(arguments.id);
  SignalWait signals;
  cluster.start(arguments.id, false, true);
  auto address = zookeeperAddress(*cluster.config().server(arguments.id));
  auto start = Clock::now();
  while (sinceMs(start) < START_LIMIT_MS) {
    signals.next(STEP_MS);
    auto state = askServers({address}, ASK_MS)[0];
    if (state.serving) {
      say("server " + std::to_string(arguments.id) + " serves again as " + state.mode + " after " +
          std::to_string(sinceMs(start)) + " ms");
      return DONE;
    }
    if (cluster.process(arguments.id).pid != 0) continue;
    throw Refusal(FAILED, "server " + std::to_string(arguments.id) + " ended; its log " +
                              cluster.logFile(arguments.id) + " ends with\n" +
                              tail(cluster.logFile(arguments.id)));
  }
  throw Refusal(UNAVAILABLE, "server " + std::to_string(arguments.id) +
                                 " runs but does not serve; is there a majority? See `polyquorum "
                                 "cluster status`");
}

Exit down(const ClusterArguments& arguments, Format) {
  auto cluster = LocalCluster::find(arguments.folder);
  cluster.stopAll();
  if (!arguments.destroy) {
    say("all servers are stopped; their data is kept for the next `cluster up`");
    return DONE;
  }
  bool own = cluster.config().folder == cluster.folder();
  if (!own) {
    throw Refusal(USAGE, "--delete removes only clusters that `cluster up` made itself; the data "
                         "of this one belongs to " + cluster.config().file);
  }
  if (!arguments.yes) {
    std::cerr << "Delete " << cluster.folder() << " with all data? [y/N] " << std::flush;
    std::string answer;
    if (!std::getline(std::cin, answer) || (answer != "y" && answer != "yes")) {
      throw Refusal(FAILED, "nothing was deleted");
    }
  }
  std::filesystem::remove_all(cluster.folder());
  say("all servers are stopped and their data is deleted");
  return DONE;
}

}  // namespace

void addCluster(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<ClusterArguments>();
  auto* verb = app.add_subcommand("cluster", "A whole cluster on this machine");
  verb->require_subcommand(1);
  auto add = [&](const char* name, const char* meaning,
                 Exit (*run)(const ClusterArguments&, Format)) {
    auto* one = verb->add_subcommand(name, meaning);
    one->add_option("--folder", arguments->folder, "Where its processes and logs are kept")
        ->capture_default_str();
    one->callback([arguments, run, &context]() {
      context.verb = [arguments, run, &context]() { return run(*arguments, context.format); };
    });
    return one;
  };
  auto* upping = add("up", "Start all servers and wait for a leader", up);
  auto* file = upping->add_option("--config", arguments->file, "A YAML file; else one is made");
  auto& wish = arguments->wish;
  upping->add_option("-n,--servers", wish.servers, "How many servers, if no file is given")
      ->check(CLI::Range(1, 9))
      ->capture_default_str()
      ->excludes(file);
  upping->add_option("--base-port", wish.basePort, "Port of the first server, if free")
      ->check(CLI::Range(1, 65000))
      ->capture_default_str()
      ->excludes(file);
  upping->add_option("--election", wish.election)->capture_default_str()->excludes(file);
  upping->add_option("--consensus", wish.consensus)->capture_default_str()->excludes(file);
  upping->add_option("--storage", wish.storage)->capture_default_str()->excludes(file);
  upping->add_option("--transport", wish.transport)->capture_default_str()->excludes(file);
  upping->add_flag("--detach", arguments->detach, "Return when it serves; leave it running");
  add("status", "Roles and addresses of all servers", status);
  add("kill", "Kill one server with SIGKILL", killOne)
      ->add_option("id", arguments->id, "Which")
      ->required();
  add("restart", "Stop one server if it runs, and start it", restart)
      ->add_option("id", arguments->id, "Which")
      ->required();
  auto* downing = add("down", "Stop all servers", down);
  downing->add_flag("--delete", arguments->destroy, "Delete their data, too");
  downing->add_flag("--yes", arguments->yes, "Do not ask");
}

}  // namespace polyquorum::cli
