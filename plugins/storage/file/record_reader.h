// SPDX-License-Identifier: Apache-2.0
// Reads records that the catalog knows, from memory or disk, checked. Not the scan at open.
#pragma once
#include <cstdint>
#include <string>
#include <vector>
#include "plugins/storage/file/wal.h"

namespace polyquorum::file {

/// What one read found. Bytes of entry i: bodies.begin() + entries[i].offset.
struct ReadEntries {
  struct Found {
    Index index;
    std::uint64_t stamp;
    std::size_t offset;
    std::uint32_t bytes;
  };
  std::vector<Found> entries;
  Buffer bodies;
  std::vector<IndexRange> damaged;
  std::vector<std::string> findings;  ///< One line for each record that cannot be read.
};

class RecordReader {
public:
  explicit RecordReader(Wal& wal) : wal(wal) {}

  /// Entries of first .. last, at least one if there is one, else at most bytesMax.
  ReadEntries read(const SegmentLog& log, Index first, Index last, std::uint64_t bytesMax);

private:
  Wal& wal;
  kj::Array<kj::byte> window;  ///< What was last read from a file.
  std::uint64_t windowWal = 0, windowStart = 0, windowBytes = 0;

  kj::Maybe<kj::ArrayPtr<const kj::byte>> body(const Span& span, std::uint64_t ahead);
};

}  // namespace polyquorum::file
