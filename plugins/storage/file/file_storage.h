// SPDX-License-Identifier: Apache-2.0
// The Storage interface over log, catalog and snapshots: which part does what, and in which order.
#pragma once
#include <kj/async.h>
#include <kj/filesystem.h>
#include "plugins/storage/file/catalog.h"
#include "plugins/storage/file/record_reader.h"
#include "plugins/storage/file/snapshots.h"
#include "plugins/storage/file/wal.h"
#include "sdk/environment.h"

namespace polyquorum::file {

struct Settings {
  WalSettings wal;
  std::uint32_t snapshotsKept = 3;
  kj::Duration purgeInterval = 0 * kj::SECONDS;  ///< 0: after each snapshot.
};

/// Storage of one node in one directory (two, if the log has its own). One thread, the loop's.
class FileStorage final : public storage::Storage::Server, private kj::TaskSet::ErrorHandler {
public:
  FileStorage(sdk::Environment& environment, const Settings& settings);

  kj::Promise<void> open(OpenContext context) override;
  kj::Promise<void> write(WriteContext context) override;
  kj::Promise<void> read(ReadContext context) override;
  kj::Promise<void> stage(StageContext context) override;
  kj::Promise<void> load(LoadContext context) override;
  kj::Promise<void> usage(UsageContext context) override;

private:
  sdk::Environment& environment;
  Settings settings;
  kj::Own<const kj::File> lock;  ///< Held as long as this object lives.
  Catalog catalog;
  Wal wal;
  kj::Own<Snapshots> snapshots;
  RecordReader reader;
  bool opening = false, opened = false;
  std::vector<std::string> findings;  ///< Of the snapshots, while open works.
  kj::TaskSet tasks;
  Jobs jobs;

  void requireOpen();
  void takeLock();
  void answer(OpenContext& context);
  void perform(storage::Write::Reader write);
  void joinChain(capnp::List<polyquorum::Segment>::Reader chain);
  kj::Promise<void> purge();
  kj::Promise<void> purgeLater();
  void taskFailed(kj::Exception&& exception) override { wal.fail(kj::mv(exception)); }
};

}  // namespace polyquorum::file
