// SPDX-License-Identifier: Apache-2.0
// ZooKeeper's four-letter words: one question, one answer, over a connection of its own.
#pragma once
#include <optional>
#include <string>

namespace polyquorum::zookeeper_client {

/// Sends word to "host:port" and reads to the end. Blocks up to timeoutMs; nothing if nobody
/// answers.
std::optional<std::string> fourLetterWord(const std::string& address, const std::string& word,
                                          int timeoutMs);

}  // namespace polyquorum::zookeeper_client
