// SPDX-License-Identifier: Apache-2.0
// One YAML file for the whole cluster, read strictly into plain structs. Nothing is started here;
// every problem is found at once. yaml-cpp is included by config.cpp only.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace polyquorum::kernel {

/// "cluster.yaml:14:5", counted from 1.
struct Place {
  std::string file;
  int line = 0, column = 0;
  std::string text() const;
};

/// A key of the kernel's own that the file gives; the others have their initial values.
struct KeyGiven {
  std::string key, value;   ///< dotted, e.g. "sessions.tickTime"; value as written
  Place place;
};

/// One option of a plugin as written; typed later, by the plugin (sdk/options.h).
struct OptionGiven {
  std::string name, value;
  Place place;
};

/// `consensus: { use: zab, discovery: adopt }`
struct PluginUse {
  std::string kind;   ///< election, consensus, storage, transport or api
  std::string name;   ///< the value of `use`
  Place place;
  std::vector<OptionGiven> options;
};

struct ServerRow {
  std::uint32_t id = 0;                  ///< 1 to 254
  bool observer = false;
  std::string peer;                      ///< host:port where the other members reach it
  std::string data;                      ///< absolute path of the data directory
  std::string log;                       ///< absolute path of the log directory; data if not given
  /// The other keys: listen addresses of the APIs of that name: ("zookeeper", "127.0.0.1:2181").
  std::vector<std::pair<std::string, std::string>> apis;
  Place place;
};

/// Sessions' clock; ZooKeeper's tickTime rules (B4).
struct SessionSettings {
  std::uint32_t tickMs = 2000;           ///< Expiry is rounded up to a multiple of it.
};

struct SnapshotSettings {
  std::uint64_t every = 100000;          ///< Entries between two snapshots of one node.
  std::uint32_t retain = 3;              ///< Snapshots kept, at least 3.
  std::uint64_t purgeIntervalMs = 0;     ///< 0: purge right after each snapshot.
};

struct ReapSettings {
  std::uint64_t intervalMs = 60000;      ///< Containers and TTL nodes are looked at this often.
  std::uint32_t perMinute = 10000;
};

struct LimitSettings {
  std::uint64_t pendingRequests = 100000;   ///< In one node's desk; above: overloaded.
  std::uint64_t memoryBytes = 1ull << 30;
};

struct LoopSettings {
  std::uint64_t busyPollUs = 200;  ///< See EventPort::setBusyPoll.
};

/// One thing wrong with a configuration.
struct Problem {
  Place place;
  std::string key;      ///< dotted path, e.g. "cluster.servers[1].peer"
  std::string reason;   ///< one sentence, with the cure and the nearest known key
  /// "cluster.yaml:14:5: cluster.servers[1].peer: reason"
  std::string text() const;
};

struct Config {
  std::string file;                      ///< as given
  std::string folder;                    ///< absolute; relative paths in the YAML start here
  std::string cluster;                   ///< name; also the cluster's id on the wire
  bool insecure = false;                 ///< listening on anything but loopback was asked for
  std::uint64_t revision = 0;
  std::vector<ServerRow> servers;
  PluginUse election, consensus, storage, transport;
  std::vector<PluginUse> apis;
  std::vector<std::string> pluginDirectories;   ///< absolute, in order; the binary's own comes last
  SessionSettings sessions;
  SnapshotSettings snapshots;
  ReapSettings reaping;
  LimitSettings limits;
  LoopSettings loop;
  std::vector<KeyGiven> given;           ///< in the order of the file; for `config explain`
  std::vector<Problem> hints;            ///< legal, but most likely not what was meant

  const ServerRow* server(std::uint32_t id) const;
};

/// Everything wrong with a file, together.
class ConfigError : public std::runtime_error {
public:
  explicit ConfigError(std::vector<Problem> problems);
  const std::vector<Problem> problems;   ///< in the order of the file; what() has a line for each
};

/// Reads and checks all that can be known without loading a plugin. Throws ConfigError.
Config readConfig(const std::string& file);
/// The same for text, for tests and fuzzing; file names it in messages, folder resolves paths.
Config parseConfig(const std::string& text, const std::string& file, const std::string& folder);

/// One key that the kernel itself understands; the documentation and `config explain` come from it.
struct KeyText {
  std::string key, initial, accepted, meaning;
};
const std::vector<KeyText>& kernelKeys();

}  // namespace polyquorum::kernel
