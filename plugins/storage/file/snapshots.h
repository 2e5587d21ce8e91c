// SPDX-License-Identifier: Apache-2.0
// Which snapshots there are: staged, in use, kept for a rainy day. The layout of a file is
// image_file's; that a snapshot came into use is written in the log, not here.
#pragma once
#include <kj/async.h>
#include <kj/filesystem.h>
#include <kj/refcount.h>
#include <cstdint>
#include <vector>
#include "interfaces/storage.capnp.h"
#include "plugins/storage/file/catalog.h"
#include "plugins/storage/file/image_file.h"
#include "plugins/storage/file/jobs.h"
#include "sdk/environment.h"

namespace polyquorum::file {

/// One snapshot that was finished. Files are called snapshot-<index in hex>; staged ones have
/// ".<n>.staging" behind it until the write that adopts them is durable.
struct StoredImage {
  std::uint64_t stamp = 0;
  Index index = 0;
  kj::String name;
  std::uint64_t bytes = 0;
};

/// Loop's thread; file work runs in offload (BULK). A sink keeps it alive.
class Snapshots : public kj::Refcounted {
public:
  Snapshots(sdk::Environment& environment, std::uint32_t kept);
  ~Snapshots() noexcept(false);

  /// Offload, at open. Finishes the renames of adopted ones that are whole, deletes what was staged
  /// and not adopted, or at the position of one that has its name, skips files that are not whole.
  /// The newest is read to its end; a rotten one is put aside, and the one before is in use. Lines
  /// about what was wrong go to findings.
  void recover(const std::vector<Catalog::Adopted>& adopted, std::vector<std::string>& findings);

  /// Index of the snapshot in use, 0: none.
  Index index() const { return images.empty() ? 0 : images.back().index; }
  /// Index of the oldest one kept, 0: none.
  Index oldest() const { return images.empty() ? 0 : images.front().index; }
  /// The one in use, opened and checked; throws if there is none.
  kj::Own<ImageReader> open() const;

  /// Discards what was staged before.
  storage::Sink::Client stage(polyquorum::Snapshot::Reader header);
  /// The staged snapshot at this position comes into use for this process, now. Throws FAILED if it
  /// is not there or not done.
  void adopt(polyquorum::Position::Reader base);
  /// Makes adoptions visible in the directory, up to the one whose write is durable now.
  kj::Promise<void> settle(Index durable);
  /// Deletes all but the newest `kept`.
  kj::Promise<void> purge();

  std::uint64_t bytesUsed() const;
  std::uint64_t bytesFree() const;

private:
  class StageSink;

  sdk::Environment& environment;
  std::uint32_t kept;
  kj::Own<const kj::Directory> directory;
  std::vector<StoredImage> images;   ///< Ascending; the last is in use.
  kj::Maybe<StoredImage> staged;     ///< Done, not adopted.
  std::uint64_t stageNumber = 0;     ///< Of the newest stage; older sinks are dead.
  kj::String stageName;              ///< Its file, "" if there is none.

  Jobs jobs;

  void discardStaged();
  bool proven(const StoredImage& image, std::vector<std::string>& findings) const;
};

}  // namespace polyquorum::file
