// SPDX-License-Identifier: Apache-2.0
// One record of the write-ahead log, byte by byte: how it is laid out, sealed and recognised. No
// file is touched here. README.md shows the same layout as a table.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace polyquorum::file {

static_assert(std::endian::native == std::endian::little, "the log is little-endian on disk");

/// Groups begin at a multiple of this: the unit a disk writes whole. So a torn write of one group
/// cannot touch an earlier one.
constexpr std::uint64_t SECTOR = 512;
/// Records begin at a multiple of this.
constexpr std::uint64_t WORD = 8;
constexpr std::uint32_t RECORD_MAGIC = 0x31527150;  // "PqR1": the version is part of it

enum class Kind : std::uint8_t {
  WRITE = 1,    ///< One Write of the interface.
  CONTEXT = 2,  ///< Everything beside the bodies, as it is before the next record.
};

/// The record does more than append above the last index: the next group begins with a context.
constexpr std::uint8_t SPECIAL = 1;
/// First of its group. Every earlier group was durable before this one was written.
constexpr std::uint8_t FIRST = 2;

/// Stands before each body. All of it but magic and headerCrc is covered by headerCrc.
struct RecordHeader {
  std::uint32_t magic;
  std::uint32_t headerCrc;
  std::uint64_t disk;         ///< Drawn at random when the directory was made: not another disk's.
  std::uint64_t wal;          ///< Number of the file: not what a recycled file held before.
  std::uint64_t position;     ///< Of this header in the file: not a misdirected write.
  std::uint64_t group;        ///< Number of the flush. A later one proves that this was durable.
  std::uint32_t bodyBytes;
  std::uint32_t bodyCrc;
  std::uint32_t previousCrc;  ///< headerCrc of the record before, over all files: nothing is lost.
  Kind kind;
  std::uint8_t flags;
  std::uint16_t reserved;
  std::uint32_t segment;
  std::uint32_t entryCount;
  std::uint64_t first;         ///< Lowest and highest index among the entries; 0 if there is none.
  std::uint64_t last;
  std::uint64_t previousLast;  ///< Highest index of the segment before this record.
};
static_assert(sizeof(RecordHeader) == 88);

/// Stands before each entry's bytes inside the body of a WRITE.
struct EntryHeader {
  std::uint64_t index;
  std::uint64_t stamp;
  std::uint32_t bytes;
  std::uint32_t reserved;
};
static_assert(sizeof(EntryHeader) == 24);

inline std::uint64_t alignUp(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

/// Bytes from this record's start to where the next one of the group may begin.
inline std::uint64_t recordBytes(const RecordHeader& header) {
  return alignUp(sizeof(RecordHeader) + header.bodyBytes, WORD);
}

/// Sets both checksums; everything else is in place. Returns headerCrc for the next record.
std::uint32_t sealRecord(unsigned char* record, std::uint32_t previousCrc);

/// Whether a header that is genuine for this place begins at `at`, left bytes before the end. disk 0
/// accepts any. Its body may reach beyond the end: a crash can take a file's new size and leave the header.
bool isHeader(const unsigned char* at, std::uint64_t left, std::uint64_t disk, std::uint64_t wal,
              std::uint64_t position);
/// Whether the body is there, in the bytes left from the accepted header on, and what the header says.
bool isBodyIntact(const unsigned char* record, std::uint64_t left);

inline RecordHeader headerAt(const unsigned char* at) {
  RecordHeader header;
  std::memcpy(&header, at, sizeof header);
  return header;
}

/// Walks the entries of a WRITE's body. A body that lies about its own sizes ends the walk.
class EntryCursor {
public:
  /// body: bodyBytes of them.
  EntryCursor(const unsigned char* body, std::size_t bodyBytes);
  /// False at the end.
  bool next();
  /// True if the walk ended before the body did.
  bool malformed() const { return broken; }

  EntryHeader entry{};
  const unsigned char* bytes = nullptr;
  /// The flat Write message that carries all but the entries; empty for a plain append.
  const unsigned char* extra = nullptr;
  std::size_t extraBytes = 0;

private:
  const unsigned char* at;
  const unsigned char* end;
  bool broken = false;
};

}  // namespace polyquorum::file
