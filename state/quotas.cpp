// SPDX-License-Identifier: Apache-2.0
// Quota paths and texts; see quotas.h.
#include "state/quotas.h"
#include <charconv>

namespace polyquorum::state {

QuotaNumbers parseQuota(std::string_view text) {
  QuotaNumbers numbers;
  while (!text.empty()) {
    auto end = text.find_first_of(",;");
    auto pair = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    auto equals = pair.find('=');
    if (equals == pair.npos) continue;
    auto key = pair.substr(0, equals);
    // Old servers cut at the comma: what follows a second "=" is hidden from them, and from us.
    auto value = pair.substr(equals + 1);
    value = value.substr(0, value.find('='));
    std::int64_t number = -1;
    auto [at, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (failure != std::errc() || at != value.data() + value.size()) number = -1;
    if (key == "count") numbers.count = number;
    if (key == "bytes") numbers.bytes = number;
    if (key == "countHardLimit") numbers.countHard = number;
    if (key == "byteHardLimit") numbers.bytesHard = number;
  }
  return numbers;
}

std::string quotaText(std::int64_t count, std::int64_t bytes) {
  return "count=" + std::to_string(count) + ",bytes=" + std::to_string(bytes);
}

std::string_view quotaTarget(std::string_view path, std::string_view name) {
  if (!path.starts_with(QUOTA_ROOT) || !path.ends_with(name)) return {};
  if (path.size() <= QUOTA_ROOT.size() + name.size()) return {};
  auto target = path.substr(QUOTA_ROOT.size(), path.size() - QUOTA_ROOT.size() - name.size());
  // target is "/", "/a/" or part of a longer name.
  if (target.front() != '/' || target.back() != '/') return {};
  return target.size() == 1 ? target : target.substr(0, target.size() - 1);
}

namespace {

std::string below(std::string_view target, std::string_view name) {
  std::string path(QUOTA_ROOT);
  if (target != "/") path += target;
  path += '/';
  path += name;
  return path;
}

}  // namespace

std::string limitsPath(std::string_view target) { return below(target, LIMITS_NAME); }
std::string statsPath(std::string_view target) { return below(target, STATS_NAME); }

std::string_view Quotas::covering(std::string_view path) const {
  while (path.size() > 1) {
    auto found = paths.find(path);
    if (found != paths.end()) return *found;
    path = path.substr(0, path.rfind('/'));
  }
  return {};
}

void Quotas::add(std::string_view target) {
  bool added = paths.emplace(target).second;
  if (added && journaling) journal.emplace_back(true, target);
}

void Quotas::remove(std::string_view target) {
  auto found = paths.find(target);
  if (found == paths.end()) return;
  paths.erase(found);
  if (journaling) journal.emplace_back(false, target);
}

void Quotas::commit() {
  journaling = false;
  journal.clear();
}

void Quotas::rollBack() {
  journaling = false;
  for (auto step = journal.rbegin(); step != journal.rend(); ++step) {
    step->first ? void(paths.erase(step->second)) : void(paths.insert(step->second));
  }
  journal.clear();
}

}  // namespace polyquorum::state
