// SPDX-License-Identifier: Apache-2.0
// Buckets of sessions by expiry; see session_clock.h.
#include "kernel/session_clock.h"
#include <algorithm>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

constexpr std::int64_t NS_PER_MS = 1000000;

std::int64_t nanos(kj::TimePoint moment) {
  return (moment - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS;
}

}  // namespace

SessionClock::SessionClock(std::uint32_t tickMs)
    : widthNs(std::max<std::int64_t>(tickMs * NS_PER_MS / 2, 1)),
      graceNs(tickMs * NS_PER_MS / 4),
      tickNs(tickMs * NS_PER_MS) {}

void SessionClock::clear() {
  sessions.clear();
  buckets.clear();
}

std::int64_t SessionClock::bucketOf(kj::TimePoint heard, std::uint32_t timeoutMs) const {
  // B4: (now + timeout) / tick + 1, with the grace inside.
  return (nanos(heard) + timeoutMs * NS_PER_MS + graceNs) / widthNs + 1;
}

kj::TimePoint SessionClock::momentOf(std::int64_t bucket) const {
  return kj::origin<kj::TimePoint>() + bucket * widthNs * kj::NANOSECONDS;
}

void SessionClock::file(Session session, Row& row) {
  row.filed = row.bucket;
  buckets[row.bucket].push_back(session);
}

void SessionClock::add(Session session, std::uint64_t incarnation, std::uint32_t timeoutMs,
                       kj::TimePoint now) {
  auto [at, fresh] = sessions.try_emplace(session);
  auto& row = at->second;
  bool listed = !fresh && !row.closing;
  row.incarnation = incarnation;
  row.timeoutMs = timeoutMs;
  row.closing = false;
  row.bucket = bucketOf(now, timeoutMs);
  // A shorter timeout than before may be due before the bucket where it is listed.
  if (!listed || row.bucket < row.filed) file(session, row);
}

void SessionClock::touch(Session session, kj::TimePoint heard) {
  auto at = sessions.find(session);
  if (at == sessions.end() || at->second.closing) return;
  at->second.bucket = std::max(at->second.bucket, bucketOf(heard, at->second.timeoutMs));
}

void SessionClock::remove(Session session) {
  sessions.erase(session);  // its listing is skipped when it comes up
}

bool SessionClock::closing(Session session) const {
  auto at = sessions.find(session);
  return at != sessions.end() && at->second.closing;
}

void SessionClock::restart(kj::TimePoint now) {
  buckets.clear();
  std::vector<Session> all;
  for (auto& [session, row] : sessions) {
    if (!row.closing) all.push_back(session);
  }
  std::sort(all.begin(), all.end());
  for (auto session : all) {
    auto& row = sessions.find(session)->second;
    row.bucket = bucketOf(now, row.timeoutMs);
    file(session, row);
  }
}

std::vector<std::uint64_t> SessionClock::due(kj::TimePoint now) {
  std::vector<std::uint64_t> incarnations;
  if (buckets.empty()) return incarnations;
  auto late = nanos(now) - buckets.begin()->first * widthNs;
  if (late > tickNs && !MUTANT("M26")) {
    restart(now);
    return incarnations;
  }
  while (!buckets.empty() && momentOf(buckets.begin()->first) <= now) {
    auto bucket = buckets.begin()->first;
    auto listed = std::move(buckets.begin()->second);
    buckets.erase(buckets.begin());
    for (auto session : listed) {
      auto at = sessions.find(session);
      // Removed, or listed again elsewhere.
      if (at == sessions.end() || at->second.closing || at->second.filed != bucket) continue;
      auto& row = at->second;
      bool slept = late > graceNs && !MUTANT("M26");
      if (row.bucket <= bucket && slept) row.bucket = (nanos(now) + tickNs) / widthNs + 1;
      if (row.bucket > bucket) {
        file(session, row);
        continue;
      }
      row.closing = true;
      incarnations.push_back(row.incarnation);
    }
  }
  std::sort(incarnations.begin(), incarnations.end());
  return incarnations;
}

kj::Maybe<kj::TimePoint> SessionClock::next() const {
  if (buckets.empty()) return nullptr;
  return momentOf(buckets.begin()->first);
}

}  // namespace polyquorum::kernel
