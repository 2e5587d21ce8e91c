// SPDX-License-Identifier: Apache-2.0
// Quotas at work: hard limits checked before a change, counts kept up to date after it.
// Source: ZooKeeperServer.checkQuota, DataTree.updateQuotaStat and updateQuotaForPath (3.9).
#include "state/machine.h"

namespace polyquorum::state {

/// bytes, count: what the change would add below path. Soft limits never refuse.
Error Machine::quotaAllows(std::string_view path, std::int64_t bytes, std::int64_t count) const {
  auto target = quotas.covering(path);
  if (target.empty()) return Error::OK;
  auto limits = tree.find(limitsPath(target));
  auto stats = tree.find(statsPath(target));
  if (limits == NONE || stats == NONE) return Error::OK;
  auto allowed = parseQuota(tree.at(limits).data());
  auto current = parseQuota(tree.at(stats).data());
  auto exceeds = [](std::int64_t hard, std::int64_t used, std::int64_t more) {
    std::int64_t sum = 0;
    if (more == 0 || hard < 0) return false;
    return __builtin_add_overflow(used, more, &sum) || sum > hard;
  };
  bool refused = exceeds(allowed.countHard, current.count, count) ||
                 exceeds(allowed.bytesHard, current.bytes, bytes);
  return refused ? Error::QUOTA_EXCEEDED : Error::OK;
}

void Machine::quotaCount(std::string_view path, std::int64_t bytes, std::int64_t count) {
  if (quotas.empty() || (bytes == 0 && count == 0)) return;
  auto target = quotas.covering(path);
  if (target.empty()) return;
  auto stats = tree.find(statsPath(target));
  if (stats == NONE) return;
  auto current = parseQuota(tree.at(stats).data());
  auto add = [](std::int64_t a, std::int64_t b) {  // wraps as Java's long does
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  };
  auto text = quotaText(add(current.count, count), add(current.bytes, bytes));
  tree.replaceData(stats, {text, true});
}

void Machine::quotaCreated(std::string_view path) {
  if (!path.starts_with(QUOTA_ROOT)) return;
  auto limited = quotaTarget(path, LIMITS_NAME);
  if (limited.size() > 1) quotas.add(limited);
  auto counted = quotaTarget(path, STATS_NAME);
  if (counted.empty()) return;
  auto top = tree.find(counted);
  std::int64_t count = 0, bytes = 0;
  if (top != NONE) {
    tree.eachBelow(top, [&](Slot slot) {
      count++;
      bytes += tree.at(slot).dataBytes();
    });
  }
  tree.replaceData(tree.find(path), {quotaText(count, bytes), true});
}

void Machine::quotaRemoved(std::string_view path) {
  if (quotas.empty()) return;
  auto limited = quotaTarget(path, LIMITS_NAME);
  if (!limited.empty()) quotas.remove(limited);
}

}  // namespace polyquorum::state
