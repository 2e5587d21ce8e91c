// SPDX-License-Identifier: Apache-2.0
// The whole of the Storage interface in memory: chain, logs, facts, snapshots. No file, no thread,
// nothing that survives the process.
#pragma once
#include <capnp/message.h>
#include <kj/refcount.h>
#include <cstdint>
#include <map>
#include <string>
#include "interfaces/storage.capnp.h"

namespace polyquorum::memory {

using Index = std::uint64_t;

/// A state image and its header. Shared by the store, a Sink that fills it, Sources that read it.
struct Image : public kj::Refcounted {
  capnp::MallocMessageBuilder header;
  kj::Vector<capnp::byte> bytes;
  bool complete = false;

  polyquorum::Snapshot::Reader read() { return header.getRoot<polyquorum::Snapshot>(); }
};

/// What is kept of one segment.
struct SegmentLog {
  struct Slot {
    std::uint64_t stamp = 0;
    kj::Array<capnp::byte> body;
  };
  std::map<Index, Slot> entries;
  std::map<std::string, std::uint64_t> facts;
  Index floor = 1;      ///< Nothing below is kept.
  bool ended = false;   ///< A later segment is in the chain.
};

/// Storage for one node. Durable means here: until the process ends. A new object is always empty.
/// One thread, the loop's. A write that breaks the contract throws FAILED.
class MemoryStorage final : public storage::Storage::Server {
public:
  kj::Promise<void> open(OpenContext context) override;
  kj::Promise<void> write(WriteContext context) override;
  kj::Promise<void> read(ReadContext context) override;
  kj::Promise<void> stage(StageContext context) override;
  kj::Promise<void> load(LoadContext context) override;
  kj::Promise<void> usage(UsageContext context) override;

private:
  std::map<std::uint32_t, kj::Own<capnp::MallocMessageBuilder>> chain;
  std::map<std::uint32_t, SegmentLog> logs;
  kj::Maybe<kj::Own<Image>> inUse, staged;
  std::uint64_t bytesHeld = 0;

  Index snapshotIndex();
  SegmentLog& log(std::uint32_t segment);
  void perform(storage::Write::Reader write);
  void adopt(polyquorum::Position::Reader base);
  void join(polyquorum::Segment::Reader segment);
  void erase(SegmentLog& log, Index first, Index end);
};

}  // namespace polyquorum::memory
