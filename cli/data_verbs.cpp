// SPDX-License-Identifier: Apache-2.0
// See data_verbs.h.
#include "cli/data_verbs.h"
#include <unistd.h>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <iterator>
#include <vector>
#include "cli/local_cluster.h"
#include "clients/zookeeper/session.h"
#include "sdk/options.h"

namespace polyquorum::cli {
namespace {

namespace zk = zookeeper_client;

std::string endpointsOf(const DataArguments& arguments) {
  if (!arguments.endpoints.empty()) return arguments.endpoints;
  std::string all;
  for (auto& address : usualAddresses()) all += (all.empty() ? "" : ",") + address;
  return all;
}

[[noreturn]] void refuse(zk::Error error, const std::string& what, bool change) {
  auto code = FAILED;
  std::string next;
  switch (error) {
    case zk::Error::NO_NODE:
      code = NOT_FOUND;
      break;
    case zk::Error::NODE_EXISTS:
      code = CONFLICT;
      next = "; change it with `polyquorum set`";
      break;
    case zk::Error::BAD_VERSION:
      code = CONFLICT;
      next = "; read it again with `polyquorum stat`";
      break;
    case zk::Error::NOT_EMPTY:
      code = CONFLICT;
      next = "; add -r to remove what is below, too";
      break;
    case zk::Error::NO_AUTH:
      next = "; identify yourself with --auth digest:user:password";
      break;
    case zk::Error::CONNECTION_LOSS:
    case zk::Error::OPERATION_TIMEOUT:
    case zk::Error::SESSION_EXPIRED:
      code = change ? UNKNOWN : UNAVAILABLE;
      if (change) next = "; it may have happened: look before you try again";
      break;
    default:
      break;
  }
  throw Refusal(code, what + ": " + zk::text(error) + " (" + zk::name(error) + ")" + next);
}

/// A session for one verb, identified if asked.
class Connection {
 public:
  explicit Connection(const DataArguments& arguments) {
    zk::SessionSettings settings;
    settings.endpoints = endpointsOf(arguments);
    try {
      session = std::make_unique<zk::Session>(settings);
    } catch (const zk::Unreachable& error) {
      throw Refusal(UNAVAILABLE,
                    std::string(error.what()) + "; is the cluster up? See `polyquorum status`");
    }
    if (arguments.auth.empty()) return;
    auto colon = arguments.auth.find(':');
    if (colon == std::string::npos) {
      throw Refusal(USAGE, "--auth is SCHEME:CREDENTIALS, e.g. digest:user:password");
    }
    auto error =
        session->authenticate(arguments.auth.substr(0, colon), arguments.auth.substr(colon + 1));
    if (error != zk::Error::OK) refuse(error, "--auth", false);
  }
  zk::Session* operator->() { return session.get(); }

 private:
  std::unique_ptr<zk::Session> session;
};

std::string hex(std::int64_t zxid) {
  char text[32];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(zxid));
  return text;
}

std::string timeText(std::int64_t ms) {
  std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[48];
  auto size = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + size, sizeof(text) - size, ".%03dZ", static_cast<int>(ms % 1000));
  return text;
}

Table statTable(const zk::Stat& stat) {
  Table table({"field", "value"});
  table.add({"czxid", hex(stat.czxid)});
  table.add({"mzxid", hex(stat.mzxid)});
  table.add({"pzxid", hex(stat.pzxid)});
  table.add({"ctime", timeText(stat.ctimeMs)});
  table.add({"mtime", timeText(stat.mtimeMs)});
  table.add({"version", std::to_string(stat.version)});
  table.add({"cversion", std::to_string(stat.cversion)});
  table.add({"aversion", std::to_string(stat.aversion)});
  table.add({"ephemeralOwner", hex(stat.ephemeralOwner)});
  table.add({"dataLength", std::to_string(stat.dataLength)});
  table.add({"numChildren", std::to_string(stat.numChildren)});
  return table;
}

std::string statJson(const zk::Stat& stat) {
  auto number = [](const char* name, long long value) {
    return jsonText(name) + ": " + std::to_string(value) + ", ";
  };
  return "{" + ("\"czxid\": " + jsonText(hex(stat.czxid))) +
         ", \"mzxid\": " + jsonText(hex(stat.mzxid)) + ", \"pzxid\": " + jsonText(hex(stat.pzxid)) +
         ", " + number("ctimeMs", stat.ctimeMs) + number("mtimeMs", stat.mtimeMs) +
         number("version", stat.version) + number("cversion", stat.cversion) +
         number("aversion", stat.aversion) +
         "\"ephemeralOwner\": " + jsonText(hex(stat.ephemeralOwner)) + ", " +
         number("dataLength", stat.dataLength) +
         "\"numChildren\": " + std::to_string(stat.numChildren) + "}";
}

bool isText(const std::string& bytes) {
  auto json = jsonText(bytes);
  return json.find("\\ufffd") == std::string::npos && json.find("\\u00") == std::string::npos;
}

std::string below(const std::string& path, const std::string& name) {
  return (path == "/" ? "" : path) + "/" + name;
}

/// path and everything under it, parents first.
void collect(Connection& session, const std::string& path, std::vector<std::string>& all) {
  all.push_back(path);
  auto children = session->children(path);
  if (children.error == zk::Error::NO_NODE && all.size() > 1) return;  // gone meanwhile
  if (!children) refuse(children.error, path, false);
  for (auto& name : children.value.names) collect(session, below(path, name), all);
}

/// The data given, or all of stdin for "-".
std::optional<std::string> dataOf(const DataArguments& arguments) {
  if (!arguments.hasData) return std::nullopt;
  if (arguments.data != "-") return arguments.data;
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

zk::Mode modeOf(const DataArguments& arguments, std::int64_t& ttlMs) {
  bool timed = !arguments.ttl.empty();
  if (arguments.ephemeral + arguments.container + timed > 1) {
    throw Refusal(USAGE, "choose one of --ephemeral, --container and --ttl");
  }
  if (arguments.container) {
    if (arguments.sequential) throw Refusal(USAGE, "a container cannot be --sequential");
    return zk::Mode::CONTAINER;
  }
  if (timed) {
    kj::Duration ttl = 0 * kj::SECONDS;
    if (!sdk::parseDuration(arguments.ttl, ttl) || ttl == 0 * kj::SECONDS) {
      throw Refusal(USAGE, "--ttl " + arguments.ttl + " is no duration; write e.g. 500ms or 5m");
    }
    ttlMs = ttl / kj::MILLISECONDS;
    return arguments.sequential ? zk::Mode::TTL_SEQUENTIAL : zk::Mode::TTL;
  }
  if (arguments.ephemeral) {
    return arguments.sequential ? zk::Mode::EPHEMERAL_SEQUENTIAL : zk::Mode::EPHEMERAL;
  }
  return arguments.sequential ? zk::Mode::SEQUENTIAL : zk::Mode::PERSISTENT;
}

/// Ctrl-C was pressed.
bool interrupted(SignalWait& signals) {
  int signal = signals.next(0);
  return signal == SIGINT || signal == SIGTERM;
}

void confirm(const DataArguments& arguments, std::size_t nodes) {
  if (arguments.yes || nodes == 1) return;
  auto what = std::to_string(nodes) + " nodes from " + arguments.path + " on";
  if (isatty(0) == 0) throw Refusal(USAGE, "this would remove " + what + "; add --yes to mean it");
  std::cerr << "Remove " << what << "? [y/N] " << std::flush;
  std::string answer;
  if (std::getline(std::cin, answer) && (answer == "y" || answer == "yes")) return;
  throw Refusal(FAILED, "nothing was removed");
}

}  // namespace

std::string base64(const std::string& bytes) {
  const char* LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned value = 0;
    for (std::size_t k = 0; k < 3; k++) {
      value = value << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    }
    for (std::size_t k = 0; k < 4; k++) {
      out += i + k <= bytes.size() ? LETTERS[value >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

Exit listNode(const DataArguments& arguments, Format format) {
  Connection session(arguments);
  std::vector<std::string> names;
  if (arguments.recursive) {
    collect(session, arguments.path, names);
  } else {
    auto children = session->children(arguments.path);
    if (!children) refuse(children.error, arguments.path, false);
    names = children.value.names;
  }
  if (format == Format::TABLE) {
    for (auto& name : names) std::cout << name << "\n";
  } else {
    std::cout << "[";
    for (std::size_t i = 0; i < names.size(); i++)
      std::cout << (i ? ", " : "") << jsonText(names[i]);
    std::cout << "]\n";
  }
  return DONE;
}

Exit getNode(const DataArguments& arguments, Format format) {
  Connection session(arguments);
  auto node = session->get(arguments.path);
  if (!node) refuse(node.error, arguments.path, false);
  auto data = node.value.data.value_or("");
  if (format == Format::JSON) {
    std::cout << "{\"path\": " << jsonText(arguments.path)
              << (isText(data) ? ", \"data\": " + jsonText(data)
                               : ", \"dataBase64\": " + jsonText(base64(data)))
              << ", \"stat\": " << statJson(node.value.stat) << "}\n";
    return DONE;
  }
  std::cout << data;
  // Into a file or a pipe go the bytes as they are.
  if (isatty(1) == 1 && !data.empty() && data.back() != '\n') std::cout << "\n";
  std::cout << std::flush;
  if (arguments.withStat) std::cerr << statTable(node.value.stat).text(false);
  return DONE;
}

Exit setNode(const DataArguments& arguments, Format format) {
  Connection session(arguments);
  auto stat = session->set(arguments.path, dataOf(arguments), arguments.version);
  if (!stat) refuse(stat.error, arguments.path, true);
  if (format == Format::JSON)
    std::cout << statJson(stat.value) << "\n";
  else
    std::cout << "version " << stat.value.version << "\n";
  return DONE;
}

Exit createNode(const DataArguments& arguments, Format format) {
  std::int64_t ttlMs = 0;
  auto mode = modeOf(arguments, ttlMs);
  SignalWait signals;
  Connection session(arguments);
  auto created = session->create(arguments.path, dataOf(arguments), mode, {zk::Acl()}, ttlMs);
  if (created.error == zk::Error::NO_NODE) {
    throw Refusal(NOT_FOUND, arguments.path +
                                 ": its parent does not exist (NoNode); create that "
                                 "one first");
  }
  if (!created) refuse(created.error, arguments.path, true);
  if (format == Format::JSON)
    std::cout << "{\"path\": " << jsonText(created.value.path) << "}\n";
  else
    std::cout << created.value.path << "\n";
  std::cout << std::flush;
  if (!arguments.ephemeral) return DONE;
  say("it lives as long as this session: until Ctrl-C");
  while (!interrupted(signals)) {
    session->nextNotice(200);
    if (session->expired()) throw Refusal(FAILED, "the session expired, and the node with it");
  }
  return DONE;
}

Exit removeNode(const DataArguments& arguments, Format) {
  Connection session(arguments);
  if (!arguments.recursive) {
    auto error = session->remove(arguments.path, arguments.version);
    if (error != zk::Error::OK) refuse(error, arguments.path, true);
    return DONE;
  }
  if (arguments.path == "/" || arguments.path.rfind("/zookeeper", 0) == 0) {
    throw Refusal(USAGE, arguments.path + " is not removed recursively");
  }
  std::vector<std::string> all;
  collect(session, arguments.path, all);
  confirm(arguments, all.size());
  for (auto path = all.rbegin(); path != all.rend(); ++path) {
    auto error = session->remove(*path);
    if (error != zk::Error::OK && error != zk::Error::NO_NODE) refuse(error, *path, true);
  }
  say(std::to_string(all.size()) + (all.size() == 1 ? " node was removed" : " nodes were removed"));
  return DONE;
}

Exit statNode(const DataArguments& arguments, Format format) {
  Connection session(arguments);
  auto stat = session->exists(arguments.path);
  if (!stat) refuse(stat.error, arguments.path, false);
  if (format == Format::JSON)
    std::cout << statJson(stat.value) << "\n";
  else
    std::cout << statTable(stat.value).text(false);
  return DONE;
}

Exit watchNode(const DataArguments& arguments, Format format) {
  SignalWait signals;
  Connection session(arguments);
  auto error = session->addWatch(arguments.path, arguments.recursive);
  if (error != zk::Error::OK) refuse(error, arguments.path, false);
  say("watching " + arguments.path + (arguments.recursive ? " and all below" : "") +
      "; Ctrl-C ends it");
  for (unsigned seen = 0; arguments.count == 0 || seen < arguments.count;) {
    if (interrupted(signals)) return DONE;
    auto notice = session->nextNotice(200);
    if (session->expired()) throw Refusal(FAILED, "the session expired; events may be missing");
    if (!notice) continue;
    seen++;
    auto zxid = notice->zxid >= 0 ? hex(notice->zxid) : std::string();
    if (format == Format::JSON) {
      std::cout << "{\"event\": " << jsonText(zk::text(notice->change))
                << ", \"path\": " << jsonText(notice->path) << ", \"zxid\": " << jsonText(zxid)
                << "}\n";
    } else {
      std::cout << zk::text(notice->change) << " " << notice->path
                << (zxid.empty() ? "" : " " + zxid) << "\n";
    }
    std::cout << std::flush;
  }
  return DONE;
}

}  // namespace polyquorum::cli
