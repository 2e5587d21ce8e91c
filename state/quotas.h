// SPDX-License-Identifier: Apache-2.0
// Which paths have a quota, and what its two nodes say. The limits and counts themselves are znodes
// below /zookeeper/quota; the machine reads and writes those.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace polyquorum::state {

constexpr std::string_view QUOTA_ROOT = "/zookeeper/quota";
constexpr std::string_view LIMITS_NAME = "zookeeper_limits";
constexpr std::string_view STATS_NAME = "zookeeper_stats";

/// "count=..,bytes=..[=;countHardLimit=..;byteHardLimit=..]"; absent or unreadable numbers are -1.
/// Source: StatsTrack (3.9).
struct QuotaNumbers {
  std::int64_t count = -1, bytes = -1, countHard = -1, bytesHard = -1;
};
QuotaNumbers parseQuota(std::string_view text);
std::string quotaText(std::int64_t count, std::int64_t bytes);

/// "/zookeeper/quota/a/zookeeper_limits" with name zookeeper_limits gives "/a"; for the quota root
/// itself "/". Empty: the path is no such node.
std::string_view quotaTarget(std::string_view path, std::string_view name);
std::string limitsPath(std::string_view target);
std::string statsPath(std::string_view target);

/// The paths with limits. As in ZooKeeper only the longest covering one counts, and "/" never does.
class Quotas {
public:
  bool empty() const { return paths.empty(); }
  /// The longest path with limits that is this path or above it; empty if there is none.
  std::string_view covering(std::string_view path) const;
  void add(std::string_view target);
  void remove(std::string_view target);

  void begin() { journaling = true; }
  void commit();
  void rollBack();

private:
  std::set<std::string, std::less<>> paths;
  bool journaling = false;
  std::vector<std::pair<bool, std::string>> journal;  // true: was added
};

}  // namespace polyquorum::state
