// SPDX-License-Identifier: Apache-2.0
// What the log holds and where: chain, facts, and for each segment the places of its entries. No
// bodies and no file; the same rules serve live writes and the scan at open.
#pragma once
#include <capnp/message.h>
#include <kj/memory.h>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>
#include "interfaces/storage.capnp.h"

namespace polyquorum::file {

using Index = std::uint64_t;

/// Consecutive entries of one stamp inside one record. wal 0: known to have been durable, and lost.
struct Span {
  Index first = 0;
  std::uint64_t stamp = 0;
  std::uint64_t position = 0;  ///< Of the record in its file.
  std::uint32_t count = 0;
  std::uint32_t wal = 0;       ///< The file's number.
  std::uint32_t bytes = 0;     ///< Of the whole record, header included.

  Index end() const { return first + count; }
};

struct IndexRange {
  Index first, last;
};

/// What is kept of one segment. Spans ascend and never overlap; 40 bytes for each record.
class SegmentLog {
public:
  std::deque<Span> spans;
  std::vector<IndexRange> damaged;  ///< Ascending, stamps unknown. Does not repeat lost spans.
  std::map<std::string, std::uint64_t> facts;
  Index floor = 1;     ///< Nothing below is wanted any more.
  bool ended = false;  ///< A later segment is in the chain.

  /// Highest index, 0 if there is none.
  Index last() const { return spans.empty() ? 0 : spans.back().end() - 1; }
  /// The last put for an index wins.
  void put(const Span& span);
  /// Forgets first .. end - 1.
  void erase(Index first, Index end);
  void damage(Index first, Index last);
  /// First span that ends above index.
  std::deque<Span>::const_iterator find(Index index) const;
  /// Lost spans and damaged ranges together.
  std::vector<IndexRange> unreadable() const;

private:
  void heal(Index first, Index end);
};

/// All segments of a node. Copied by nobody; used by one thread at a time.
class Catalog {
public:
  std::map<std::uint32_t, kj::Own<capnp::MallocMessageBuilder>> chain;
  std::map<std::uint32_t, SegmentLog> logs;
  /// Positions of snapshots that a write brought into use, oldest first.
  struct Adopted {
    std::uint64_t stamp;
    Index index;
  };
  std::vector<Adopted> adopted;

  SegmentLog& log(std::uint32_t segment);
  void join(polyquorum::Segment::Reader segment);
  /// Whether the write does more than append above the last index.
  bool isSpecial(storage::Write::Reader write) const;
  /// What a write does before its entries (base, trim, truncateFrom) and after (facts, next). Trims
  /// take effect in settle.
  void before(storage::Write::Reader write);
  void after(storage::Write::Reader write);
  /// Forgets what trims asked for, but nothing above the snapshot in use; then segments that ended
  /// and keep nothing.
  void settle(Index snapshotIndex);

  /// Entries first .. last were decided and no snapshot holds them: what is not here is damaged.
  void demand(Index first, Index last);

  /// The body of a context record.
  kj::Array<capnp::word> writeContext();
  /// Makes this catalog what the context says; places known for the same (index, stamp) stay, the
  /// rest of its runs becomes lost spans. Below a segment's floor nothing is changed. False if the
  /// bytes are no context.
  bool readContext(const unsigned char* body, std::size_t bytes);
};

void writeRuns(const SegmentLog& log, bool withLost, storage::Log::Builder out);
void writeRanges(const std::vector<IndexRange>& ranges,
                 capnp::List<storage::Range>::Builder out);

}  // namespace polyquorum::file
