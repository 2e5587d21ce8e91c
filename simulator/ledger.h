// SPDX-License-Identifier: Apache-2.0
// What stands on every disk, counted by the simulator itself: from each node's queue of writes and
// from what its storage called durable, never from what a protocol believes. Checkers: storage,
// quorum, promises, leader-completeness.
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>
#include "interfaces/storage.capnp.h"
#include "kernel/write_queue.h"
#include "sdk/core.h"
#include "simulator/story.h"

namespace polyquorum::simulator {

class Ledger {
 public:
  explicit Ledger(Story& story) : story(story) {}

  /// Of all segments. None: nothing is counted.
  std::set<core::MemberId> voters;

  /// A life begins, and this is what its storage found: a prefix of what was written (law 1), with
  /// everything in it that was called durable.
  void booted(core::MemberId server, storage::Storage::OpenResults::Reader found);
  /// The number'th write of this life went into the queue.
  void queued(core::MemberId server, std::uint64_t number, const kernel::PendingWrite& write);
  /// Storage answered: all up to the number'th are durable.
  void durable(core::MemberId server, std::uint64_t number);
  /// Its disk lost everything: until a segment names its new life, what it holds counts nowhere.
  void wiped(core::MemberId server);
  /// Its disk was damaged on purpose: from now on what it finds may be less, but never silently.
  void damaged(core::MemberId server) { disks[server].excused = true; }

  /// This server is the first to apply this entry: a quorum's disks must hold it.
  void decided(core::MemberId server, core::Index index);
  void standing(core::MemberId server, std::uint32_t segment, const core::Standing& standing);

 private:
  /// A write without its bodies.
  struct Write {
    std::uint64_t number = 0;
    std::uint32_t segment = 0;
    core::Position base;
    core::Index trim = 0, truncateFrom = 0;
    std::vector<std::pair<core::Index, core::Fence>> entries;
    std::vector<core::Fact> facts;
    struct Next {
      std::uint32_t id;
      core::Index base;
      std::uint64_t life;  ///< the one it names of the server that writes
    };
    std::optional<Next> next;
  };
  struct Log {
    std::map<core::Index, core::Fence> entries;
    std::map<std::string, std::uint64_t> facts;
  };
  /// A disk after some prefix of the queue.
  struct Held {
    std::uint32_t segments = 0;
    std::uint64_t life = 0;  ///< of the server, named by the last segment
    core::Index base = 0, trim = 0;
    std::map<std::uint32_t, Log> logs;
  };
  struct Disk {
    Held durable, newest;
    std::deque<Write> pending;
    bool excused = false;
    bool muted = false;  ///< it lost its promises
    std::pair<std::uint32_t, core::Fence> claim;  ///< the fence that it tries to lead under; 0: none
  };
  struct Holder {
    core::Fence stamp = 0;
    std::uint64_t servers = 0;  ///< bits
  };
  using Place = std::pair<std::uint32_t, core::Index>;  ///< segment, index

  Story& story;
  std::map<core::MemberId, Disk> disks;
  std::map<Place, std::vector<Holder>> holders;  ///< of what is not decided yet
  std::map<std::pair<core::MemberId, std::uint32_t>, std::uint64_t> promised;  ///< highest fact
  std::vector<std::pair<std::uint32_t, core::Fence>> decidedAs;  ///< index 1 first

  static void perform(Held& held, const Write& write);
  static std::string differs(const Held& held, storage::Storage::OpenResults::Reader found,
                             bool excused);
  static bool saysSo(const Held& held, storage::Storage::OpenResults::Reader found);
  static Held believe(core::MemberId server, storage::Storage::OpenResults::Reader found);
  void count(core::MemberId server, std::uint32_t segment, core::Index index, core::Fence stamp);
  void countFacts(core::MemberId server, std::uint32_t segment, const Log& log);
  void checkPromises(core::MemberId server, std::uint32_t segment, core::Fence fence);
  void checkCompleteness(core::MemberId server, std::uint32_t segment, core::Fence fence);
  std::size_t quorum() const { return voters.size() / 2 + 1; }
};

}  // namespace polyquorum::simulator
