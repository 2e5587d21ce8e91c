// SPDX-License-Identifier: Apache-2.0
// The texts of the four-letter words, laid out as ZooKeeper's so that its scripts and exporters
// read them. mntr has a file of its own.
#include "plugins/api/zookeeper/words.h"
#include <sys/utsname.h>
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include "plugins/api/zookeeper/capnp_text.h"
#include "plugins/api/zookeeper/protocol.h"
#include "plugins/api/zookeeper/words_format.h"

namespace polyquorum::zookeeper {
namespace {

constexpr const char* WORDS[] = {"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "isro",
                                 "mntr", "ruok", "srst", "srvr", "stat", "stmk", "wchc", "wchp",
                                 "wchs"};

using Phase = consensus::Standing::Phase;

void latencies(std::string& out, const ServerFacts& facts) {
  auto& latency = facts.traffic.latency;
  add(out, "Latency min/avg/max: %u/%s/%u\n", latency.min(), average(latency).c_str(),
      latency.maxMs);
}

/// srvr, and the second half of stat.
void serverText(std::string& out, const ServerFacts& facts, coordination::Status::Reader status) {
  latencies(out, facts);
  add(out, "Received: %llu\nSent: %llu\n", ull(facts.traffic.received), ull(facts.traffic.sent));
  add(out, "Connections: %zu\nOutstanding: %zu\n", facts.connections, facts.outstanding);
  add(out, "Zxid: 0x%llx\n", ull(status.getApplied()));
  add(out, "Mode: %s\nNode count: %llu\n", modeOf(status).c_str(), ull(status.getNodes()));
}

void versionText(std::string& out) { out += "Zookeeper version: " + versionLine() + "\n"; }

/// One line of cons; brief as in stat. Source: ServerCnxn.dumpConnectionInfo.
void lineText(std::string& out, const ConnectionLine& line, bool brief) {
  auto& traffic = line.traffic;
  add(out, " %s[%d](queued=%zu,recved=%llu,sent=%llu", line.peer.c_str(),
      line.session != 0 ? 1 : 0, line.queued, ull(traffic.received), ull(traffic.sent));
  if (!brief && line.session != 0) {
    add(out, ",sid=0x%llx,lop=%s,est=%lld,to=%u", ull(line.session), line.lastOperation.c_str(),
        static_cast<long long>(line.establishedMs), line.timeoutMs);
    if (line.lastCxid >= 0) add(out, ",lcxid=0x%x", static_cast<unsigned>(line.lastCxid));
    auto& latency = traffic.latency;
    add(out, ",lzxid=0x%llx,lresp=%lld,llat=%u,minlat=%u,avglat=%u,maxlat=%u", ull(line.lastZxid),
        static_cast<long long>(line.lastResponseMs), latency.lastMs, latency.min(),
        static_cast<unsigned>(latency.average()), latency.maxMs);
  }
  out += ")\n";
}

void linesText(std::string& out, const ServerFacts& facts, bool brief) {
  for (auto& line : facts.lines) lineText(out, line, brief);
  out += "\n";
}

void configText(std::string& out, const ServerFacts& facts, coordination::Status::Reader status) {
  auto& settings = *facts.settings;
  add(out, "clientPort=%u\nsecureClientPort=-1\ntickTime=%u\nmaxClientCnxns=%u\n",
      unsigned{facts.port}, settings.tickMs, settings.connectionsPerAddressMax);
  add(out, "minSessionTimeout=%u\nmaxSessionTimeout=%u\nclientPortListenBacklog=-1\n",
      settings.sessionTimeoutMinMs, settings.sessionTimeoutMaxMs);
  add(out, "serverId=%u\n", status.getSelf());
  if (status.getMembers().size() < 2) return;
  out += "membership: \n";
  for (auto member : status.getMembers()) {
    std::string peer;
    for (auto address : member.getAddresses()) {
      if (address.getPurpose() == "peer") peer = viewOf(address.getAt());
    }
    add(out, "server.%u=%s:%s\n", member.getId(), peer.c_str(),
        member.getRole() == polyquorum::Role::LEARNER ? "observer" : "participant");
  }
}

void environmentText(std::string& out) {
  struct utsname name = {};
  uname(&name);
  out += "Environment:\nzookeeper.version=" + versionLine() + "\n";
  add(out, "host.name=%s\nos.name=%s\nos.arch=%s\nos.version=%s\n", name.nodename, name.sysname,
      name.machine, name.release);
}

void watchSummary(std::string& out, coordination::Status::Reader status) {
  add(out, "%llu connections watching %llu paths\nTotal watches:%llu\n", ull(status.getWatchers()),
      ull(status.getWatchPaths()), ull(status.getWatches()));
}

using Rows = capnp::List<coordination::Row>::Reader;

void watchesBySession(std::string& out, Rows rows) {
  for (auto row : rows) {
    add(out, "0x%llx\n", ull(row.getSession()));
    for (auto path : row.getPaths()) out.append("\t").append(viewOf(path)).append("\n");
  }
  out += "\n";
}

void watchesByPath(std::string& out, Rows rows) {
  for (auto row : rows) {
    out.append(viewOf(row.getPath())).append("\n");
    for (auto session : row.getSessions()) add(out, "\t0x%llx\n", ull(session));
  }
  out += "\n";
}

void dumpText(std::string& out, const ServerFacts& facts, Rows rows) {
  unsigned owners = 0;
  add(out, "SessionTracker dump:\nSession Sets (%u)/(%u):\n", rows.size(), rows.size());
  for (auto row : rows) {
    add(out, "\t0x%llx\t%ums\n", ull(row.getSession()), row.getTimeoutMs());
    owners += row.getPaths().size() > 0 ? 1 : 0;
  }
  add(out, "ephemeral nodes dump:\nSessions with Ephemerals (%u):\n", owners);
  for (auto row : rows) {
    if (row.getPaths().size() == 0) continue;
    add(out, "0x%llx:\n", ull(row.getSession()));
    for (auto path : row.getPaths()) out.append("\t").append(viewOf(path)).append("\n");
  }
  add(out, "Connections dump:\nConnections Sets (1)/(%zu):\n", facts.lines.size());
  for (auto& line : facts.lines) {
    add(out, "\tip: %s sessionId: 0x%llx\n", line.peer.c_str(), ull(line.session));
  }
}

bool serving(coordination::Status::Reader status) { return !modeOf(status).empty(); }

}  // namespace

const char NOT_SERVING[] = "This ZooKeeper instance is not currently serving requests\n";

void add(std::string& out, const char* format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  if (size > 0) out.append(line, std::min(static_cast<std::size_t>(size), sizeof(line) - 1));
}

std::string average(const Latency& latency) {
  // At least one digit behind the point, at most four, as Java prints a rounded double.
  std::string out;
  add(out, "%.4f", latency.average());
  while (out.back() == '0' && out[out.size() - 2] != '.') out.pop_back();
  return out;
}

std::string versionLine() {
  return "3.9.3-polyquorum-" POLYQUORUM_VERSION ", built on reproducible sources";
}

bool isWord(std::string_view word) {
  return std::find(std::begin(WORDS), std::end(WORDS), word) != std::end(WORDS);
}

std::string knownWords() {
  std::string out;
  for (auto* word : WORDS) out += (out.empty() ? "" : ", ") + std::string(word);
  return out;
}

std::string refusalOf(std::string_view word) {
  return std::string(word) + " is not executed because it is not in the whitelist.\n";
}

std::string modeOf(coordination::Status::Reader status) {
  switch (status.getPhase()) {
    case Phase::LEADING: return status.getMembers().size() <= 1 ? "standalone" : "leader";
    case Phase::FOLLOWING: break;
    default: return "";
  }
  if (status.getLeader() == 0) return "";
  for (auto member : status.getMembers()) {
    if (member.getId() != status.getSelf()) continue;
    return member.getRole() == polyquorum::Role::LEARNER ? "observer" : "follower";
  }
  return "observer";  // not a member of this segment: it only learns
}

Needs needsOf(std::string_view word) {
  if (word == "wchp") return Needs::BY_PATH;
  if (word == "wchc") return Needs::BY_SESSION;
  if (word == "dump") return Needs::EPHEMERALS;
  if (word == "ruok" || word == "gtmk" || word == "stmk" || word == "envi") return Needs::NOTHING;
  return Needs::STATUS;
}

std::string answerWord(std::string_view word, const ServerFacts& facts,
                       coordination::Status::Reader status, Rows rows) {
  std::string out;
  if (word == "ruok") return "imok";
  if (word == "gtmk" || word == "stmk") return std::to_string(facts.traceMask);
  if (word == "envi") return environmentText(out), out;
  if (word == "isro") return serving(status) ? "rw" : "null";
  if (!serving(status)) {
    out = NOT_SERVING;
    if (word == "mntr") ownText(out, status);
    return out;
  }
  if (word == "srvr" || word == "stat") {
    versionText(out);
    if (word == "stat") {
      out += "Clients:\n";
      linesText(out, facts, true);
    }
    serverText(out, facts, status);
  } else if (word == "mntr") {
    monitorText(out, facts, status);
  } else if (word == "conf") {
    configText(out, facts, status);
  } else if (word == "cons") {
    linesText(out, facts, false);
  } else if (word == "wchs") {
    watchSummary(out, status);
  } else if (word == "wchc") {
    watchesBySession(out, rows);
  } else if (word == "wchp") {
    watchesByPath(out, rows);
  } else if (word == "dump") {
    dumpText(out, facts, rows);
  } else if (word == "crst") {
    out = "Connection stats reset.\n";
  } else if (word == "srst") {
    out = "Server stats reset.\n";
  } else if (word == "dirs") {
    out = "dirs is not answered here: the data directory belongs to the node; ask `polyquorum "
          "status`.\n";
  }
  return out;
}

std::string operationName(std::int32_t type) {
  switch (type) {
    case op::CREATE: case op::CREATE2: case op::CREATE_CONTAINER: case op::CREATE_TTL:
      return "CREA";
    case op::DELETE: return "DELE";
    case op::EXISTS: return "EXIS";
    case op::GET_DATA: return "GETD";
    case op::SET_DATA: return "SETD";
    case op::GET_ACL: return "GETA";
    case op::SET_ACL: return "SETA";
    case op::GET_CHILDREN: case op::GET_CHILDREN2: return "GETC";
    case op::SYNC: return "SYNC";
    case op::PING: return "PING";
    case op::CHECK: return "CHEC";
    case op::MULTI: return "MULT";
    case op::MULTI_READ: return "MLTR";
    case op::RECONFIG: return "RECO";
    case op::CHECK_WATCHES: return "CHKW";
    case op::REMOVE_WATCHES: return "REMW";
    case op::SET_WATCHES: case op::SET_WATCHES2: return "SETW";
    case op::ADD_WATCH: return "ADDW";
    case op::GET_EPHEMERALS: return "GETE";
    case op::GET_ALL_CHILDREN_NUMBER: return "GETACN";
    case op::WHO_AM_I: return "HOMI";
    case op::CLOSE_SESSION: return "CLOS";
    default: return "NA";
  }
}

}  // namespace polyquorum::zookeeper
