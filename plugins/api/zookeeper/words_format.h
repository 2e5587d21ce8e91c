// SPDX-License-Identifier: Apache-2.0
// What the two halves of the four-letter words share: printing, and the version.
#pragma once
#include <string>
#include "plugins/api/zookeeper/words.h"

namespace polyquorum::zookeeper {

/// printf to the end of out; at most 1 KiB at a time.
[[gnu::format(printf, 2, 3)]] void add(std::string& out, const char* format, ...);
constexpr unsigned long long ull(std::uint64_t value) { return value; }
std::string average(const Latency& latency);

/// What stands for a version. It begins as ZooKeeper's whose server side this follows, because
/// clients parse it.
std::string versionLine();

/// mntr: ZooKeeper's keys that mean something here, then ours.
void monitorText(std::string& out, const ServerFacts& facts, coordination::Status::Reader status);
/// Ours alone; true of a server without a leader, too.
void ownText(std::string& out, coordination::Status::Reader status);

}  // namespace polyquorum::zookeeper
