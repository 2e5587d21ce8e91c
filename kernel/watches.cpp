// SPDX-License-Identifier: Apache-2.0
// Watch tables; see watches.h.
#include "kernel/watches.h"
#include <algorithm>
#include <bit>
#include <map>
#include "sdk/mutant.h"

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

Watches::Watchers::iterator Watches::find(Watchers& watchers, Session session) {
  return std::lower_bound(watchers.begin(), watchers.end(), session,
                          [](const Watcher& w, Session s) { return w.session < s; });
}

void Watches::add(Session session, std::string_view path, std::uint8_t bits) {
  auto found = byPath.find(path);
  if (found == byPath.end()) found = byPath.emplace(std::string(path), Watchers()).first;
  auto& watchers = found->second;
  auto at = find(watchers, session);
  if (at == watchers.end() || at->session != session) {
    at = watchers.insert(at, {session, 0});
    bySession[session].insert(&found->first);
  }
  auto fresh = static_cast<std::uint8_t>(bits & ~at->bits);
  total += std::popcount(fresh);
  if (fresh & WATCH_RECURSIVE) recursives++;
  at->bits |= bits;
}

bool Watches::remove(Session session, std::string_view path, std::uint8_t bits) {
  auto found = byPath.find(path);
  if (found == byPath.end()) return false;
  auto at = find(found->second, session);
  if (at == found->second.end() || at->session != session || !(at->bits & bits)) return false;
  removeAt(found, session, bits);
  return true;
}

void Watches::removeAt(ByPath::iterator found, Session session, std::uint8_t bits) {
  auto& watchers = found->second;
  auto at = find(watchers, session);
  auto gone = static_cast<std::uint8_t>(at->bits & bits);
  total -= std::popcount(gone);
  if (gone & WATCH_RECURSIVE) recursives--;
  at->bits &= ~bits;
  if (at->bits != 0) return;
  watchers.erase(at);
  forget(session, found->first);
  if (watchers.empty()) byPath.erase(found);
}

bool Watches::has(Session session, std::string_view path, std::uint8_t bits) const {
  auto found = byPath.find(path);
  if (found == byPath.end()) return false;
  auto at = find(const_cast<Watchers&>(found->second), session);
  return at != found->second.end() && at->session == session && (at->bits & bits) != 0;
}

void Watches::drop(Session session) {
  auto found = bySession.find(session);
  if (found == bySession.end()) return;
  auto paths = std::move(found->second);
  bySession.erase(found);
  for (auto* path : paths) removeAt(byPath.find(*path), session, WATCH_ANY);
}

void Watches::forget(Session session, const std::string& path) {
  auto found = bySession.find(session);
  if (found == bySession.end()) return;  // being dropped as a whole
  found->second.erase(&path);
  if (found->second.empty()) bySession.erase(found);
}

void Watches::take(std::string_view path, std::uint8_t listening, std::uint8_t spent, What what) {
  auto found = byPath.find(path);
  if (found == byPath.end()) return;
  auto& watchers = found->second;
  bool empty = false;
  for (auto& watcher : watchers) {
    if (!(watcher.bits & listening)) continue;
    told.emplace_back(watcher.session, what);
    if (MUTANT("kernel.watch.spent")) continue;
    total -= std::popcount(static_cast<std::uint8_t>(watcher.bits & spent));
    watcher.bits &= ~spent;
    if (watcher.bits != 0) continue;
    forget(watcher.session, found->first);
    empty = true;
  }
  if (empty) std::erase_if(watchers, [](const Watcher& w) { return w.bits == 0; });
  if (watchers.empty()) byPath.erase(found);
}

void Watches::match(const state::Change& change, const Tell& tell) {
  if (total == 0) return;
  told.clear();
  std::string_view path = change.path;
  switch (change.what) {
    case What::CREATED:
    case What::DATA_CHANGED:
      take(path, WATCH_DATA | WATCH_PERSISTENT | WATCH_RECURSIVE, WATCH_DATA, change.what);
      break;
    case What::DELETED:
      // One NodeDeleted for a session that holds a data and a child watch (A8).
      take(path, WATCH_ANY, WATCH_DATA | WATCH_CHILDREN, change.what);
      break;
    case What::CHILDREN_CHANGED:
      // Recursive watches never hear of it (B3).
      take(path, WATCH_CHILDREN | WATCH_PERSISTENT, WATCH_CHILDREN, change.what);
      break;
  }
  if (recursives > 0 && change.what != What::CHILDREN_CHANGED) {
    for (auto at = path; at.size() > 1;) {
      at = at.substr(0, std::max<std::size_t>(at.rfind('/'), 1));
      take(at, WATCH_RECURSIVE, 0, change.what);
    }
  }
  if (told.empty()) return;
  // Once for each session, whatever it watches; stable: the first reason counts.
  auto bySessionId = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (told.size() > 1) std::stable_sort(told.begin(), told.end(), bySessionId);
  auto last = std::unique(told.begin(), told.end(),
                          [](const auto& a, const auto& b) { return a.first == b.first; });
  for (auto at = told.begin(); at != last; ++at) tell(at->first, at->second);
}

void Watches::eachPath(const VisitPath& visit) const {
  std::map<std::string, std::vector<Session>> sorted;
  for (auto& [path, watchers] : byPath) {
    for (auto& watcher : watchers) sorted[path].push_back(watcher.session);
  }
  for (auto& [path, sessions] : sorted) visit(path, sessions);
}

void Watches::eachSession(const VisitSession& visit) const {
  std::map<Session, std::vector<std::string>> sorted;
  for (auto& [session, paths] : bySession) {
    auto& list = sorted[session];
    for (auto* path : paths) list.push_back(*path);
  }
  for (auto& [session, paths] : sorted) {
    std::sort(paths.begin(), paths.end());
    visit(session, paths);
  }
}

}  // namespace polyquorum::kernel
