// SPDX-License-Identifier: Apache-2.0
// The life of the log's files: found and repaired at open, prepared ahead of need, recycled when
// trimmed.
#include <fcntl.h>
#include <kj/debug.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include "plugins/storage/file/told.h"
#include "plugins/storage/file/wal.h"
#include "sdk/mutant.h"

namespace polyquorum::file {
namespace {

constexpr std::uint64_t FIRST_BYTES = 1 << 20;   ///< So that a fresh start takes milliseconds.
constexpr std::uint64_t GROWTH = 4;              ///< Each file is this many times the one before.
constexpr std::uint64_t SLICE_BYTES = 256 << 10; ///< Zeros are written and synced in such slices,
constexpr std::uint64_t SLICE_BYTES_MAX = 4 << 20;  ///< so that flushes get in between.
constexpr std::uint64_t PAGE = 4096;
constexpr auto FILL_AGAIN = 1 * kj::SECONDS;     ///< When a full disk is asked again.
constexpr auto WRITE = kj::WriteMode::CREATE | kj::WriteMode::MODIFY | kj::WriteMode::PRIVATE;
const kj::StringPtr SPARE = "spare";

void zero(const kj::File& file, std::uint64_t from, std::uint64_t to) {
  auto zeros = kj::heapArray<kj::byte>(std::min(to - from, SLICE_BYTES_MAX));
  std::memset(zeros.begin(), 0, zeros.size());
  while (from < to) {
    auto bytes = std::min(to - from, static_cast<std::uint64_t>(zeros.size()));
    file.write(from, zeros.slice(0, bytes));
    from += bytes;
  }
}

/// The number in a name made by walName, 0 if it is another name.
std::uint64_t sequenceOf(kj::StringPtr name) {
  if (!name.startsWith("wal-") || name.size() != 20) return 0;
  char* end = nullptr;
  auto value = std::strtoull(name.cStr() + 4, &end, 16);
  return *end == 0 ? value : 0;
}

}  // namespace

kj::String walName(std::uint64_t sequence) {
  auto digits = kj::str(kj::hex(sequence));
  return kj::str("wal-", kj::repeat('0', 16 - digits.size()), digits);
}

Wal::Wal(sdk::Environment& environment, Catalog& catalog, const WalSettings& settings)
    : environment(environment), catalog(catalog), settings(settings),
      directory(environment.directory("log")), tasks(*this), pumping(*this, [this]() { pump(); }),
      jobs(environment, sdk::Queue::PROMPT) {}

kj::Promise<void> Wal::open() {
  auto& state = *opening.emplace(kj::heap<Opening>(catalog));
  auto fresh = environment.random() | 1;
  return jobs.run([this, &state]() {
    directory->sync();  // names that an earlier life made and did not sync
    findFiles(state.files);
    state.scan.run(state.files);
    if (!isLastGroupOnDisk(state.files, state.scan)) {
      state.files.clear();
      catalog = Catalog();
      state.scan = Scan(catalog);
      findFiles(state.files);
      state.scan.run(state.files);
    }
    clean(state.files);
    state.news = untold(*directory, state.scan.findings);
  }).then([this, &state, fresh]() {
    for (auto& finding : state.news) {
      environment.log(sdk::Level::ERROR, kj::str("storage.damaged ", finding.c_str()));
    }
    begin(state.files, state.scan);
    if (disk == 0) disk = fresh;
    opening = nullptr;
    plan();
  });
}

void Wal::findFiles(std::vector<ScannedFile>& scanned) {
  for (auto& name : directory->listNames()) {
    auto sequence = sequenceOf(name);
    if (sequence == 0) continue;
    auto file = directory->openFile(kj::Path(kj::mv(name)), kj::WriteMode::MODIFY);
    auto& found = scanned.emplace_back();
    found.sequence = sequence;
    found.size = file->stat().size;
    found.file = kj::mv(file);
  }
  std::sort(scanned.begin(), scanned.end(),
            [](auto& a, auto& b) { return a.sequence < b.sequence; });
}

/// After a failed sync the page cache may show what the disk does not hold, and the kernel believes
/// it is written. Only the last group can be such: compare it with what is read past the cache.
bool Wal::isLastGroupOnDisk(std::vector<ScannedFile>& scanned, const Scan& scan) {
  for (auto file = scanned.rbegin(); file != scanned.rend(); ++file) {
    if (file->records == 0) continue;
    // A process that was killed may have written it and not synced it: what follows relies on it.
    file->file->datasync();
    KJ_IF_MAYBE(fd, file->file->getFd()) {
      auto from = scan.groupStart, bytes = file->end - from;
      auto shown = kj::heapArray<kj::byte>(bytes), held = kj::heapArray<kj::byte>(bytes);
      file->file->read(from, shown);
      posix_fadvise(*fd, static_cast<off_t>(from / PAGE * PAGE), 0,
                    POSIX_FADV_DONTNEED);
      file->file->read(from, held);
      return shown == held;
    }
    return true;
  }
  return true;
}

void Wal::clean(std::vector<ScannedFile>& scanned) {
  for (auto& file : scanned) {
    if (file.tornTo <= file.tornFrom) continue;
    zero(*file.file, file.tornFrom, file.tornTo);
    file.file->datasync();
  }
  if (!scanned.empty()) return;
  // The first file of a new directory.
  auto& first = scanned.emplace_back();
  first.sequence = 1;
  first.size = std::min(FIRST_BYTES, settings.walBytes);
  first.file = directory->openFile(kj::Path(walName(1)), WRITE);
  zero(*first.file, 0, first.size);
  first.file->sync();
  directory->sync();
}

void Wal::begin(std::vector<ScannedFile>& scanned, const Scan& scan) {
  disk = scan.disk;
  group = appended = marked = scan.group;
  // What was written twice may stand once now, as a torn end or as damage: a quiet log says it again.
  if (appended > 0) marked = appended - 1;
  sealedCrc = scan.previousCrc;
  std::size_t last = 0;
  for (std::size_t i = 0; i < scanned.size(); i++) {
    if (scanned[i].records > 0) last = i, found = true;
  }
  for (std::size_t i = 0; i < scanned.size(); i++) {
    auto made = kj::heap<WalFile>();
    made->sequence = scanned[i].sequence;
    made->file = kj::mv(scanned[i].file);
    made->capacity = made->filled = scanned[i].size;
    made->end = scanned[i].end;
    made->indexMax = scanned[i].indexMax;
    made->begun = scanned[i].records > 0;
    if (i == last) current = made.get();
    if (i > last + 1 || (i == last + 1 && made->sequence != scanned[last].sequence + 1)) {
      retired.push_back(kj::mv(made));
      continue;
    }
    if (i == last + 1) next = made.get();
    files[made->sequence] = kj::mv(made);
  }
  current->capacity = std::max(current->capacity, std::min(FIRST_BYTES, settings.walBytes));
  if (directory->exists(kj::Path(SPARE))) {
    auto kept = kj::heap<WalFile>();
    kept->capacity = directory->lstat(kj::Path(SPARE)).size;
    spare = kj::mv(kept);
  }
  if (next == nullptr) {
    planNext();
  } else {
    next->capacity = std::max(next->capacity,
                              std::min(settings.walBytes, current->capacity * GROWTH));
  }
}

void Wal::planNext() {
  auto made = kj::heap<WalFile>();
  made->sequence = current->sequence + 1;
  made->capacity = std::min(settings.walBytes, std::max(FIRST_BYTES, current->capacity * GROWTH));
  KJ_IF_MAYBE(file, spare) {
    made->recycled = true;
    made->capacity = std::max(made->capacity, (*file)->capacity);
    made->filled = 0;
    spare = nullptr;
  }
  next = made.get();
  files[made->sequence] = kj::mv(made);
}

std::uint64_t Wal::fillWanted() const {
  if (fillRefused || next->filled >= next->capacity) return 0;
  // In step with the file in use, so that it is ready when that is three quarters full.
  auto target = std::min(next->capacity, next->capacity * current->end /
                                             std::max(current->capacity * 3 / 4, SECTOR));
  if (target <= next->filled) return 0;
  auto owed = target - next->filled;
  if (owed < std::min(SLICE_BYTES, next->capacity - next->filled)) return 0;
  return std::min(owed, SLICE_BYTES_MAX);
}

void Wal::fill(std::uint64_t bytes) {
  auto file = next;
  filling = file->recycled ? file->capacity : file->filled + bytes;
  run([this, file]() {
    // A full disk is no failure yet: nobody waits for these bytes. The write that needs them may fail.
    KJ_IF_MAYBE(refused, kj::runCatchingExceptions([&]() { prepare(*file); })) {
      if (refused->getType() != kj::Exception::Type::OVERLOADED) kj::throwFatalException(kj::mv(*refused));
      fillRefused = true;
    }
  }, [this, file]() {
    if (!fillRefused) {
      file->filled = filling;
      return;
    }
    environment.log(sdk::Level::WARNING, "storage.full: the log's next file cannot be made ready");
    tasks.add(environment.timer().afterDelay(FILL_AGAIN).then([this]() {
      fillRefused = false;
      plan();
    }));
  });
}

void Wal::prepare(WalFile& file) {
  if (file.file.get() == nullptr) make(file);
  // A recycled file needs no zeros, but may be short. What a full disk refused is written again.
  auto from = std::max(file.filled, file.recycled ? file.file->stat().size : 0);
  if (from >= filling) return;
  zero(*file.file, from, filling);
  file.file->datasync();
}

void Wal::make(WalFile& file) {
  kj::Path path(walName(file.sequence));
  if (file.recycled) directory->transfer(path, WRITE, kj::Path(SPARE), kj::TransferMode::MOVE);
  auto made = directory->openFile(path, WRITE);
  if (!MUTANT("M23")) directory->sync();
  file.file = kj::mv(made);
}

void Wal::retire(Index keepFrom) {
  for (auto& each : catalog.logs) {
    if (!each.second.spans.empty()) keepFrom = std::min(keepFrom, each.second.spans.front().first);
  }
  while (files.size() > 2) {
    auto oldest = files.begin();
    auto after = std::next(oldest);
    if (oldest->second.get() == current || !after->second->begun) break;
    if (oldest->second->indexMax >= keepFrom) break;
    retired.push_back(kj::mv(oldest->second));
    files.erase(oldest);
  }
  plan();
}

void Wal::tidy() {
  auto going = kj::mv(retired);
  retired.clear();
  kj::Maybe<std::uint64_t> keep;
  if (spare == nullptr && !next->recycled) {
    for (auto& file : going) {
      if (file->capacity * 2 >= std::min(settings.walBytes, current->capacity)) {
        keep = file->sequence;
        spare = kj::heap<WalFile>();
        KJ_ASSERT_NONNULL(spare)->capacity = file->capacity;
        break;
      }
    }
  }
  run([this, keep, going = kj::mv(going)]() mutable {
    for (auto& file : going) {
      kj::Path path(walName(file->sequence));
      bool kept = false;
      KJ_IF_MAYBE(sequence, keep) kept = *sequence == file->sequence;
      if (kept) {
        directory->transfer(kj::Path(SPARE), WRITE, path, kj::TransferMode::MOVE);
      } else {
        directory->tryRemove(path);
      }
    }
    directory->sync();
  }, []() {});
}

}  // namespace polyquorum::file
