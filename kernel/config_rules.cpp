// SPDX-License-Identifier: Apache-2.0
// The sections of a configuration and the types of their keys. Not the server rows
// (config_servers.cpp), not the YAML (config.cpp).
#include "kernel/config_rules.h"
#include <algorithm>
#include <charconv>
#include <filesystem>
#include "sdk/options.h"

namespace polyquorum::kernel {
namespace {

constexpr std::uint64_t DAY_MS = 86400000;

std::string durationText(std::uint64_t ms) {
  if (ms == 0) return "0s";
  if (ms % DAY_MS == 0) return std::to_string(ms / DAY_MS) + "d";
  if (ms % 3600000 == 0) return std::to_string(ms / 3600000) + "h";
  if (ms % 60000 == 0) return std::to_string(ms / 60000) + "m";
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

std::string bytesText(std::uint64_t bytes) {
  if (bytes % (1ull << 30) == 0) return std::to_string(bytes >> 30) + "GiB";
  if (bytes % (1ull << 20) == 0) return std::to_string(bytes >> 20) + "MiB";
  return std::to_string(bytes);
}

bool isWord(const std::string& text) {
  if (text.empty() || text.size() > 64) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool isClusterName(const std::string& text) {
  if (text.empty() || text.size() > 64) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

/// Where a key belongs that was written in the wrong place, or under ZooKeeper's name.
std::string otherPlaceOf(const std::string& name) {
  for (auto& known : kernelKeys()) {
    auto dot = known.key.rfind('.');
    if (known.key.substr(dot + 1) == name) return "it belongs to " + known.key;
    if (known.meaning.find("ZooKeeper: " + name + ".") != std::string::npos) {
      return "ZooKeeper's " + name + " is called " + known.key;
    }
  }
  return "";
}

/// Letters to change, add, remove or exchange with their neighbour (optimal string alignment).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); i++) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); j++) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); i++) {
    for (std::size_t j = 1; j <= b.size(); j++) {
      d[i][j] =
          std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

/// A plugin's option: a scalar, or a list of scalars joined by ", ".
void readOption(RuleReader& reader, const Tree& member, const std::string& key, PluginUse& use) {
  OptionGiven option{member.key, "", member.keyPlace};
  if (member.kind == Tree::SCALAR) {
    option.value = member.text;
  } else if (member.kind == Tree::LIST) {
    for (auto& item : member.members) {
      if (item.kind != Tree::SCALAR) {
        reader.problem(item.place, key, "a list of an option holds plain values only");
      } else if (item.text.empty() || item.text.find(", ") != std::string::npos) {
        reader.problem(item.place, key,
                       "a value in a list is not empty and has no comma followed by a space");
      }
      option.value += (option.value.empty() ? "" : ", ") + item.text;
    }
  } else {
    return reader.problem(member.place, key,
                          member.kind == Tree::NOTHING
                              ? "has no value; write one, or remove the key"
                              : "is a map; an option is a value or a list of values");
  }
  use.options.push_back(std::move(option));
}

PluginUse readUse(RuleReader& reader, const Tree& tree, const std::string& kind,
                  const std::string& key) {
  PluginUse use;
  use.kind = kind;
  use.place = tree.place;
  if (tree.kind == Tree::SCALAR) {
    reader.problem(tree.place, key, "is a word; write { use: " + tree.text + " }");
    return use;
  }
  if (tree.refused || !reader.isMap(tree, key, "{ use: NAME }")) return use;
  auto* name = reader.scalar(tree, key, "use");
  if (tree.find("use") == nullptr) {
    reader.problem(tree.place, dotted(key, "use"),
                   "is missing; name a plugin, e.g. { use: NAME }; `polyquorum plugins list` "
                   "shows them");
  } else if (name != nullptr && !isWord(name->text)) {
    reader.problem(
        name->place, dotted(key, "use"),
        quote(name->text) + " is no plugin name; use small letters, digits and _, not a path");
  } else if (name != nullptr) {
    use.name = name->text;
  }
  for (auto& member : tree.members) {
    if (member.key != "use") readOption(reader, member, dotted(key, member.key), use);
  }
  return use;
}

void readApis(RuleReader& reader, const Tree& list) {
  if (list.kind != Tree::LIST) {
    return reader.problem(list.place, "plugins.api",
                          "is not a list; write [ { use: NAME } ], one item for each API");
  }
  if (list.members.empty()) {
    reader.problem(list.place, "plugins.api",
                   "is empty; without an API nobody can use the cluster");
  }
  for (std::size_t i = 0; i < list.members.size(); i++) {
    auto key = "plugins.api[" + std::to_string(i) + "]";
    auto use = readUse(reader, list.members[i], "api", key);
    for (auto& earlier : reader.config.apis) {
      if (use.name.empty() || earlier.name != use.name) continue;
      reader.problem(use.place, key,
                     "the API " + use.name + " is named already in line " +
                         std::to_string(earlier.place.line) + "; remove one of the two");
    }
    reader.config.apis.push_back(std::move(use));
  }
}

void readDirectories(RuleReader& reader, const Tree& list, const std::string& folder) {
  if (list.kind != Tree::LIST) {
    return reader.problem(list.place, "plugins.directories", "is not a list of paths");
  }
  for (auto& item : list.members) {
    if (item.kind != Tree::SCALAR || item.text.empty()) {
      reader.problem(item.place, "plugins.directories", "a directory is a path");
      continue;
    }
    auto path = std::filesystem::path(folder) / item.text;
    reader.config.pluginDirectories.push_back(path.lexically_normal().string());
  }
}

void readPlugins(RuleReader& reader, const Tree* plugins, const Place& start,
                 const std::string& folder) {
  static const char* KINDS[] = {"election", "consensus", "storage", "transport", "api"};
  if (plugins == nullptr) {
    return reader.problem(start, "plugins",
                          "is missing; name one plugin of each kind: election, consensus, storage, "
                          "transport and api");
  }
  if (!reader.isMap(*plugins, "plugins", "a map of the five kinds of plugins")) return;
  reader.refuseUnknown(*plugins, "plugins",
                       {"election", "consensus", "storage", "transport", "api", "directories"});
  PluginUse* uses[] = {&reader.config.election, &reader.config.consensus, &reader.config.storage,
                       &reader.config.transport};
  for (unsigned i = 0; i < 5; i++) {
    auto key = dotted("plugins", KINDS[i]);
    auto* tree = plugins->find(KINDS[i]);
    if (tree == nullptr) {
      reader.problem(plugins->place, key,
                     std::string("is missing; write ") + KINDS[i] +
                         (i < 4 ? ": { use: NAME }" : ": [ { use: NAME } ]") +
                         "; `polyquorum plugins list` shows what there is");
    } else if (i < 4) {
      *uses[i] = readUse(reader, *tree, KINDS[i], key);
    } else {
      readApis(reader, *tree);
    }
  }
  if (auto* list = plugins->find("directories")) readDirectories(reader, *list, folder);
}

/// Reads a section that may be absent. Returns an empty map then.
const Tree& section(RuleReader& reader, const Tree& root, const std::string& name,
                    std::vector<std::string> known) {
  static const Tree EMPTY;
  auto* tree = root.find(name);
  if (tree == nullptr || !reader.isMap(*tree, name, "a map")) return EMPTY;
  reader.refuseUnknown(*tree, name, std::move(known));
  return *tree;
}

void readSettings(RuleReader& reader, const Tree& root) {
  auto& config = reader.config;
  auto& sessions = section(reader, root, "sessions", {"tickTime"});
  config.sessions.tickMs =
      reader.durationMs(sessions, "sessions", "tickTime", config.sessions.tickMs, 10, 600000);
  auto& snapshots = section(reader, root, "snapshots", {"every", "retain", "purgeInterval"});
  auto& snapshot = config.snapshots;
  snapshot.every = reader.number(snapshots, "snapshots", "every", snapshot.every, 2, 1000000000);
  snapshot.retain = reader.number(snapshots, "snapshots", "retain", snapshot.retain, 3, 1000);
  snapshot.purgeIntervalMs = reader.durationMs(snapshots, "snapshots", "purgeInterval",
                                               snapshot.purgeIntervalMs, 0, 365 * DAY_MS);
  auto& reaping = section(reader, root, "reaping", {"interval", "perMinute"});
  config.reaping.intervalMs =
      reader.durationMs(reaping, "reaping", "interval", config.reaping.intervalMs, 10, DAY_MS);
  config.reaping.perMinute =
      reader.number(reaping, "reaping", "perMinute", config.reaping.perMinute, 1, 10000000);
  auto& limits = section(reader, root, "limits", {"pendingRequests", "memory"});
  config.limits.pendingRequests = reader.number(limits, "limits", "pendingRequests",
                                                config.limits.pendingRequests, 1, 100000000);
  config.limits.memoryBytes =
      reader.bytes(limits, "limits", "memory", config.limits.memoryBytes, 64ull << 20, 16ull << 40);
  auto& loop = section(reader, root, "loop", {"busyPollUs"});
  config.loop.busyPollUs =
      reader.number(loop, "loop", "busyPollUs", config.loop.busyPollUs, 0, 10000);
}

void readCluster(RuleReader& reader, const Tree* cluster, const Place& start,
                 const std::string& folder, bool apisKnown) {
  if (cluster == nullptr) {
    return reader.problem(start, "cluster",
                          "is missing; it names the cluster and lists its servers");
  }
  if (!reader.isMap(*cluster, "cluster", "a map with name and servers")) return;
  reader.refuseUnknown(*cluster, "cluster", {"name", "servers", "insecure", "revision"});
  auto* name = reader.scalar(*cluster, "cluster", "name");
  if (cluster->find("name") == nullptr) {
    reader.problem(cluster->place, "cluster.name",
                   "is missing; members of clusters with different names never talk");
  } else if (name != nullptr && !isClusterName(name->text)) {
    reader.problem(
        name->place, "cluster.name",
        quote(name->text) + " is not accepted; use 1 to 64 letters, digits, points, - and _");
  } else if (name != nullptr) {
    reader.config.cluster = name->text;
  }
  reader.config.insecure = reader.flag(*cluster, "cluster", "insecure", false);
  reader.config.revision =
      reader.number(*cluster, "cluster", "revision", 0, 0, 9'000'000'000'000'000'000u);
  auto* servers = cluster->find("servers");
  if (servers == nullptr) {
    return reader.problem(cluster->place, "cluster.servers",
                          "is missing; write one row { id, peer, data } for each server");
  }
  readServers(reader, *servers, folder, apisKnown);
}

}  // namespace

std::string dotted(const std::string& key, const std::string& name) {
  return key.empty() ? name : key + "." + name;
}

std::string nearestKey(const std::string& key, const std::vector<std::string>& known) {
  if (key.size() > 64) return "";
  std::string best;
  std::size_t bestDistance = std::max<std::size_t>(1, key.size() / 3) + 1;
  for (auto& word : known) {
    auto d = distance(key, word);
    if (d >= bestDistance) continue;
    best = word;
    bestDistance = d;
  }
  return best;
}

std::string quote(const std::string& text) {
  constexpr std::size_t LENGTH_MAX = 40;
  if (text.size() <= LENGTH_MAX) return "\"" + text + "\"";
  auto end = LENGTH_MAX;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) end--;
  return "\"" + text.substr(0, end) + "...\"";
}

bool parseNumber(const std::string& text, std::uint64_t& out) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

void RuleReader::problem(const Place& place, const std::string& key, const std::string& reason) {
  problems.push_back({place, key, reason});
}

void RuleReader::hint(const Place& place, const std::string& key, const std::string& reason) {
  config.hints.push_back({place, key, reason});
}

bool RuleReader::isMap(const Tree& tree, const std::string& key, const std::string& example) {
  if (tree.kind == Tree::MAP || tree.kind == Tree::NOTHING) return true;
  problem(tree.place, key,
          std::string(tree.kind == Tree::LIST ? "is a list" : "is a single value") + "; write " +
              example);
  return false;
}

void RuleReader::refuseUnknown(const Tree& map, const std::string& key,
                               std::vector<std::string> known) {
  for (auto& member : map.members) {
    if (std::find(known.begin(), known.end(), member.key) != known.end()) continue;
    auto near = nearestKey(member.key, known);
    auto other = near.empty() ? otherPlaceOf(member.key) : "";
    std::string all;
    for (auto& word : known) all += (all.empty() ? "" : ", ") + word;
    problem(member.keyPlace, dotted(key, member.key),
            "there is no such key" + (!near.empty()    ? "; did you mean " + near + "?"
                                      : !other.empty() ? " here; " + other
                                                       : "; known here: " + all));
  }
}

const Tree* RuleReader::scalar(const Tree& map, const std::string& key, const std::string& name) {
  auto* tree = map.find(name);
  if (tree == nullptr) return nullptr;
  if (tree->refused) return nullptr;
  if (tree->kind == Tree::SCALAR) {
    given(dotted(key, name), *tree);
    return tree;
  }
  problem(tree->place, dotted(key, name),
          tree->kind == Tree::NOTHING ? "has no value; write one, or remove the key"
          : tree->kind == Tree::LIST  ? "is a list; write a single value"
                                      : "is a map; write a single value");
  return nullptr;
}

void RuleReader::given(const std::string& key, const Tree& tree) {
  config.given.push_back({key, tree.text, tree.keyPlace});
}

std::uint64_t RuleReader::number(const Tree& map, const std::string& key, const std::string& name,
                                 std::uint64_t initial, std::uint64_t min, std::uint64_t max) {
  auto* tree = scalar(map, key, name);
  if (tree == nullptr) return initial;
  std::uint64_t value = 0;
  auto range = std::to_string(min) + " to " + std::to_string(max);
  if (!parseNumber(tree->text, value)) {
    problem(tree->place, dotted(key, name),
            quote(tree->text) + " is not a whole number; write " + range);
  } else if (value < min || value > max) {
    problem(tree->place, dotted(key, name), tree->text + " is out of range; write " + range);
  } else {
    return value;
  }
  return initial;
}

std::uint64_t RuleReader::durationMs(const Tree& map, const std::string& key,
                                     const std::string& name, std::uint64_t initial,
                                     std::uint64_t minMs, std::uint64_t maxMs) {
  auto* tree = scalar(map, key, name);
  if (tree == nullptr) return initial;
  kj::Duration value = 0 * kj::SECONDS;
  std::uint64_t bare = 0;
  auto range = " (" + durationText(minMs) + " to " + durationText(maxMs) + ")";
  if (parseNumber(tree->text, bare)) {
    problem(tree->place, dotted(key, name),
            quote(tree->text) + " has no unit; write " + tree->text + "ms or " + tree->text + "s" +
                range);
  } else if (!sdk::parseDuration(tree->text, value)) {
    problem(tree->place, dotted(key, name),
            quote(tree->text) + " is not a duration; write e.g. 100ms, 2s or 5m" + range);
  } else if (std::uint64_t ms = value / kj::MILLISECONDS; ms < minMs || ms > maxMs) {
    problem(tree->place, dotted(key, name), tree->text + " is out of range" + range);
  } else {
    return ms;
  }
  return initial;
}

std::uint64_t RuleReader::bytes(const Tree& map, const std::string& key, const std::string& name,
                                std::uint64_t initial, std::uint64_t min, std::uint64_t max) {
  auto* tree = scalar(map, key, name);
  if (tree == nullptr) return initial;
  std::uint64_t value = 0;
  auto range = " (" + bytesText(min) + " to " + bytesText(max) + ")";
  if (!sdk::parseBytes(tree->text, value)) {
    problem(tree->place, dotted(key, name),
            quote(tree->text) + " is not a size; write e.g. 512MiB or 1GiB" + range);
  } else if (value < min || value > max) {
    problem(tree->place, dotted(key, name), tree->text + " is out of range" + range);
  } else {
    return value;
  }
  return initial;
}

bool RuleReader::flag(const Tree& map, const std::string& key, const std::string& name,
                      bool initial) {
  auto* tree = scalar(map, key, name);
  if (tree == nullptr) return initial;
  if (!tree->quoted && (tree->text == "true" || tree->text == "false")) return tree->text == "true";
  problem(tree->place, dotted(key, name),
          quote(tree->text) + " is neither true nor false; write one of the two, without quotes");
  return initial;
}

Config readRules(const Tree& root, const std::string& file, const std::string& folder,
                 std::vector<Problem>& problems) {
  Config config;
  config.file = file;
  config.folder = folder;
  RuleReader reader(config, problems);
  Place start = root.place.line == 0 ? Place{file, 1, 1} : root.place;
  if (root.kind == Tree::NOTHING) {
    reader.problem(start, "", "the file is empty; begin with configs/single.yaml of the house");
    return config;
  }
  if (!reader.isMap(root, "", "a map that begins with cluster:")) return config;
  reader.refuseUnknown(root, "",
                       {"cluster", "plugins", "sessions", "snapshots", "reaping", "limits", "loop"});
  readPlugins(reader, root.find("plugins"), start, folder);
  auto& apis = config.apis;
  bool apisKnown = !apis.empty() && std::none_of(apis.begin(), apis.end(),
                                                 [](auto& api) { return api.name.empty(); });
  readCluster(reader, root.find("cluster"), start, folder, apisKnown);
  readSettings(reader, root);
  return config;
}

}  // namespace polyquorum::kernel
