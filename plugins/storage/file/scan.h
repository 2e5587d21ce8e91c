// SPDX-License-Identifier: Apache-2.0
// Reading the log at open: what is whole, what was torn by a crash, what has rotted. Changes no
// file; the caller clears the torn tail that is reported.
#pragma once
#include <kj/filesystem.h>
#include <cstdint>
#include <string>
#include <vector>
#include "plugins/storage/file/catalog.h"
#include "plugins/storage/file/record.h"

namespace polyquorum::file {

/// One file of the log as the scan found it.
struct ScannedFile {
  std::uint64_t sequence = 0;
  kj::Own<const kj::File> file;
  std::uint64_t size = 0;
  std::uint64_t end = 0;       ///< Behind its last good record.
  std::uint64_t records = 0;   ///< Good ones. 0: prepared, but not begun.
  Index indexMax = 0;          ///< Highest index written in it.
  std::uint64_t tornFrom = 0, tornTo = 0;  ///< To be cleared with zeros; equal: nothing.
};

/// Replays files in order into a catalog. Throws FAILED if damage left no context to begin from, or
/// none after a record that was more than entries: facts would go back in silence.
///
/// Torn or rotten? A flush begins only when the one before is durable. So what is broken, and is
/// followed by nothing of a later group, was never answered: a torn tail, dropped from the first
/// broken record on. What is followed by a later group was durable: damage, reported and read
/// around.
class Scan {
public:
  explicit Scan(Catalog& catalog) : catalog(&catalog) {}

  /// Files ascend by sequence. Call once.
  void run(std::vector<ScannedFile>& files);

  std::uint64_t disk = 0;         ///< 0: no good record anywhere.
  std::uint64_t group = 0;        ///< Of the last good record.
  std::uint64_t groupStart = 0;   ///< Position of that group's first record.
  std::uint32_t previousCrc = 0;  ///< Its headerCrc.
  std::vector<std::string> findings;  ///< One line for each damage, for the log.

private:
  Catalog* catalog;
  kj::Array<kj::byte> buffer;
  bool started = false;   ///< A record was seen, so previousCrc means something.
  bool seeded = false;    ///< A context was read.
  bool lost = false;      ///< Something durable is missing since the last context,
  bool promisesLost = false;  ///< and it was more than entries,
  bool promisesDoubted = false;  ///< or may have been: its header is gone, too.
  std::uint64_t doubtedFrom = 0;  ///< The group that was read last before that.
  std::uint64_t unseeded = 0;

  bool isBegun(ScannedFile& file);
  void readFile(ScannedFile& file, bool laterBegun);
  /// The record that was read last is the one that was written before this.
  bool follows(const RecordHeader& header) const;
  bool accept(ScannedFile& file, const unsigned char* record, bool laterBegun);
  void apply(ScannedFile& file, const RecordHeader& header, const unsigned char* body);
  void applyWrite(ScannedFile& file, const RecordHeader& header, const unsigned char* body);
  void damaged(ScannedFile& file, const RecordHeader& header);
  /// Whole records are missing here.
  void missing(ScannedFile& file, std::uint64_t position, const char* what);
  void note(ScannedFile& file, std::uint64_t position, const char* what);

  /// Position of the next genuine header at or behind from; file.size if there is none.
  std::uint64_t findHeader(ScannedFile& file, std::uint64_t from);
  std::uint64_t provedByTwin(ScannedFile& file, std::uint64_t at, std::uint64_t second);
  bool laterGroupFollows(ScannedFile& file, std::uint64_t from, std::uint64_t group);
  void tear(ScannedFile& file, std::uint64_t from);
};

}  // namespace polyquorum::file
