// SPDX-License-Identifier: Apache-2.0
// Asks servers how they are by ZooKeeper's four-letter words; works with Apache ZooKeeper too.
#pragma once
#include <string>
#include <vector>

namespace polyquorum::cli {

/// Sends word to "host:port" and reads the answer to its end. Empty if nobody answers in time.
std::string fourLetterWord(const std::string& address, const std::string& word, int timeoutMs);

/// What `srvr` tells. answered false: nobody listens, or not in time.
struct ServerState {
  bool answered = false;
  bool serving = false;         ///< knows a leader
  std::string mode;             ///< leader, follower, observer, standalone; empty if not serving
  std::string version, zxid, nodes, connections, latency, received, sent, outstanding;
};

/// Asks all at once, so that one that hangs costs timeoutMs, not more. In the order of addresses.
std::vector<ServerState> askServers(const std::vector<std::string>& addresses, int timeoutMs);

/// Reads the answer to `srvr`.
ServerState parseSrvr(const std::string& answer);

}  // namespace polyquorum::cli
