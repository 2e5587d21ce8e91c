// SPDX-License-Identifier: Apache-2.0
// Four-letter words: names and answers as text. The connection carries them; the server gathers
// what they tell. Source: org.apache.zookeeper.server.command.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "plugins/api/zookeeper/counters.h"
#include "plugins/api/zookeeper/settings.h"

namespace polyquorum::zookeeper {

bool isWord(std::string_view word);
/// All words, separated by ", ".
std::string knownWords();

/// What the whole node answers before the handshake is anybody's.
std::string refusalOf(std::string_view word);
extern const char NOT_SERVING[];

/// One line of cons and stat.
struct ConnectionLine {
  std::string peer;              ///< "/127.0.0.1:4711"
  std::uint64_t session = 0;
  std::size_t queued = 0;
  Traffic traffic;
  std::string lastOperation;
  std::int64_t establishedMs = 0, lastResponseMs = 0;
  std::uint32_t timeoutMs = 0;
  std::int32_t lastCxid = -1;
  std::uint64_t lastZxid = 0;
};

/// What the server knows itself, without the desk.
struct ServerFacts {
  Traffic traffic;
  std::size_t connections = 0, outstanding = 0;
  std::uint16_t port = 0;
  std::uint64_t traceMask = 0, uptimeMs = 0;
  const Settings* settings = nullptr;
  const Refusals* refusals = nullptr;
  std::vector<ConnectionLine> lines;   ///< filled for stat, cons and dump only
};

/// leader, follower, observer, standalone; "" if there is no leader in touch.
std::string modeOf(coordination::Status::Reader status);

/// Which rows a word needs from the desk besides its status.
enum class Needs : std::uint8_t { NOTHING, STATUS, BY_PATH, BY_SESSION, EPHEMERALS };
Needs needsOf(std::string_view word);

/// The whole answer to a word that changes nothing. rows as named by needsOf(word), else empty.
std::string answerWord(std::string_view word, const ServerFacts& facts,
                       coordination::Status::Reader status,
                       capnp::List<coordination::Row>::Reader rows);

/// A type of request as cons shows it: "GETD", "PING".
std::string operationName(std::int32_t type);

}  // namespace polyquorum::zookeeper
