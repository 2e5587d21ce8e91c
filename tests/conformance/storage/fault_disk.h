// SPDX-License-Identifier: Apache-2.0
// A disk in memory that forgets what was not synced, tears writes, and fails when told. Behind
// kj::Directory, one flat folder. For tests only.
#pragma once
#include <kj/filesystem.h>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace polyquorum::conformance {

/// Contents of one file: what a reader sees now, and what a power cut leaves.
struct FaultFile {
  struct Pending {
    std::uint64_t offset;
    std::vector<unsigned char> bytes;  ///< Empty: the size became offset.
  };
  std::vector<unsigned char> now, durable;
  std::vector<Pending> pending;
};

class FaultDisk {
public:
  enum class Failure { NONE, CRASH, IO_ERROR, NO_SPACE };

  /// The folder; any number of them show the same disk.
  kj::Own<const kj::Directory> directory();

  /// What happens at the operation that many changes from now (1: the next one). After a CRASH
  /// every later operation fails too.
  void failAt(std::uint64_t operation, Failure failure);
  std::uint64_t operations() const { return count; }

  /// Power cut: of what was not synced, a random part of the writes and sectors survives; of
  /// renames and creations that were not synced, a random beginning. seed decides.
  void powerCut(std::uint64_t seed);
  /// The process dies, the machine does not: everything written survives.
  void processDeath();

  std::map<std::string, std::shared_ptr<FaultFile>> names;
  std::vector<std::string> trace;  ///< One word per changing operation.
  /// Of files of this prefix so many reads go well, and so many then throw.
  struct {
    std::string prefix;
    unsigned pass = 0, fail = 0;
  } reads;

  // For the directory and its files.
  void change(const char* what, const std::string& name);
  void read(const std::string& name);
  std::map<std::string, std::shared_ptr<FaultFile>> durableNames;
  std::vector<std::map<std::string, std::shared_ptr<FaultFile>>> pendingNames;
  void namesChanged() { pendingNames.push_back(names); }
  void syncNames();

private:
  std::uint64_t count = 0, failing = 0;
  Failure failure = Failure::NONE;
  bool dead = false;
};

}  // namespace polyquorum::conformance
