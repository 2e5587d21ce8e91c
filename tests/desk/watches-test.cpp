// SPDX-License-Identifier: Apache-2.0
// The watch tables alone, against ZooKeeper's measured table (zookeeper.md A8, B3).
#include "kernel/watches.h"
#include <catch2/catch.hpp>

namespace polyquorum::kernel {
namespace {

using What = polyquorum::Change::What;
using Told = std::vector<std::pair<std::uint64_t, What>>;

Told match(Watches& watches, const char* path, What what) {
  Told told;
  watches.match({path, what, nullptr},
                [&](auto session, auto as) { told.push_back({session, as}); });
  return told;
}

}  // namespace

TEST_CASE("watches: a one-shot watch is told once, twice set is once told (A8)") {
  Watches watches;
  watches.add(1, "/p", WATCH_DATA);
  watches.add(1, "/p", WATCH_DATA);
  CHECK(watches.count() == 1);

  CHECK(match(watches, "/p", What::DATA_CHANGED) == Told{{1, What::DATA_CHANGED}});
  CHECK(match(watches, "/p", What::DATA_CHANGED).empty());
  CHECK(watches.count() == 0);
  CHECK(watches.paths() == 0);
  CHECK(watches.sessions() == 0);
}

TEST_CASE("watches: data and child watches hear what ZooKeeper's table says (A8)") {
  for (auto [what, data, children] : {std::tuple{What::CREATED, true, false},
                                      std::tuple{What::DELETED, true, true},
                                      std::tuple{What::DATA_CHANGED, true, false},
                                      std::tuple{What::CHILDREN_CHANGED, false, true}}) {
    Watches watches;
    watches.add(1, "/p", WATCH_DATA);
    watches.add(2, "/p", WATCH_CHILDREN);
    Told expected;
    if (data) expected.push_back({1, what});
    if (children) expected.push_back({2, what});
    CHECK(match(watches, "/p", what) == expected);
  }
}

TEST_CASE("watches: data and child watch of one session give a single NodeDeleted (A8)") {
  Watches watches;
  watches.add(1, "/p", WATCH_DATA | WATCH_CHILDREN);
  CHECK(match(watches, "/p", What::DELETED) == Told{{1, What::DELETED}});
  CHECK(watches.count() == 0);
}

TEST_CASE("watches: a persistent watch stays where a one-shot goes (B3)") {
  Watches watches;
  watches.add(1, "/p", WATCH_DATA | WATCH_PERSISTENT);
  CHECK(match(watches, "/p", What::DATA_CHANGED).size() == 1);
  CHECK(watches.count() == 1);
  CHECK(match(watches, "/p", What::CHILDREN_CHANGED).size() == 1);
  CHECK(watches.has(1, "/p", WATCH_PERSISTENT));
  CHECK(!watches.has(1, "/p", WATCH_DATA));
}

TEST_CASE("watches: recursive matches by component and never hears childrenChanged (B3)") {
  Watches watches;
  watches.add(1, "/a", WATCH_RECURSIVE);
  CHECK(match(watches, "/a/b/c", What::CREATED).size() == 1);
  CHECK(match(watches, "/a", What::DATA_CHANGED).size() == 1);
  CHECK(match(watches, "/ab", What::CREATED).empty());
  CHECK(match(watches, "/a", What::CHILDREN_CHANGED).empty());
  watches.add(2, "/", WATCH_RECURSIVE);
  CHECK(match(watches, "/ab", What::CREATED) == Told{{2, What::CREATED}});
}

TEST_CASE("watches: a session that watches twice over is told once, sessions in order") {
  Watches watches;
  watches.add(9, "/a", WATCH_RECURSIVE);
  watches.add(9, "/a/b", WATCH_DATA);
  watches.add(3, "/a/b", WATCH_PERSISTENT);
  CHECK(match(watches, "/a/b", What::DELETED) ==
        Told{{3, What::DELETED}, {9, What::DELETED}});
}

TEST_CASE("watches: removing and dropping leave nothing behind") {
  Watches watches;
  for (int i = 0; i < 1000; i++) {
    watches.add(1, "/n" + std::to_string(i), WATCH_DATA);
    watches.add(2, "/n" + std::to_string(i), WATCH_CHILDREN | WATCH_RECURSIVE);
  }
  CHECK(watches.count() == 3000);
  CHECK(watches.remove(2, "/n7", WATCH_RECURSIVE));
  CHECK(!watches.remove(2, "/n7", WATCH_RECURSIVE));
  watches.drop(1);
  CHECK(watches.count() == 1999);
  CHECK(watches.sessions() == 1);
  watches.drop(2);
  CHECK(watches.count() == 0);
  CHECK(watches.paths() == 0);
  CHECK(match(watches, "/n3", What::DELETED).empty());
}

}  // namespace polyquorum::kernel
