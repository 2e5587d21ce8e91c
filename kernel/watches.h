// SPDX-License-Identifier: Apache-2.0
// Who wants to hear of which node: one-shot, persistent and recursive watches of the sessions whose
// home is this node. Volatile; matched on the changes of applied entries. Delivers nothing itself.
// Source: ZooKeeper's WatchManager, WatchesPathReport, PathParentIterator.
#pragma once
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "state/state.h"

namespace polyquorum::kernel {

/// What a session left on one path, as a set of bits. exists() and getData() leave the same watch.
enum WatchBits : std::uint8_t {
  WATCH_DATA = 1,
  WATCH_CHILDREN = 2,
  WATCH_PERSISTENT = 4,
  WATCH_RECURSIVE = 8,
  WATCH_ANY = 15,
};
std::uint8_t watchBits(coordination::Watch::Kind kind);

class Watches {
public:
  using Session = std::uint64_t;
  using What = polyquorum::Change::What;
  /// Who is told, and how the change is put to them.
  using Tell = std::function<void(Session, What)>;

  void add(Session session, std::string_view path, std::uint8_t bits);
  /// Removes these bits; false if none of them was there.
  bool remove(Session session, std::string_view path, std::uint8_t bits);
  bool has(Session session, std::string_view path, std::uint8_t bits) const;
  void drop(Session session);

  /// Tells each watcher of this change once; its one-shot watches are spent. Order among sessions
  /// is that of their ids.
  void match(const state::Change& change, const Tell& tell);

  std::uint64_t count() const { return total; }
  std::uint64_t paths() const { return byPath.size(); }
  std::uint64_t sessions() const { return bySession.size(); }
  using VisitPath = std::function<void(const std::string&, const std::vector<Session>&)>;
  using VisitSession = std::function<void(Session, const std::vector<std::string>&)>;
  /// Sorted.
  void eachPath(const VisitPath& visit) const;
  void eachSession(const VisitSession& visit) const;

private:
  struct Watcher {
    Session session;
    std::uint8_t bits;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view path) const {
      return std::hash<std::string_view>()(path);
    }
  };
  using Watchers = std::vector<Watcher>;  ///< by session, ascending
  /// Nodes of this map stay where they are: sessions point at its keys.
  using ByPath = std::unordered_map<std::string, Watchers, Hash, std::equal_to<>>;
  using Paths = boost::unordered_flat_set<const std::string*>;

  ByPath byPath;
  boost::unordered_flat_map<Session, Paths> bySession;
  std::uint64_t total = 0;
  std::uint64_t recursives = 0;
  std::vector<std::pair<Session, What>> told;  ///< of the change being matched

  void take(std::string_view path, std::uint8_t listening, std::uint8_t spent, What what);
  void forget(Session session, const std::string& path);
  void removeAt(ByPath::iterator found, Session session, std::uint8_t bits);
  static Watchers::iterator find(Watchers& watchers, Session session);
};

}  // namespace polyquorum::kernel
