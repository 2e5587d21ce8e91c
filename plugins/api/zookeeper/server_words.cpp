// SPDX-License-Identifier: Apache-2.0
// Who may ask which four-letter word how often, and the gathering of what they tell.
#include <kj/debug.h>
#include "plugins/api/zookeeper/server.h"

namespace polyquorum::zookeeper {
namespace {

/// A second, for each address that is not this machine.
constexpr unsigned WORDS_PER_SECOND_MAX = 10;

bool tooMany(Peer& peer, std::int64_t nowNs) {
  if (peer.loopback) return false;
  auto second = nowNs / 1'000'000'000;
  if (peer.wordsSecond != second) {
    peer.wordsSecond = second;
    peer.words = 0;
  }
  return ++peer.words > WORDS_PER_SECOND_MAX;
}

}  // namespace

void Server::word(Connection& connection, std::string_view word, std::uint64_t argument) {
  std::string asked(word);
  if (tooMany(connection.peer, nowNs())) {
    refusals.words++;
    return connection.close();
  }
  if (!settings.allows(asked, connection.peer.loopback)) {
    refusals.words++;
    return connection.finish(refusalOf(word));
  }
  if (asked == "stmk") traceMask = argument;
  if (needsOf(word) == Needs::NOTHING) {
    return connection.finish(answerWord(word, facts(word), {}, {}));
  }
  tasks.add(answer(kj::mv(asked)).then(
      [held = kj::addRef(connection)](std::string text) mutable { held->finish(text); },
      [held = kj::addRef(connection)](kj::Exception&&) mutable { held->finish(NOT_SERVING); }));
}

kj::Promise<std::string> Server::answer(std::string word) {
  auto needs = needsOf(word);
  auto status = KJ_ASSERT_NONNULL(desk).statusRequest().send();
  if (needs == Needs::STATUS) {
    return status.then([this, word](auto&& response) {
      auto text = answerWord(word, facts(word), response.getStatus(), {});
      if (text != NOT_SERVING) reset(word);
      return text;
    });
  }
  return status.then([this, word, needs](auto&& response) {
    auto request = KJ_REQUIRE_NONNULL(desk).inspectRequest();
    request.setWhat(needs == Needs::BY_PATH      ? coordination::Inspection::WATCHES_BY_PATH
                    : needs == Needs::BY_SESSION ? coordination::Inspection::WATCHES_BY_SESSION
                                                 : coordination::Inspection::EPHEMERALS);
    return request.send().then([this, word, status = kj::mv(response)](auto&& rows) {
      return answerWord(word, facts(word), status.getStatus(), rows.getRows());
    });
  });
}

ServerFacts Server::facts(std::string_view word) {
  ServerFacts out;
  out.traffic = traffic;
  out.connections = connections.size();
  out.outstanding = outstandingCount;
  out.port = listeningPort;
  out.traceMask = traceMask;
  out.uptimeMs = static_cast<std::uint64_t>((nowNs() - startedNs) / 1'000'000);
  out.settings = &settings;
  out.refusals = &refusals;
  if (word != "stat" && word != "cons" && word != "dump") return out;
  auto wallMs = environment.wallTimeMs();
  auto now = nowNs();
  for (auto& connection : connections) {
    ConnectionLine line;
    bool v6 = connection->peer.address.find(':') != std::string::npos;
    line.peer = "/" + (v6 ? "[" + connection->peer.address + "]" : connection->peer.address) + ":" +
                std::to_string(connection->remotePort);
    line.session = connection->session;
    line.queued = connection->outstanding();
    line.traffic = connection->traffic;
    line.lastOperation = operationName(connection->lastType);
    line.establishedMs = connection->openedMs;
    line.timeoutMs = connection->timeoutMs;
    line.lastCxid = connection->lastCxid;
    line.lastZxid = connection->lastZxid;
    if (connection->lastResponseNs != 0) {
      line.lastResponseMs = wallMs - (now - connection->lastResponseNs) / 1'000'000;
    }
    out.lines.push_back(std::move(line));
  }
  return out;
}

/// crst and srst.
void Server::reset(std::string_view word) {
  if (word == "srst") traffic = {};
  if (word != "crst") return;
  for (auto& connection : connections) connection->traffic = {};
}

}  // namespace polyquorum::zookeeper
