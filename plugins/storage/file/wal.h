// SPDX-License-Identifier: Apache-2.0
// The write-ahead log at run time: one queue, group commit, files prepared ahead and recycled. What
// the records mean is catalog's; how they are laid out is record's.
#pragma once
#include <kj/async.h>
#include <kj/filesystem.h>
#include <cstdint>
#include <map>
#include <vector>
#include "plugins/storage/file/buffer.h"
#include "plugins/storage/file/catalog.h"
#include "plugins/storage/file/jobs.h"
#include "plugins/storage/file/record.h"
#include "plugins/storage/file/scan.h"
#include "sdk/environment.h"
#include "sdk/later.h"

namespace polyquorum::file {

struct WalSettings {
  std::uint64_t walBytes = 64 << 20;       ///< Size of a file; the first ones are smaller.
  kj::Duration flushDelay = 0 * kj::SECONDS;
};

/// One thread: the loop's. File work that may block runs in offload (PROMPT), one job at a time. The first
/// failure of any job is final: every waiting and later call throws it.
class Wal final : private kj::TaskSet::ErrorHandler {
public:
  Wal(sdk::Environment& environment, Catalog& catalog, const WalSettings& settings);

  /// Reads all files into the catalog, clears a torn tail, makes the first file if there is none.
  kj::Promise<void> open();
  /// Whether open found any record.
  bool foundRecords() const { return found; }

  /// Puts one write into the queue and its places into the catalog. Copies the bodies, once.
  void append(storage::Write::Reader write);
  /// Resolves when everything appended so far is durable, in call order.
  kj::Promise<void> durable();
  /// Throws if an earlier write failed.
  void check();
  void fail(kj::Exception&& reason);

  /// The record of a span if it still is in memory; its checksums are not set yet.
  const unsigned char* inMemory(const Span& span) const;
  /// The file of a span that is not in memory; nullptr if it is gone.
  const kj::File* fileOf(const Span& span) const;

  /// Whole files from the oldest on that hold no entry at or above keepFrom may be used again.
  void retire(Index keepFrom);

  std::uint64_t bytesUsed() const;
  /// What the next file still wants of the disk.
  std::uint64_t bytesOwed() const;
  std::uint32_t writesWaiting() const { return waiting; }

private:
  struct WalFile {
    std::uint64_t sequence = 0;
    kj::Own<const kj::File> file;  ///< Null: not made yet.
    std::uint64_t capacity = 0;
    std::uint64_t end = 0;         ///< Where the next record goes, in memory's view.
    std::uint64_t filled = 0;      ///< Bytes known to be allocated.
    Index indexMax = 0;
    bool begun = false;            ///< Holds something durable.
    bool recycled = false;         ///< To be made from the spare file.
  };
  struct Piece {  ///< Bytes for one place in one file: one write and one sync.
    WalFile* file = nullptr;
    std::uint64_t start = 0;
    Buffer bytes;
  };
  struct Batch {
    std::vector<Piece> pieces;
    std::vector<kj::Own<kj::PromiseFulfiller<void>>> callers;
    std::uint32_t writes = 0;
  };

  sdk::Environment& environment;
  Catalog& catalog;
  WalSettings settings;
  kj::Own<const kj::Directory> directory;
  std::map<std::uint64_t, kj::Own<WalFile>> files;  ///< By sequence; the last one is next.
  WalFile* current = nullptr;
  WalFile* next = nullptr;
  std::vector<kj::Own<WalFile>> retired;            ///< Waiting for tidy.
  kj::Maybe<kj::Own<WalFile>> spare;                ///< "spare": used again for the next file.
  std::uint64_t filling = 0;                        ///< What next will have when the job is done.
  bool fillRefused = false;                         ///< By a full disk; tried again later.
  Batch gather, flight;
  Buffer kept;                ///< The memory of the last group, used again.
  std::uint64_t disk = 0, group = 0;
  std::uint32_t sealedCrc = 0;      ///< Touched by jobs only.
  bool contextWanted = true;        ///< The next group begins with a context.
  bool groupBegins = false;
  bool busy = false, found = false;
  std::uint32_t waiting = 0;
  std::uint64_t appended = 0, marked = 0;  ///< Groups: newest in the queue; newest that is proven.
  bool markPlanned = false;
  kj::Maybe<kj::Exception> failure;
  /// What open works on, while it does.
  struct Opening {
    explicit Opening(Catalog& catalog) : scan(catalog) {}
    std::vector<ScannedFile> files;
    Scan scan;
    std::vector<std::string> news;  ///< Of the scan's findings.
  };
  kj::Maybe<kj::Own<Opening>> opening;
  kj::TaskSet tasks;
  sdk::Later pumping;
  Jobs jobs;

  void findFiles(std::vector<ScannedFile>& scanned);
  bool isLastGroupOnDisk(std::vector<ScannedFile>& scanned, const Scan& scan);
  void clean(std::vector<ScannedFile>& scanned);
  void begin(std::vector<ScannedFile>& scanned, const Scan& scan);
  void planNext();
  Piece& pieceFor(std::uint64_t bytes);
  void beginGroup(Piece& piece);
  unsigned char* addRecord(Piece& piece, RecordHeader header);
  void addContext(Piece& piece);

  void plan();
  void pump();
  void flush();
  void flushed();
  void writeOut(Batch& batch);
  void planMark();

  std::uint64_t fillWanted() const;
  void fill(std::uint64_t bytes);
  void prepare(WalFile& file);
  void filled();
  void make(WalFile& file);
  void tidy();
  void run(kj::Function<void()> work, kj::Function<void()> then);
  void taskFailed(kj::Exception&& exception) override;
};

/// "wal-0000000000000007".
kj::String walName(std::uint64_t sequence);

}  // namespace polyquorum::file
