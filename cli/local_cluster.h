// SPDX-License-Identifier: Apache-2.0
// A cluster of server processes on this machine: its folder, its processes, their roles.
#pragma once
#include <string>
#include <vector>
#include "cli/four_letter.h"
#include "cli/output.h"
#include "cli/processes.h"
#include "kernel/config.h"

namespace polyquorum::cli {

/// What `cluster up` writes if no file is given.
struct ClusterWish {
  unsigned servers = 3;
  unsigned basePort = 2181;     ///< ZooKeeper's port of server 1; the next free ones are used
  std::string election = "fast_leader", consensus = "zab", storage = "file", transport = "tcp";
};

/// ~/.local/state/polyquorum/cluster, or as XDG_STATE_HOME says.
std::string defaultClusterFolder();

/// YAML for wish with ports that are free now. data is relative to the file.
std::string clusterYaml(const ClusterWish& wish);

/// The address where a server answers ZooKeeper's four-letter words; empty if it has none.
std::string zookeeperAddress(const kernel::ServerRow& row);
std::vector<std::string> zookeeperAddresses(const kernel::Config& config);

/// Where verbs go if nothing is said: the servers of the local cluster, else 127.0.0.1:2181.
std::vector<std::string> usualAddresses();

/// One folder: cluster.yaml or the path of another file, pid files, log files.
class LocalCluster {
public:
  /// Reads what `up` left in folder. Throws Refusal if there is no cluster.
  static LocalCluster find(const std::string& folder);
  /// Makes the folder and its configuration; file empty: from wish, unless one is there already.
  static LocalCluster prepare(const std::string& folder, const std::string& file,
                              const ClusterWish& wish);

  const kernel::Config& config() const { return theConfig; }
  const std::string& folder() const { return theFolder; }
  std::string logFile(std::uint32_t id) const;
  ProcessId process(std::uint32_t id) const;
  bool anyRuns() const;
  /// True if no server has ever been formatted: then, and only then, servers are started as
  /// founding members.
  bool isNew() const;

  void start(std::uint32_t id, bool bootstrap, bool detached) const;
  /// SIGTERM, then SIGKILL after ten seconds; all at the same time.
  void stopAll() const;
  void stop(std::uint32_t id) const;

  std::vector<ServerState> states(int timeoutMs) const;
  /// id, role, pid, addresses, zxid.
  Table table(const std::vector<ServerState>& states) const;

private:
  std::string theFolder;
  kernel::Config theConfig;
};

}  // namespace polyquorum::cli
