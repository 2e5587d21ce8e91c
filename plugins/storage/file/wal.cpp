// SPDX-License-Identifier: Apache-2.0
// Appending and flushing. Opening and the life of files are in wal_files.cpp.
#include "plugins/storage/file/wal.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <algorithm>
#include "sdk/mutant.h"

namespace polyquorum::file {
namespace {

/// How long after the last flush a quiet log writes down that this flush was durable.
constexpr auto MARK_DELAY = 100 * kj::MILLISECONDS;
/// A group's memory is used again up to this size.
constexpr std::size_t KEPT_BYTES_MAX = 4 << 20;
constexpr std::uint64_t RECORD_BYTES_MAX = 1u << 30;

/// All of a write but its entries, as a flat message; empty if there is nothing else.
kj::Array<capnp::word> extraOf(storage::Write::Reader write) {
  if (write.getBase().getIndex() == 0 && write.getTrim() == 0 && write.getTruncateFrom() == 0 &&
      write.getFacts().size() == 0 && !write.hasNext()) {
    return nullptr;
  }
  capnp::MallocMessageBuilder message(64);
  auto out = message.initRoot<storage::Write>();
  out.setSegment(write.getSegment());
  if (write.hasBase()) out.setBase(write.getBase());
  out.setTrim(write.getTrim());
  if (!MUTANT("M7")) out.setTruncateFrom(write.getTruncateFrom());
  out.setFacts(write.getFacts());
  if (write.hasNext()) out.setNext(write.getNext());
  return capnp::messageToFlatArray(message);
}

/// What must never be done: the second sync of what failed to be synced says nothing. (Planted.)
[[maybe_unused]] void syncTwice(const kj::File& file) {
  if (kj::runCatchingExceptions([&]() { file.datasync(); }) != nullptr) file.datasync();
}

/// Puts an entry's header and bytes to at; returns behind them.
unsigned char* putEntry(unsigned char* at, polyquorum::Entry::Reader entry) {
  auto body = entry.getBody();
  EntryHeader header{entry.getIndex(), entry.getStamp(), static_cast<std::uint32_t>(body.size()),
                     0};
  std::memcpy(at, &header, sizeof header);
  at += sizeof header;
  if (body.size() > 0) std::memcpy(at, body.begin(), body.size());
  auto padded = alignUp(body.size(), WORD);
  std::memset(at + body.size(), 0, padded - body.size());
  return at + padded;
}

}  // namespace

void Wal::check() {
  KJ_IF_MAYBE(reason, failure) kj::throwFatalException(kj::cp(*reason));
}

void Wal::fail(kj::Exception&& reason) {
  if (failure != nullptr) return;
  environment.log(sdk::Level::ERROR, kj::str("storage.failed reason=", reason.getDescription()));
  for (auto* batch : {&flight, &gather}) {
    for (auto& caller : batch->callers) caller->reject(kj::cp(reason));
    batch->callers.clear();
  }
  failure = kj::mv(reason);
}

void Wal::taskFailed(kj::Exception&& exception) { fail(kj::mv(exception)); }

void Wal::append(storage::Write::Reader write) {
  auto extra = extraOf(write);
  auto entries = write.getEntries();
  std::uint64_t bodyBytes = sizeof(std::uint64_t) + extra.asBytes().size();
  for (auto entry : entries) {
    bodyBytes += sizeof(EntryHeader) + alignUp(entry.getBody().size(), WORD);
  }
  KJ_REQUIRE(bodyBytes <= RECORD_BYTES_MAX, "a write is larger than 1 GiB; split it", bodyBytes);

  auto& piece = pieceFor(sizeof(RecordHeader) + bodyBytes);
  bool special = catalog.isSpecial(write);
  RecordHeader header{};
  header.kind = Kind::WRITE;
  header.flags = special ? SPECIAL : 0;
  header.segment = write.getSegment();
  header.entryCount = entries.size();
  header.bodyBytes = static_cast<std::uint32_t>(bodyBytes);
  header.previousLast = catalog.log(write.getSegment()).last();
  if (entries.size() > 0) {
    header.first = entries[0].getIndex();
    for (auto entry : entries) {
      header.first = std::min(header.first, entry.getIndex());
      header.last = std::max(header.last, entry.getIndex());
    }
  }
  auto position = current->end;
  auto at = addRecord(piece, header);
  std::uint64_t extraBytes = extra.asBytes().size();
  std::memcpy(at, &extraBytes, sizeof extraBytes);
  at += sizeof extraBytes;
  if (extraBytes > 0) std::memcpy(at, extra.begin(), extraBytes);
  at += extraBytes;

  catalog.before(write);
  auto& log = catalog.log(write.getSegment());
  Span span;
  span.position = position;
  span.wal = static_cast<std::uint32_t>(current->sequence);
  span.bytes = static_cast<std::uint32_t>(sizeof(RecordHeader) + bodyBytes);
  for (auto entry : entries) {
    at = putEntry(at, entry);
    if (span.count > 0 && entry.getIndex() == span.end() && entry.getStamp() == span.stamp) {
      span.count++;
      continue;
    }
    if (span.count > 0) log.put(span);
    span.first = entry.getIndex();
    span.stamp = entry.getStamp();
    span.count = 1;
  }
  if (span.count > 0) log.put(span);
  catalog.after(write);
  current->indexMax = std::max(current->indexMax, header.last);
  contextWanted = contextWanted || special;
  gather.writes++;
  waiting++;
}

kj::Promise<void> Wal::durable() {
  auto pair = kj::newPromiseAndFulfiller<void>();
  gather.callers.push_back(kj::mv(pair.fulfiller));
  plan();
  return kj::mv(pair.promise);
}

Wal::Piece& Wal::pieceFor(std::uint64_t bytes) {
  bool full = current->end > 0 && alignUp(current->end, SECTOR) + bytes > current->capacity;
  if (full) {
    current = next;
    planNext();
  }
  if (full || gather.pieces.empty()) {
    current->end = alignUp(current->end, SECTOR);
    auto& piece = gather.pieces.emplace_back();
    piece.file = current;
    piece.start = current->end;
    if (kept.capacity() > 0) piece.bytes = kj::mv(kept);
    beginGroup(piece);
    return piece;
  }
  return gather.pieces.back();
}

void Wal::beginGroup(Piece& piece) {
  appended = ++group;
  groupBegins = true;
  if (piece.start == 0) {
    // Twice, in sectors of their own: the only thing that nothing else repeats.
    addContext(piece);
    auto padding = alignUp(piece.bytes.size(), SECTOR) - piece.bytes.size();
    std::memset(piece.bytes.grow(padding), 0, padding);
    current->end += padding;
    appended = ++group;
    groupBegins = true;
    addContext(piece);
  } else if (contextWanted) {
    addContext(piece);
  }
  contextWanted = false;
}

void Wal::addContext(Piece& piece) {
  auto context = catalog.writeContext();
  RecordHeader header{};
  header.kind = Kind::CONTEXT;
  header.bodyBytes = static_cast<std::uint32_t>(context.asBytes().size());
  std::memcpy(addRecord(piece, header), context.begin(), header.bodyBytes);
}

unsigned char* Wal::addRecord(Piece& piece, RecordHeader header) {
  header.magic = RECORD_MAGIC;
  header.disk = disk;
  header.wal = current->sequence;
  header.position = current->end;
  header.group = group;
  if (groupBegins) header.flags |= FIRST;
  groupBegins = false;
  auto record = piece.bytes.grow(recordBytes(header));
  std::memcpy(record, &header, sizeof header);
  current->end += recordBytes(header);
  return record + sizeof header;
}

void Wal::plan() {
  if (!busy) pumping.soon();  // later in this turn, so that all calls of the turn share one flush
}

void Wal::pump() {
  if (busy || failure != nullptr) return;
  if (auto bytes = fillWanted()) return fill(bytes);
  if (!gather.pieces.empty()) return flush();
  if (!gather.callers.empty()) {  // an empty write: everything before it is durable
    for (auto& caller : gather.callers) caller->fulfill();
    gather.callers.clear();
  }
  if (!retired.empty()) return tidy();
  planMark();
}

void Wal::run(kj::Function<void()> work, kj::Function<void()> then) {
  busy = true;
  tasks.add(jobs.run(kj::mv(work)).then([this, then = kj::mv(then)]() mutable {
    busy = false;
    then();
    pump();
  }));
}

void Wal::flush() {
  auto go = [this]() {
    flight = kj::mv(gather);
    gather = Batch();
    if (MUTANT("storage.await.log")) {
      for (auto& caller : flight.callers) caller->fulfill();
      flight.callers.clear();
    }
    run([this]() { writeOut(flight); }, [this]() { flushed(); });
  };
  if (settings.flushDelay == 0 * kj::SECONDS) return go();
  busy = true;
  tasks.add(environment.timer().afterDelay(settings.flushDelay).then(go));
}

void Wal::writeOut(Batch& batch) {
  for (auto& piece : batch.pieces) {
    try {
      if (piece.file->file.get() == nullptr) make(*piece.file);
      for (std::size_t at = 0; at < piece.bytes.size();) {
        auto record = piece.bytes.begin() + at;
        if (headerAt(record).magic != RECORD_MAGIC) {  // between the twin contexts
          at = alignUp(at, SECTOR);
          continue;
        }
        sealedCrc = sealRecord(record, sealedCrc);
        auto header = headerAt(record);
        auto used = sizeof header + header.bodyBytes;
        std::memset(record + used, 0, recordBytes(header) - used);
        at += recordBytes(header);
      }
      piece.file->file->write(piece.start, piece.bytes.bytes());
      if (MUTANT("M21")) {
        syncTwice(*piece.file->file);
      } else if (!MUTANT("storage.sync.log")) {
        piece.file->file->datasync();
      }
    } catch (const kj::Exception& e) {
      kj::throwFatalException(KJ_EXCEPTION(FAILED,
          "the log cannot be written, so this server stops: a failed write or sync is never tried "
          "again, because nobody can say what reached the disk; check the disk and free space, "
          "then restart it", walName(piece.file->sequence), e.getDescription()));
    }
  }
}

void Wal::flushed() {
  for (auto& piece : flight.pieces) {
    piece.file->begun = true;
    piece.file->filled = std::max(piece.file->filled, piece.start + piece.bytes.size());
  }
  auto done = kj::mv(flight);
  flight = Batch();
  waiting -= done.writes;
  if (!done.pieces.empty() && done.pieces.back().bytes.capacity() <= KEPT_BYTES_MAX) {
    kept = kj::mv(done.pieces.back().bytes);
    kept.clear();
  }
  for (auto& caller : done.callers) caller->fulfill();
}

void Wal::planMark() {
  // The newest group has no later one that proves it. A quiet log adds a context, so that rot in
  // it is told from a torn tail.
  if (markPlanned || marked == appended) return;
  markPlanned = true;
  auto seen = appended;
  tasks.add(environment.timer().afterDelay(MARK_DELAY).then([this, seen]() {
    markPlanned = false;
    if (failure != nullptr) return;
    if (seen == appended && !busy) {
      contextWanted = true;
      pieceFor(0);
      marked = appended;
    }
    pump();
  }));
}

const unsigned char* Wal::inMemory(const Span& span) const {
  for (auto* batch : {&gather, &flight}) {
    for (auto& piece : batch->pieces) {
      if (piece.file->sequence == span.wal && span.position >= piece.start &&
          span.position < piece.start + piece.bytes.size()) {
        return piece.bytes.begin() + (span.position - piece.start);
      }
    }
  }
  return nullptr;
}

const kj::File* Wal::fileOf(const Span& span) const {
  auto found = files.find(span.wal);
  return found == files.end() ? nullptr : found->second->file.get();
}

std::uint64_t Wal::bytesOwed() const {
  return next == nullptr ? 0 : next->capacity - std::min(next->capacity, next->filled);
}

std::uint64_t Wal::bytesUsed() const {
  std::uint64_t bytes = 0;
  for (auto& each : files) bytes += std::max(each.second->filled, each.second->end);
  KJ_IF_MAYBE(file, spare) bytes += (*file)->capacity;
  return bytes;
}

}  // namespace polyquorum::file
