// SPDX-License-Identifier: Apache-2.0
// Watch tables; see watches.h.
#include "kernel/watches.h"
#include <algorithm>
#include <bit>

namespace polyquorum::kernel {

std::uint8_t watchBits(coordination::Watch::Kind kind) {
  using Kind = coordination::Watch::Kind;
  switch (kind) {
    case Kind::DATA:
    case Kind::EXIST: return WATCH_DATA;
    case Kind::CHILDREN: return WATCH_CHILDREN;
    case Kind::PERSISTENT: return WATCH_PERSISTENT;
    case Kind::RECURSIVE: return WATCH_RECURSIVE;
    case Kind::ANY: return WATCH_ANY;
  }
  return 0;
}

unsigned Watches::bitCount(std::uint8_t bits) {
  return std::popcount(bits);
}

void Watches::add(Session session, std::string_view path, std::uint8_t bits) {
  auto& watchers = byPath[std::string(path)];
  auto at = std::lower_bound(watchers.begin(), watchers.end(), session,
                             [](const Watcher& w, Session s) { return w.session < s; });
  if (at == watchers.end() || at->session != session) {
    at = watchers.insert(at, {session, 0});
    bySession[session].emplace_back(path);
  }
  auto fresh = static_cast<std::uint8_t>(bits & ~at->bits);
  total += bitCount(fresh);
  if (fresh & WATCH_RECURSIVE) recursives++;
  at->bits |= bits;
}

bool Watches::remove(Session session, std::string_view path, std::uint8_t bits) {
  auto found = byPath.find(std::string(path));
  if (found == byPath.end()) return false;
  auto& watchers = found->second;
  auto at = std::lower_bound(watchers.begin(), watchers.end(), session,
                             [](const Watcher& w, Session s) { return w.session < s; });
  if (at == watchers.end() || at->session != session || !(at->bits & bits)) return false;
  auto gone = static_cast<std::uint8_t>(at->bits & bits);
  total -= bitCount(gone);
  if (gone & WATCH_RECURSIVE) recursives--;
  at->bits &= ~bits;
  if (at->bits == 0) {
    watchers.erase(at);
    forget(session, found->first);
    if (watchers.empty()) byPath.erase(found);
  }
  return true;
}

bool Watches::has(Session session, std::string_view path, std::uint8_t bits) const {
  auto found = byPath.find(std::string(path));
  if (found == byPath.end()) return false;
  for (auto& watcher : found->second) {
    if (watcher.session == session) return (watcher.bits & bits) != 0;
  }
  return false;
}

void Watches::drop(Session session) {
  auto found = bySession.find(session);
  if (found == bySession.end()) return;
  auto paths = std::move(found->second);
  bySession.erase(found);
  for (auto& path : paths) remove(session, path, WATCH_ANY);
}

void Watches::forget(Session session, const std::string& path) {
  auto found = bySession.find(session);
  if (found == bySession.end()) return;  // being dropped as a whole
  auto& paths = found->second;
  auto at = std::find(paths.begin(), paths.end(), path);
  if (at != paths.end()) {
    std::swap(*at, paths.back());
    paths.pop_back();
  }
  if (paths.empty()) bySession.erase(found);
}

void Watches::take(const std::string& path, std::uint8_t listening, std::uint8_t spent, What what,
                   std::map<Session, What>& told) {
  auto found = byPath.find(path);
  if (found == byPath.end()) return;
  auto& watchers = found->second;
  for (auto& watcher : watchers) {
    if (!(watcher.bits & listening)) continue;
    told.emplace(watcher.session, what);
    auto gone = static_cast<std::uint8_t>(watcher.bits & spent);
    total -= bitCount(gone);
    watcher.bits &= ~spent;
    if (watcher.bits == 0) forget(watcher.session, path);
  }
  std::erase_if(watchers, [](const Watcher& w) { return w.bits == 0; });
  if (watchers.empty()) byPath.erase(found);
}

void Watches::match(const state::Change& change, const Tell& tell) {
  if (total == 0) return;
  std::map<Session, What> told;
  auto& path = change.path;
  switch (change.what) {
    case What::CREATED:
    case What::DATA_CHANGED:
      take(path, WATCH_DATA | WATCH_PERSISTENT | WATCH_RECURSIVE, WATCH_DATA, change.what, told);
      break;
    case What::DELETED:
      // One NodeDeleted for a session that holds a data and a child watch (A8).
      take(path, WATCH_ANY, WATCH_DATA | WATCH_CHILDREN, change.what, told);
      break;
    case What::CHILDREN_CHANGED:
      // Recursive watches never hear of it (B3).
      take(path, WATCH_CHILDREN | WATCH_PERSISTENT, WATCH_CHILDREN, change.what, told);
      break;
  }
  if (recursives > 0 && change.what != What::CHILDREN_CHANGED) {
    for (auto at = path; at.size() > 1;) {
      at.resize(std::max<std::size_t>(at.rfind('/'), 1));
      take(at, WATCH_RECURSIVE, 0, change.what, told);
    }
  }
  for (auto& [session, what] : told) tell(session, what);
}

void Watches::eachPath(
    const std::function<void(const std::string&, const std::vector<Session>&)>& visit) const {
  std::map<std::string, std::vector<Session>> sorted;
  for (auto& [path, watchers] : byPath) {
    for (auto& watcher : watchers) sorted[path].push_back(watcher.session);
  }
  for (auto& [path, sessions] : sorted) visit(path, sessions);
}

void Watches::eachSession(
    const std::function<void(Session, const std::vector<std::string>&)>& visit) const {
  std::map<Session, std::vector<std::string>> sorted(bySession.begin(), bySession.end());
  for (auto& [session, paths] : sorted) {
    std::sort(paths.begin(), paths.end());
    visit(session, paths);
  }
}

}  // namespace polyquorum::kernel
