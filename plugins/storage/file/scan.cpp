// SPDX-License-Identifier: Apache-2.0
// The walk over all records and the judgement over each broken one.
#include "plugins/storage/file/scan.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <algorithm>
#include "sdk/mutant.h"

namespace polyquorum::file {
namespace {

/// Where the first records of a begun file must be found.
constexpr std::uint64_t BEGINNING = 1 << 20;

}  // namespace

void Scan::run(std::vector<ScannedFile>& files) {
  std::vector<bool> begun;
  for (auto& file : files) begun.push_back(isBegun(file));
  for (std::size_t i = 0; i < files.size(); i++) {
    bool laterBegun = std::find(begun.begin() + i + 1, begun.end(), true) != begun.end();
    if (begun[i]) readFile(files[i], laterBegun);
  }
  KJ_REQUIRE(seeded || unseeded == 0,
             "the beginning of the log is damaged and no later part repeats what it said (chain "
             "and promises); keep the directory for inspection and let this server rejoin with an "
             "empty one", unseeded);
  KJ_REQUIRE(!promisesLost && !promisesDoubted,
             "a promise or a change of the chain is damaged in the log, and so is every later place that "
             "repeated it; keep the directory for inspection and let this server rejoin with an empty "
             "one");
  if (!started) disk = 0;
}

bool Scan::isBegun(ScannedFile& file) {
  auto head = kj::heapArray<kj::byte>(std::min(file.size, BEGINNING));
  auto read = file.file->read(0, head);
  for (std::uint64_t at = 0; at + sizeof(RecordHeader) <= read; at += WORD) {
    if (isHeader(head.begin() + at, read - at, 0, file.sequence, at)) {
      disk = headerAt(head.begin() + at).disk;
      return true;
    }
  }
  return false;
}

void Scan::readFile(ScannedFile& file, bool laterBegun) {
  if (buffer.size() < file.size) buffer = kj::heapArray<kj::byte>(file.size);
  file.size = file.file->read(0, buffer.slice(0, file.size));
  std::uint64_t at = 0;
  while (at < file.size) {
    if (isHeader(buffer.begin() + at, file.size - at, disk, file.sequence, at)) {
      auto header = headerAt(buffer.begin() + at);
      if (!accept(file, buffer.begin() + at, laterBegun)) return tear(file, at);
      at += recordBytes(header);
      file.end = at;
      continue;
    }
    auto next = findHeader(file, at);
    if (next >= file.size) return;  // the end: nothing of this file's follows
    auto header = headerAt(buffer.begin() + next);
    if (!started || !follows(header)) {
      // A record is missing here. If the next one is first of its group, it proves the missing one.
      auto proof = header.flags & FIRST ? header.group - 1 : header.group;
      if (at == 0 && started && header.group == group + 2) proof = provedByTwin(file, next, header.group);
      if (MUTANT("M22")) return tear(file, at);
      if (!laterBegun && !laterGroupFollows(file, next, proof)) return tear(file, at);
      missing(file, at, "records are unreadable here");
    }
    at = next;
  }
}

bool Scan::follows(const RecordHeader& header) const {
  return header.previousCrc == previousCrc || MUTANT("M25");
}

bool Scan::accept(ScannedFile& file, const unsigned char* record, bool laterBegun) {
  auto header = headerAt(record);
  bool intact = isBodyIntact(record, file.size - header.position);
  if (MUTANT("M22") && !intact) return false;
  auto proof = header.group;
  if (!intact && header.position == 0) {
    proof = provedByTwin(file, findHeader(file, sizeof header), header.group + 1);
  }
  if (!intact && !laterBegun && !laterGroupFollows(file, header.position + sizeof header, proof)) {
    return false;
  }
  if (started && !follows(header) && !lost) {
    missing(file, header.position, "records before this one are missing");
  }
  // Behind a special record the next group begins with a context. If one group is missing and this one begins
  // with none, nothing special is; of two the second may have been the context.
  if (promisesDoubted && header.flags & FIRST && header.kind == Kind::WRITE &&
      header.group <= doubtedFrom + 2) {
    promisesDoubted = false;
  }
  if (intact) {
    apply(file, header, record + sizeof header);
  } else {
    damaged(file, header);
  }
  if (!started || group != header.group) groupStart = header.position;
  started = true;
  previousCrc = header.headerCrc;
  group = header.group;
  file.records++;
  return true;
}

void Scan::apply(ScannedFile& file, const RecordHeader& header, const unsigned char* body) {
  if (header.kind == Kind::CONTEXT) {
    if (!lost && seeded) return;  // says what is known
    KJ_REQUIRE(catalog->readContext(body, header.bodyBytes),
               "a context record of the log is intact but cannot be understood; was it written by "
               "another version?", file.sequence, header.position);
    seeded = true;
    lost = promisesLost = promisesDoubted = false;
    return;
  }
  if (!seeded) {
    unseeded++;
    return;
  }
  applyWrite(file, header, body);
}

void Scan::applyWrite(ScannedFile& file, const RecordHeader& header, const unsigned char* body) {
  if (lost) {
    auto& log = catalog->log(header.segment);
    if (header.previousLast > log.last()) log.damage(log.last() + 1, header.previousLast);
  }
  EntryCursor cursor(body, header.bodyBytes);
  kj::Array<capnp::word> words;
  kj::Maybe<kj::Own<capnp::FlatArrayMessageReader>> extra;
  if (cursor.extraBytes > 0) {
    words = kj::heapArray<capnp::word>(cursor.extraBytes / sizeof(capnp::word));
    std::memcpy(words.begin(), cursor.extra, cursor.extraBytes);
    auto& reader = extra.emplace(kj::heap<capnp::FlatArrayMessageReader>(words));
    catalog->before(reader->getRoot<storage::Write>());
  }
  Span span;
  span.position = header.position;
  span.wal = static_cast<std::uint32_t>(file.sequence);
  span.bytes = static_cast<std::uint32_t>(sizeof header + header.bodyBytes);
  auto& log = catalog->log(header.segment);
  while (cursor.next()) {
    if (span.count > 0 && cursor.entry.index == span.end() &&
        cursor.entry.stamp == span.stamp) {
      span.count++;
      continue;
    }
    if (span.count > 0) log.put(span);
    span.first = cursor.entry.index;
    span.stamp = cursor.entry.stamp;
    span.count = 1;
  }
  if (span.count > 0) log.put(span);
  KJ_REQUIRE(!cursor.malformed(), "a record of the log is intact but cannot be understood; was it "
             "written by another version?", file.sequence, header.position);
  file.indexMax = std::max(file.indexMax, header.last);
  KJ_IF_MAYBE(reader, extra) catalog->after((*reader)->getRoot<storage::Write>());
}

void Scan::damaged(ScannedFile& file, const RecordHeader& header) {
  note(file, header.position, "a record is damaged");
  if (header.kind == Kind::CONTEXT) return;
  if (header.entryCount > 0 && seeded) {
    auto& log = catalog->log(header.segment);
    log.erase(header.first, header.last + 1);
    log.damage(header.first, header.last);
  }
  if (header.flags & SPECIAL) lost = promisesLost = true;
}

void Scan::missing(ScannedFile& file, std::uint64_t position, const char* what) {
  note(file, position, what);
  lost = true;
  if (!promisesDoubted) doubtedFrom = group;
  promisesDoubted = !MUTANT("storage.promises.doubt");
}

void Scan::note(ScannedFile& file, std::uint64_t position, const char* what) {
  findings.push_back(kj::str("file=wal-", kj::hex(file.sequence), " position=", position, ": ",
                             what).cStr());
}

std::uint64_t Scan::findHeader(ScannedFile& file, std::uint64_t from) {
  for (auto at = alignUp(from, WORD); at + sizeof(RecordHeader) <= file.size; at += WORD) {
    std::uint32_t magic;
    std::memcpy(&magic, buffer.begin() + at, sizeof magic);
    if (magic == RECORD_MAGIC &&
        isHeader(buffer.begin() + at, file.size - at, disk, file.sequence, at)) {
      return at;
    }
  }
  return file.size;
}

/// The two groups that begin a file are one flush, so they are torn together: the second, whose context is at
/// `at`, proves the first if it is whole; else only a group after it does.
std::uint64_t Scan::provedByTwin(ScannedFile& file, std::uint64_t at, std::uint64_t second) {
  bool whole = false;
  if (at < file.size) {
    auto header = headerAt(buffer.begin() + at);
    bool context = header.group == second && header.flags & FIRST;
    whole = context && isBodyIntact(buffer.begin() + at, file.size - at);
  }
  return whole || MUTANT("storage.scan.twins") ? second - 1 : second;
}

bool Scan::laterGroupFollows(ScannedFile& file, std::uint64_t from, std::uint64_t group) {
  for (auto at = findHeader(file, from); at < file.size; at = findHeader(file, at + WORD)) {
    if (headerAt(buffer.begin() + at).group > group) return true;
  }
  return false;
}

void Scan::tear(ScannedFile& file, std::uint64_t from) {
  file.tornFrom = from;
  file.tornTo = from;
  for (auto at = findHeader(file, from); at < file.size; at = findHeader(file, at + WORD)) {
    file.tornTo = std::min(file.size, at + recordBytes(headerAt(buffer.begin() + at)));
  }
}

}  // namespace polyquorum::file
