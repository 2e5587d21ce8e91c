// SPDX-License-Identifier: Apache-2.0
// The server rows: addresses, identities, directories, and that no two of them collide.
#include <algorithm>
#include <filesystem>
#include <map>
#include "kernel/config_rules.h"

namespace polyquorum::kernel {
namespace {

constexpr std::uint32_t ID_MAX = 254;  // the top byte of session ids, as in ZooKeeper
constexpr std::size_t SERVERS_MAX = 254;

struct HostPort {
  std::string host;
  std::uint64_t port = 0;
};

/// What is wrong with "host:port" or "[v6]:port"; empty if nothing.
std::string split(const std::string& text, HostPort& out) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos) return quote(text) + " has no port; write host:port";
  out.host = text.substr(0, colon);
  auto port = text.substr(colon + 1);
  bool bracketed = out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']';
  if (bracketed) {
    out.host = out.host.substr(1, out.host.size() - 2);
  } else if (out.host.find(':') != std::string::npos &&
             out.host.find_first_not_of("0123456789abcdefABCDEF:.") == std::string::npos) {
    return "an IPv6 address goes into brackets: write [" + out.host + "]:" + port;
  }
  if (out.host.empty()) return quote(text) + " has no host; write host:port";
  for (unsigned char c : out.host) {
    bool known = std::isalnum(c) || c == '.' || c == '-' || c == '_' || (bracketed && c == ':') ||
                 (bracketed && c == '%');
    if (!known) return quote(out.host) + " is no host name or address; write host:port";
  }
  std::transform(out.host.begin(), out.host.end(), out.host.begin(), ::tolower);
  if (!parseNumber(port, out.port)) return quote(port) + " is no port; write 1 to 65535";
  if (out.port < 1 || out.port > 65535) return port + " is no port; write 1 to 65535";
  return "";
}

bool isLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

bool isWildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

/// Reads the rows one after the other and remembers what each has taken.
class Rows {
 public:
  Rows(RuleReader& reader, const std::string& folder, bool apisKnown)
      : reader(reader), folder(folder), apisKnown(apisKnown) {
    for (auto& api : reader.config.apis) known.push_back(api.name);
  }

  void read(const Tree& tree, std::size_t number);

 private:
  struct Taken {
    std::string what;
    int line;
  };

  RuleReader& reader;
  const std::string& folder;
  bool apisKnown;
  std::vector<std::string> known{"id", "peer", "role", "data", "log"};
  std::map<std::uint32_t, int> ids;             ///< id to line
  std::map<std::string, Taken> ports, folders;  ///< "machine:port" and "machine:path"

  std::uint32_t readId(const Tree& row, const std::string& key);
  void readPeer(const Tree& row, const std::string& key, ServerRow& out, std::string& machine);
  void readApi(const Tree& member, const std::string& key, const std::string& machine,
               ServerRow& out);
  std::string readFolder(const Tree& row, const std::string& key, const std::string& name,
                         const std::string& machine);
  void refuseOpenDoor(const Tree& tree, const std::string& key, const std::string& host);
  void takePort(const Tree& tree, const std::string& key, const std::string& machine,
                const HostPort& address);
  void takeFolder(const Tree& tree, const std::string& key, const std::string& machine,
                  const std::string& path);
};

std::uint32_t Rows::readId(const Tree& row, const std::string& key) {
  auto* tree = reader.scalar(row, key, "id");
  if (row.find("id") == nullptr) {
    reader.problem(row.place, dotted(key, "id"), "is missing; write a number from 1 to 254");
  }
  if (tree == nullptr) return 0;
  std::uint64_t id = 0;
  if (!parseNumber(tree->text, id) || id < 1 || id > ID_MAX) {
    reader.problem(tree->place, dotted(key, "id"),
                   quote(tree->text) + " is no server id; write a number from 1 to 254");
    return 0;
  }
  auto [first, fresh] = ids.emplace(id, tree->place.line);
  if (!fresh) {
    reader.problem(tree->place, dotted(key, "id"),
                   tree->text + " is the id of the server in line " +
                       std::to_string(first->second) + "; give each server its own");
  }
  return id;
}

void Rows::refuseOpenDoor(const Tree& tree, const std::string& key, const std::string& host) {
  if (reader.config.insecure || isLoopback(host)) return;
  reader.problem(tree.place, key,
                 host +
                     " can be reached from other machines and there is no TLS yet; use "
                     "127.0.0.1, or write insecure: true under cluster");
}

void Rows::takePort(const Tree& tree, const std::string& key, const std::string& machine,
                    const HostPort& address) {
  // On which machine a door is: wildcard and loopback addresses are those of the row's own machine.
  auto where = isWildcard(address.host) || isLoopback(address.host) ? machine : address.host;
  auto [first, fresh] =
      ports.emplace(where + ":" + std::to_string(address.port), Taken{key, tree.place.line});
  if (fresh) return;
  reader.problem(tree.place, key,
                 "port " + std::to_string(address.port) + " is taken by " + first->second.what +
                     " in line " + std::to_string(first->second.line) + "; choose another");
}

void Rows::readPeer(const Tree& row, const std::string& key, ServerRow& out, std::string& machine) {
  auto* tree = reader.scalar(row, key, "peer");
  auto name = dotted(key, "peer");
  if (row.find("peer") == nullptr) {
    reader.problem(row.place, name,
                   "is missing; write the host:port where the other servers reach this one");
  }
  if (tree == nullptr) return;
  HostPort address;
  auto wrong = split(tree->text, address);
  if (!wrong.empty()) return reader.problem(tree->place, name, wrong);
  if (isWildcard(address.host)) {
    return reader.problem(tree->place, name,
                          address.host +
                              " is no address that others could reach; name the "
                              "machine, or 127.0.0.1 for a local cluster");
  }
  machine = isLoopback(address.host) ? "this machine" : address.host;
  refuseOpenDoor(*tree, name, address.host);
  takePort(*tree, name, machine, address);
  out.peer = tree->text;
}

void Rows::readApi(const Tree& member, const std::string& key, const std::string& machine,
                   ServerRow& out) {
  auto name = dotted(key, member.key);
  if (member.kind != Tree::SCALAR) {
    return reader.problem(member.place, name, "is the address of an API; write host:port");
  }
  HostPort address;
  auto wrong = split(member.text, address);
  if (!wrong.empty()) return reader.problem(member.place, name, wrong);
  refuseOpenDoor(member, name, address.host);
  takePort(member, name, machine, address);
  reader.config.given.push_back({name, member.text, member.keyPlace});
  out.apis.emplace_back(member.key, member.text);
}

void Rows::takeFolder(const Tree& tree, const std::string& key, const std::string& machine,
                      const std::string& path) {
  auto mine = machine + ":" + path;
  for (auto& [theirs, taken] : folders) {
    bool equal = theirs == mine;
    bool inside = mine.rfind(theirs + "/", 0) == 0 || theirs.rfind(mine + "/", 0) == 0;
    if (!equal && !inside) continue;
    return reader.problem(tree.place, key,
                          path + (equal ? " is also " : " and ") + taken.what + " in line " +
                              std::to_string(taken.line) + (equal ? "" : " lie inside each other") +
                              "; give each server a folder of its own");
  }
  folders.emplace(mine, Taken{key, tree.place.line});
}

std::string Rows::readFolder(const Tree& row, const std::string& key, const std::string& name,
                             const std::string& machine) {
  auto* tree = reader.scalar(row, key, name);
  if (tree == nullptr) return "";
  if (tree->text.empty() || tree->text.find('\0') != std::string::npos) {
    reader.problem(tree->place, dotted(key, name), "is empty; write a path");
    return "";
  }
  auto path = (std::filesystem::path(folder) / tree->text).lexically_normal().string();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  takeFolder(*tree, dotted(key, name), machine, path);
  return path;
}

void Rows::read(const Tree& tree, std::size_t number) {
  auto key = "cluster.servers[" + std::to_string(number) + "]";
  if (!reader.isMap(tree, key, "{ id: 1, peer: 127.0.0.1:2888, data: data/1 }")) return;
  if (apisKnown) reader.refuseUnknown(tree, key, known);
  ServerRow row;
  row.place = tree.place;
  row.id = readId(tree, key);
  std::string machine = "this machine";
  readPeer(tree, key, row, machine);
  if (auto* role = reader.scalar(tree, key, "role")) {
    row.observer = role->text == "observer";
    if (!row.observer && role->text != "voter") {
      auto near = nearestKey(role->text, {"voter", "observer"});
      reader.problem(role->place, dotted(key, "role"),
                     quote(role->text) + " is no role; " +
                         (near.empty() ? "write voter or observer" : "did you mean " + near + "?"));
    }
  }
  if (tree.find("data") == nullptr) {
    reader.problem(tree.place, dotted(key, "data"),
                   "is missing; name the folder in which this server keeps its data");
  }
  row.data = readFolder(tree, key, "data", machine);
  row.log = tree.find("log") != nullptr ? readFolder(tree, key, "log", machine) : row.data;
  for (auto& member : tree.members) {
    auto fixed = known.begin() + 5;
    bool api = std::find(fixed, known.end(), member.key) != known.end();
    if (api) readApi(member, key, machine, row);
  }
  reader.config.servers.push_back(std::move(row));
}

void checkVoters(RuleReader& reader, const Tree& list) {
  auto& servers = reader.config.servers;
  auto voters = std::count_if(servers.begin(), servers.end(), [](auto& r) { return !r.observer; });
  if (voters == 0 && servers.size() == list.members.size()) {
    reader.problem(list.place, "cluster.servers",
                   "all are observers; at least one server must be a voter");
  }
  if (voters > 0 && voters % 2 == 0) {
    reader.hint(list.place, "cluster.servers",
                std::to_string(voters) + " voters survive the loss of " +
                    std::to_string(voters / 2 - 1) + ", as " + std::to_string(voters - 1) +
                    " would; an odd number is better, or make one an observer");
  }
}

void checkDoors(RuleReader& reader, const Tree& list) {
  for (auto& api : reader.config.apis) {
    if (api.name.empty()) continue;
    bool served = std::any_of(list.members.begin(), list.members.end(),
                              [&](auto& row) { return row.find(api.name) != nullptr; });
    if (served) continue;
    reader.problem(api.place, "plugins.api",
                   "no server has an address for " + api.name + "; add e.g. " + api.name +
                       ": 127.0.0.1:PORT to the rows under cluster.servers");
  }
}

}  // namespace

void readServers(RuleReader& reader, const Tree& list, const std::string& folder, bool apisKnown) {
  if (list.kind != Tree::LIST || list.members.empty()) {
    return reader.problem(list.place, "cluster.servers",
                          "is not a list of servers; write one row { id, peer, data } for each");
  }
  if (list.members.size() > SERVERS_MAX) {
    return reader.problem(list.place, "cluster.servers", "has more than 254 servers");
  }
  Rows rows(reader, folder, apisKnown);
  for (std::size_t i = 0; i < list.members.size(); i++) rows.read(list.members[i], i);
  checkVoters(reader, list);
  checkDoors(reader, list);
}

}  // namespace polyquorum::kernel
