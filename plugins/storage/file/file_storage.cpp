// SPDX-License-Identifier: Apache-2.0
// Each verb of Storage in a few steps.
#include "plugins/storage/file/file_storage.h"
#include <kj/debug.h>
#include <sys/file.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

namespace polyquorum::file {
namespace {

/// Of free space, for what must be written when nothing more is taken. (promises.md, P1.5)
constexpr std::uint64_t RESERVE_BYTES = 64 << 20;

/// Serves one load(). Reads on the loop: a chunk is 256 KiB.
class ImageSource final : public storage::Source::Server {
public:
  explicit ImageSource(kj::Own<ImageReader> image) : image(kj::mv(image)) {}

  kj::Promise<void> read(ReadContext context) override {
    context.getResults().setChunk(image->read(context.getParams().getBytesMax()));
    return kj::READY_NOW;
  }

private:
  kj::Own<ImageReader> image;
};

}  // namespace

FileStorage::FileStorage(sdk::Environment& environment, const Settings& settings)
    : environment(environment), settings(settings), wal(environment, catalog, settings.wal),
      snapshots(kj::refcounted<Snapshots>(environment, settings.snapshotsKept)), reader(wal),
      tasks(*this), jobs(environment, sdk::Queue::PROMPT) {}

void FileStorage::requireOpen() {
  wal.check();
  KJ_REQUIRE(opened, "storage was used before open, or open failed");
}

void FileStorage::takeLock() {
  auto directory = environment.directory("data");
  lock = directory->openFile(kj::Path("lock"), kj::WriteMode::CREATE | kj::WriteMode::MODIFY |
                                                   kj::WriteMode::PRIVATE);
  KJ_IF_MAYBE(fd, lock->getFd()) {
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
      auto owner = lock->readAllText();
      KJ_FAIL_REQUIRE("this storage directory is in use by another process; stop that one or "
                      "configure another directory", owner);
    }
  }
  lock->writeAll(kj::str("pid ", getpid(), '\n'));
}

kj::Promise<void> FileStorage::open(OpenContext context) {
  KJ_REQUIRE(!opening, "storage was opened twice");
  opening = true;
  takeLock();
  return wal.open().then([this]() {
    return jobs.run([this]() { snapshots->recover(catalog.adopted, findings); });
  }).then([this, context]() mutable {
    for (auto& finding : findings) {
      environment.log(sdk::Level::ERROR, kj::str("storage.damaged ", finding.c_str()));
    }
    KJ_REQUIRE(wal.foundRecords() || snapshots->index() == 0,
               "there are snapshots but the log is gone, and with it this server's promises; "
               "restore the log directory, or empty both and let this server rejoin");
    if (snapshots->index() != 0) joinChain(snapshots->open()->header().getChain());
    auto used = catalog.adopted.empty() ? 0 : catalog.adopted.back().index;
    if (used > snapshots->index()) {
      environment.log(sdk::Level::ERROR,
                      kj::str("storage.snapshotMissing index=", used, " fallback=",
                              snapshots->index()));
      catalog.demand(snapshots->index() + 1, used);
    }
    catalog.settle(snapshots->index());
    answer(context);
    opened = true;
    wal.retire(snapshots->oldest() + 1);
    if (settings.purgeInterval > 0 * kj::SECONDS) tasks.add(purgeLater());
  });
}

void FileStorage::answer(OpenContext& context) {
  auto results = context.getResults();
  auto chain = results.initChain(catalog.chain.size());
  unsigned n = 0;
  for (auto& each : catalog.chain) {
    chain.setWithCaveats(n++, each.second->getRoot<polyquorum::Segment>().asReader());
  }
  auto logs = results.initLogs(catalog.logs.size());
  n = 0;
  for (auto& each : catalog.logs) {
    auto out = logs[n++];
    out.setSegment(each.first);
    writeRuns(each.second, false, out);
    auto damaged = each.second.unreadable();
    writeRanges(damaged, out.initDamaged(damaged.size()));
  }
  if (snapshots->index() != 0) results.setSnapshot(snapshots->open()->header());
}

void FileStorage::joinChain(capnp::List<polyquorum::Segment>::Reader chain) {
  for (auto segment : chain) {
    if (catalog.chain.count(segment.getId()) == 0) catalog.join(segment);
  }
}

kj::Promise<void> FileStorage::write(WriteContext context) {
  requireOpen();
  auto before = snapshots->index();
  try {
    for (auto write : context.getParams().getWrites()) perform(write);
  } catch (kj::Exception& e) {
    wal.fail(kj::cp(e));  // half a call is in the queue; the node stops
    throw;
  }
  auto done = wal.durable();
  if (snapshots->index() == before) return done;
  // Only this far: a later image may be adopted by a write that is still on its way.
  return done.then([this, durable = snapshots->index()]() {
    tasks.add(snapshots->settle(durable).then([this]() -> kj::Promise<void> {
      if (settings.purgeInterval > 0 * kj::SECONDS) return kj::READY_NOW;
      return purge();
    }));
  });
}

void FileStorage::perform(storage::Write::Reader write) {
  if (write.getBase().getIndex() != 0) {
    auto before = snapshots->index();
    snapshots->adopt(write.getBase());
    if (snapshots->index() != before) joinChain(snapshots->open()->header().getChain());
  }
  KJ_REQUIRE(write.getTrim() <= snapshots->index() + 1, "a trim above the snapshot in use",
             write.getTrim(), snapshots->index());
  wal.append(write);
  if (write.getBase().getIndex() != 0 || write.getTrim() != 0 || write.hasNext()) {
    catalog.settle(snapshots->index());
  }
}

kj::Promise<void> FileStorage::purge() {
  return snapshots->purge().then([this]() { wal.retire(snapshots->oldest() + 1); });
}

kj::Promise<void> FileStorage::purgeLater() {
  return environment.timer().afterDelay(settings.purgeInterval).then([this]() {
    return purge();
  }).then([this]() { return purgeLater(); });
}

kj::Promise<void> FileStorage::read(ReadContext context) {
  auto params = context.getParams();
  auto results = context.getResults();
  auto found = catalog.logs.find(params.getSegment());
  if (found == catalog.logs.end()) {
    results.setFirst(snapshots->index() + 1);
    return kj::READY_NOW;
  }
  auto& log = found->second;
  results.setFirst(log.spans.empty() ? std::max(log.floor, snapshots->index() + 1)
                                     : log.spans.front().first);
  auto answer = reader.read(log, params.getFirst(), params.getLast(), params.getBytesMax());
  for (auto& finding : answer.findings) {
    environment.log(sdk::Level::ERROR, kj::str("storage.damaged ", finding.c_str()));
  }
  auto entries = results.initEntries(answer.entries.size());
  for (unsigned i = 0; i < answer.entries.size(); i++) {
    auto& entry = answer.entries[i];
    entries[i].setIndex(entry.index);
    entries[i].setStamp(entry.stamp);
    if (entry.bytes > 0) {
      entries[i].setBody(kj::arrayPtr(answer.bodies.begin() + entry.offset, entry.bytes));
    }
  }
  writeRanges(answer.damaged, results.initDamaged(answer.damaged.size()));
  return kj::READY_NOW;
}

kj::Promise<void> FileStorage::stage(StageContext context) {
  requireOpen();
  context.getResults().setImage(snapshots->stage(context.getParams().getHeader()));
  return kj::READY_NOW;
}

kj::Promise<void> FileStorage::load(LoadContext context) {
  auto image = snapshots->open();
  context.getResults().setHeader(image->header());
  context.getResults().setImage(kj::heap<ImageSource>(kj::mv(image)));
  return kj::READY_NOW;
}

kj::Promise<void> FileStorage::usage(UsageContext context) {
  KJ_REQUIRE(opened, "storage was used before open, or open failed");
  auto results = context.getResults();
  results.setBytes(wal.bytesUsed() + snapshots->bytesUsed());
  results.setBytesFree(snapshots->bytesFree());
  results.setBytesNeeded(RESERVE_BYTES + wal.bytesOwed());
  results.setWritesWaiting(wal.writesWaiting());
  return kj::READY_NOW;
}

}  // namespace polyquorum::file
