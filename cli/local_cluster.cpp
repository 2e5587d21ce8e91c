// SPDX-License-Identifier: Apache-2.0
// See local_cluster.h.
#include "cli/local_cluster.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include "cli/exit.h"

namespace polyquorum::cli {
namespace {

namespace fs = std::filesystem;

constexpr int STOP_LIMIT_MS = 12000;  // the server itself gives up after ten seconds
constexpr unsigned PEER_PORT = 2888;  // as in ZooKeeper's documentation

bool portIsFree(unsigned port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return free;
}

/// count ports that are free now, from first on, none of them among taken.
std::vector<unsigned> takePorts(unsigned first, unsigned count,
                                const std::vector<unsigned>& taken) {
  std::vector<unsigned> ports;
  for (auto port = first; ports.size() < count; port++) {
    if (port > 65535) throw Refusal(FAILED, "no port is free; choose a lower --base-port");
    bool own = std::find(taken.begin(), taken.end(), port) != taken.end();
    if (!own && portIsFree(port)) ports.push_back(port);
  }
  return ports;
}

std::string pidFile(const std::string& folder, std::uint32_t id) {
  return folder + "/pid/" + std::to_string(id);
}

bool isLoopback(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address.rfind("localhost:", 0) == 0 ||
         address.rfind("[::1]:", 0) == 0;
}

void makeFolder(const std::string& folder) {
  std::error_code error;
  for (auto& path : {folder, folder + "/pid", folder + "/log"}) {
    fs::create_directories(path, error);
    if (error) throw Refusal(FAILED, "cannot make " + path + ": " + error.message());
  }
}

}  // namespace

std::string defaultClusterFolder() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (state != nullptr && *state == '/') return std::string(state) + "/polyquorum/cluster";
  if (home != nullptr && *home == '/')
    return std::string(home) + "/.local/state/polyquorum/cluster";
  return "/tmp/polyquorum-" + std::to_string(getuid()) + "/cluster";
}

std::string clusterYaml(const ClusterWish& wish) {
  auto doors = takePorts(wish.basePort, wish.servers, {});
  auto peers = takePorts(PEER_PORT, wish.servers, doors);
  std::string rows;
  for (unsigned id = 1; id <= wish.servers; id++) {
    auto number = std::to_string(id);
    rows += "    - { id: " + number + ", peer: 127.0.0.1:" + std::to_string(peers[id - 1]) +
            ", zookeeper: 127.0.0.1:" + std::to_string(doors[id - 1]) + ", data: data/" + number +
            " }\n";
  }
  return "# Written by `polyquorum cluster up`; `polyquorum config explain` tells what can be "
         "added.\n"
         "cluster:\n  name: local\n  servers:\n" +
         rows + "plugins:\n  election:  { use: " + wish.election +
         " }\n  consensus: { use: " + wish.consensus + " }\n  storage:   { use: " + wish.storage +
         " }\n  transport: { use: " + wish.transport + " }\n  api:       [ { use: zookeeper } ]\n";
}

std::string zookeeperAddress(const kernel::ServerRow& row) {
  for (auto& [api, address] : row.apis) {
    if (api == "zookeeper") return address;
  }
  return "";
}

std::vector<std::string> zookeeperAddresses(const kernel::Config& config) {
  std::vector<std::string> addresses;
  for (auto& row : config.servers) addresses.push_back(zookeeperAddress(row));
  return addresses;
}

std::vector<std::string> usualAddresses() {
  try {
    return zookeeperAddresses(LocalCluster::find(defaultClusterFolder()).config());
  } catch (const Refusal&) {
    return {"127.0.0.1:2181"};
  }
}

LocalCluster LocalCluster::find(const std::string& folder) {
  LocalCluster cluster;
  cluster.theFolder = fs::absolute(folder).lexically_normal().string();
  std::ifstream link(cluster.theFolder + "/config");
  std::string file;
  if (!std::getline(link, file)) {
    throw Refusal(NOT_FOUND, "there is no local cluster in " + cluster.theFolder +
                                 "; start one with `polyquorum cluster up`, or name its --folder");
  }
  cluster.theConfig = kernel::readConfig(file);
  return cluster;
}

LocalCluster LocalCluster::prepare(const std::string& folder, const std::string& file,
                                   const ClusterWish& wish) {
  auto where = fs::absolute(folder).lexically_normal().string();
  makeFolder(where);
  auto config =
      file.empty() ? where + "/cluster.yaml" : fs::absolute(file).lexically_normal().string();
  std::error_code error;
  if (file.empty() && !fs::exists(config, error)) {
    std::ofstream stream(config);
    stream << clusterYaml(wish);
    if (!stream.flush()) throw Refusal(FAILED, "cannot write " + config);
  }
  LocalCluster cluster;
  cluster.theFolder = where;
  cluster.theConfig = kernel::readConfig(config);
  for (auto& row : cluster.theConfig.servers) {
    if (isLoopback(row.peer)) continue;
    throw Refusal(USAGE, "server " + std::to_string(row.id) + " of " + config + " is at " +
                             row.peer +
                             ", which is not this machine; start it there with "
                             "`polyquorum server`");
  }
  std::ofstream(where + "/config") << config << "\n";
  return cluster;
}

std::string LocalCluster::logFile(std::uint32_t id) const {
  return theFolder + "/log/" + std::to_string(id) + ".log";
}

ProcessId LocalCluster::process(std::uint32_t id) const {
  auto process = readPidFile(pidFile(theFolder, id));
  return isAlive(process) ? process : ProcessId{};
}

bool LocalCluster::anyRuns() const {
  for (auto& row : theConfig.servers) {
    if (process(row.id).pid != 0) return true;
  }
  return false;
}

bool LocalCluster::isNew() const {
  for (auto& row : theConfig.servers) {
    std::error_code error;
    if (fs::exists(row.data + "/identity", error)) return false;
  }
  return true;
}

void LocalCluster::start(std::uint32_t id, bool bootstrap, bool detached) const {
  Launch launch;
  launch.arguments = {"server", "--config", theConfig.file, "--id", std::to_string(id)};
  if (bootstrap) launch.arguments.push_back("--bootstrap");
  launch.logFile = logFile(id);
  launch.detached = detached;
  writePidFile(pidFile(theFolder, id), cli::launch(launch));
}

void LocalCluster::stopAll() const {
  std::vector<ProcessId> running;
  for (auto& row : theConfig.servers) {
    auto one = process(row.id);
    if (sendSignal(one, SIGTERM)) running.push_back(one);
  }
  for (auto& one : running) {
    if (waitForEnd(one, STOP_LIMIT_MS)) continue;
    sendSignal(one, SIGKILL);
    waitForEnd(one, STOP_LIMIT_MS);
  }
}

void LocalCluster::stop(std::uint32_t id) const {
  auto one = process(id);
  if (!sendSignal(one, SIGTERM) || waitForEnd(one, STOP_LIMIT_MS)) return;
  sendSignal(one, SIGKILL);
  waitForEnd(one, STOP_LIMIT_MS);
}

std::vector<ServerState> LocalCluster::states(int timeoutMs) const {
  return askServers(zookeeperAddresses(theConfig), timeoutMs);
}

Table LocalCluster::table(const std::vector<ServerState>& states) const {
  Table table({"id#", "role", "zookeeper", "peer", "pid#", "zxid", "nodes#", "connections#"});
  for (std::size_t i = 0; i < states.size(); i++) {
    auto& row = theConfig.servers[i];
    auto& state = states[i];
    auto pid = process(row.id).pid;
    std::string role = state.serving    ? state.mode
                       : state.answered ? "waiting for a leader"
                       : pid != 0       ? "not answering"
                                        : "down";
    table.add({std::to_string(row.id), role, zookeeperAddress(row), row.peer,
               pid == 0 ? "" : std::to_string(pid), state.zxid, state.nodes, state.connections});
  }
  return table;
}

}  // namespace polyquorum::cli
