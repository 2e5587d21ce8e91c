// SPDX-License-Identifier: Apache-2.0
// For the file storage's tests: what a correct storage holds after a prefix of the writes, and how
// to compare that with a real one.
#pragma once
#include <catch2/catch.hpp>
#include <algorithm>
#include <map>
#include <vector>
#include "tests/conformance/storage/fault_disk.h"
#include "tests/conformance/storage/storage_host.h"

namespace polyquorum::file {

using namespace polyquorum::conformance;

/// The contract of Write as plain maps; trims take effect at once.
struct Model {
  std::map<std::uint32_t, std::map<std::uint64_t, Put>> entries;
  std::map<std::uint32_t, std::map<std::string, std::uint64_t>> facts;
  std::map<std::uint32_t, std::uint64_t> chain;
  std::uint64_t snapshot = 0;

  void perform(const WriteOf& write) {
    snapshot = std::max(snapshot, write.base.index);
    auto& log = entries[write.segment];
    for (auto& each : entries) {  // indexes are dense over the chain
      if (write.trim == 0 || each.first > write.segment) continue;
      each.second.erase(each.second.begin(), each.second.lower_bound(write.trim));
    }
    if (write.truncateFrom) log.erase(log.lower_bound(write.truncateFrom), log.end());
    for (auto& entry : write.entries) log[entry.index] = entry;
    for (auto& fact : write.facts) facts[write.segment][fact.first] = fact.second;
    for (auto& next : write.next) {
      chain[next.id] = next.base;
      if (next.id > write.segment) log.erase(log.lower_bound(next.base + 1), log.end());
    }
  }
};

/// What a storage shows, in the same shape. damaged: everything it reports.
struct Shown {
  Model model;
  Ranges damaged;
};

inline Shown show(StorageHost& storage, const OpenOf& opened) {
  Shown out;
  for (auto& link : opened.chain) out.model.chain[link.id] = link.base;
  out.model.snapshot = opened.snapshot.index;
  for (auto& log : opened.logs) {
    for (auto& fact : log.second.facts) out.model.facts[log.first][fact.first] = fact.second;
    auto read = storage.read(log.first, 0, ~0ull, 1u << 30);
    for (auto& entry : read.entries) out.model.entries[log.first][entry.index] = entry;
    REQUIRE(read.damaged == log.second.damaged);
    std::uint64_t inRuns = 0;
    for (auto& run : log.second.runs) {
      inRuns += run.count;
      for (auto i = run.first; i < run.first + run.count; i++) {
        REQUIRE(out.model.entries[log.first].count(i) == 1);
        REQUIRE(out.model.entries[log.first][i].stamp == run.stamp);
      }
    }
    REQUIRE(inRuns == read.entries.size());
    out.damaged.insert(out.damaged.end(), read.damaged.begin(), read.damaged.end());
  }
  return out;
}

/// Equal, where both say something: empty logs and facts of forgotten segments do not count.
inline bool equal(const Model& a, const Model& b) {
  auto entries = [](const Model& m) {
    auto out = m.entries;
    for (auto i = out.begin(); i != out.end();) i = i->second.empty() ? out.erase(i) : std::next(i);
    return out;
  };
  if (a.chain != b.chain || a.snapshot != b.snapshot || entries(a) != entries(b)) return false;
  for (auto& each : a.facts) {
    auto other = b.facts.find(each.first);
    bool forgotten = other == b.facts.end() || a.chain.upper_bound(each.first) != a.chain.end();
    if (!forgotten && other->second != each.second) return false;
  }
  return true;
}

inline std::vector<Put> entriesOf(std::uint64_t first, std::uint64_t last, std::uint64_t stamp,
                                  std::size_t bytes = 20) {
  std::vector<Put> out;
  for (auto i = first; i <= last; i++) {
    auto text = std::to_string(i) + "/" + std::to_string(stamp) + " ";
    out.push_back({i, stamp, text + std::string(bytes, 'e')});
  }
  return out;
}

inline const char* pluginFile() { return STORAGE_PLUGINS "/file.so"; }

/// One life of a node on a disk.
struct Life {
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  StorageHost storage;

  explicit Life(FaultDisk& disk, std::map<std::string, std::string> options = {})
      : storage(scope, disk.directory()) {
    storage.load(pluginFile(), options);
  }
};

}  // namespace polyquorum::file
