// SPDX-License-Identifier: Apache-2.0
// Serving reads record by record, with a window so that small neighbours cost one system call.
#include "plugins/storage/file/record_reader.h"
#include <kj/debug.h>
#include <algorithm>

namespace polyquorum::file {
namespace {

constexpr std::uint64_t WINDOW_BYTES_MAX = 256 << 10;
/// What an entry costs in an answer beside its body.
constexpr std::uint64_t ENTRY_BYTES = 24;

}  // namespace

kj::Maybe<kj::ArrayPtr<const kj::byte>> RecordReader::body(const Span& span, std::uint64_t ahead) {
  auto bodyBytes = span.bytes - sizeof(RecordHeader);
  if (auto record = wal.inMemory(span)) {
    return kj::arrayPtr(record + sizeof(RecordHeader), bodyBytes);
  }
  auto file = wal.fileOf(span);
  if (file == nullptr) return nullptr;
  bool inWindow = windowWal == span.wal && span.position >= windowStart &&
                  span.position + span.bytes <= windowStart + windowBytes;
  if (!inWindow) {
    auto wanted = std::max<std::uint64_t>(span.bytes, std::min(ahead, WINDOW_BYTES_MAX));
    if (window.size() < wanted) window = kj::heapArray<kj::byte>(wanted);
    windowBytes = 0;
    windowBytes = file->read(span.position, window.slice(0, wanted));
    windowWal = span.wal;
    windowStart = span.position;
  }
  auto at = window.begin() + (span.position - windowStart);
  auto left = windowBytes - (span.position - windowStart);
  if (!isHeader(at, left, 0, span.wal, span.position)) return nullptr;
  if (headerAt(at).bodyBytes != bodyBytes || !isBodyIntact(at, left)) return nullptr;
  return kj::ArrayPtr<const kj::byte>(at + sizeof(RecordHeader), bodyBytes);
}

ReadEntries RecordReader::read(const SegmentLog& log, Index first, Index last,
                               std::uint64_t bytesMax) {
  ReadEntries out;
  windowWal = windowBytes = 0;  // files may have been written since
  std::uint64_t bytes = 0;
  bool full = false;
  for (auto span = log.find(first); span != log.spans.end() && span->first <= last && !full;
       ++span) {
    auto from = std::max(first, span->first), to = std::min(last, span->end() - 1);
    if (span->wal == 0) continue;  // known to be lost; reported below
    kj::Maybe<kj::ArrayPtr<const kj::byte>> found;
    kj::String reason = kj::str("checksum");
    try {
      found = body(*span, span->end() > last ? 0 : bytesMax);
    } catch (const kj::Exception& e) {
      reason = kj::heapString(e.getDescription());
    }
    KJ_IF_MAYBE(record, found) {
      EntryCursor cursor(record->begin(), record->size());
      while (cursor.next()) {
        if (cursor.entry.index < from || cursor.entry.index > to) continue;
        if (cursor.entry.stamp != span->stamp) continue;
        // Put twice in one write: the last one wins.
        bool again = !out.entries.empty() && out.entries.back().index == cursor.entry.index;
        if (again) out.entries.pop_back();
        bytes += cursor.entry.bytes + ENTRY_BYTES;
        if (!out.entries.empty() && bytes > bytesMax) {
          full = true;
          break;
        }
        auto offset = out.bodies.size();
        if (cursor.entry.bytes > 0) {
          std::memcpy(out.bodies.grow(cursor.entry.bytes), cursor.bytes, cursor.entry.bytes);
        }
        out.entries.push_back({cursor.entry.index, cursor.entry.stamp, offset,
                               cursor.entry.bytes});
      }
    } else {
      out.damaged.push_back({from, to});
      out.findings.push_back(kj::str("file=", walName(span->wal), " position=", span->position,
                                     " indexes=", from, "..", to, ": ", reason).cStr());
    }
  }
  for (auto& range : log.unreadable()) {
    if (range.last < first || range.first > last) continue;
    out.damaged.push_back({std::max(range.first, first), std::min(range.last, last)});
  }
  std::sort(out.damaged.begin(), out.damaged.end(),
            [](auto& a, auto& b) { return a.first < b.first; });
  return out;
}

}  // namespace polyquorum::file
