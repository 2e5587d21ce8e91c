// SPDX-License-Identifier: Apache-2.0
// Staging, adopting and purging snapshot files.
#include "plugins/storage/file/snapshots.h"
#include <kj/debug.h>
#include <sys/statvfs.h>
#include <algorithm>
#include <limits>
#include "sdk/mutant.h"

namespace polyquorum::file {
namespace {

/// So many bytes of an image are written and synced at a time: flushes of the log get in between.
constexpr std::uint64_t SLICE_BYTES = 2 << 20;
const kj::StringPtr PREFIX = "snapshot-";
const kj::StringPtr STAGING = ".staging";
const kj::StringPtr ROTTEN = "rotten-";

kj::String imageName(Index index) {
  auto digits = kj::str(kj::hex(index));
  return kj::str(PREFIX, kj::repeat('0', 16 - digits.size()), digits);
}

kj::Path pathOf(kj::StringPtr name) { return kj::Path(kj::heapString(name)); }

/// A read may fail once and succeed after. What fails twice is taken for unreadable, for good.
template <typename Work>
auto twice(Work&& work) {
  try {
    return work();
  } catch (const kj::Exception&) {
    return work();
  }
}

}  // namespace

/// Fills one staged file. Dead as soon as a newer stage begins.
class Snapshots::StageSink final : public storage::Sink::Server {
public:
  StageSink(Snapshots& owner, std::uint64_t number, kj::StringPtr name,
            polyquorum::Snapshot::Reader header, kj::Own<const kj::File> file)
      : held(kj::addRef(owner)), owner(owner), number(number), name(kj::heapString(name)),
        writer(kj::heap<ImageWriter>(kj::mv(file), name, header)),
        jobs(owner.environment, sdk::Queue::BULK) {
    image.stamp = header.getAt().getStamp();
    image.index = header.getAt().getIndex();
  }
  ~StageSink() noexcept(false) {
    if (finished || owner.stageNumber != number) return;
    try {
      owner.discardStaged();
    } catch (const kj::Exception& e) {
      // The next open deletes it.
      owner.environment.log(sdk::Level::WARNING,
                            kj::str("storage.stageLeft reason=", e.getDescription()));
    }
  }

  kj::Promise<void> write(WriteContext context) override {
    check();
    auto chunk = context.getParams().getChunk();
    KJ_REQUIRE(writer->fits(chunk.size()),
               "a state image is longer than its header says", writer->announced());
    writer->add(chunk);
    if (writer->gathered() < SLICE_BYTES) return kj::READY_NOW;
    return jobs.run([this, slice = writer->take()]() { writer->write(slice); });
  }

  kj::Promise<void> done(DoneContext context) override {
    check();
    KJ_REQUIRE(writer->complete(),
               "a state image is shorter than its header says", writer->total(),
               writer->announced());
    return jobs.run([this, rest = writer->take()]() {
      writer->finish(rest);
      if (!MUTANT("M23")) owner.directory->sync();
    }).then([this]() {
      check();
      finished = true;
      image.name = kj::heapString(name);
      image.bytes = owner.directory->lstat(pathOf(name)).size;
      owner.staged = kj::mv(image);
    });
  }

private:
  kj::Own<Snapshots> held;
  Snapshots& owner;
  std::uint64_t number;
  kj::String name;
  kj::Own<ImageWriter> writer;
  StoredImage image;
  bool finished = false;
  Jobs jobs;

  void check() {
    KJ_REQUIRE(owner.stageNumber == number, "a newer snapshot was staged; this one is discarded");
    KJ_REQUIRE(!finished, "a state image got more after done");
  }
};

Snapshots::Snapshots(sdk::Environment& environment, std::uint32_t kept)
    : environment(environment), kept(kept), directory(environment.directory("data")),
      jobs(environment, sdk::Queue::BULK) {}

Snapshots::~Snapshots() noexcept(false) {}

void Snapshots::recover(const std::vector<Catalog::Adopted>& adopted,
                        std::vector<std::string>& findings) {
  auto names = directory->listNames();
  // What has its name is in use; of several staged at one position only one was adopted.
  std::stable_partition(names.begin(), names.end(), [](auto& name) { return !name.endsWith(STAGING); });
  std::vector<std::string> doubts;
  for (auto& name : names) {
    if (!name.startsWith(PREFIX)) continue;
    bool staging = name.endsWith(STAGING);
    try {
      auto image = twice([&]() {
        ImageReader reader(directory->openFile(pathOf(name)), name);
        auto at = reader.header().getAt();
        return StoredImage{at.getStamp(), at.getIndex(), kj::heapString(name), reader.fileBytes()};
      });
      if (staging) {
        bool wanted = std::any_of(adopted.begin(), adopted.end(), [&](auto& position) {
          return position.index == image.index && position.stamp == image.stamp;
        });
        bool known = std::any_of(images.begin(), images.end(),
                                 [&](auto& other) { return other.index == image.index; });
        if (!wanted || (known && !MUTANT("storage.image.twice"))) {
          directory->remove(pathOf(name));
          continue;
        }
        if (!proven(image, doubts) && !MUTANT("storage.image.twice")) continue;
        image.name = imageName(image.index);
        directory->transfer(pathOf(image.name), kj::WriteMode::CREATE | kj::WriteMode::MODIFY,
                            pathOf(name), kj::TransferMode::MOVE);
      }
      images.push_back(kj::mv(image));
    } catch (const kj::Exception& e) {
      bool used = std::any_of(adopted.begin(), adopted.end(), [&](auto& position) {
        return name.startsWith(kj::str(imageName(position.index), '.'));
      });
      if (staging && !used) {
        directory->tryRemove(pathOf(name));  // a stage that a crash cut short
      } else {
        findings.push_back(e.getDescription().cStr());
      }
    }
  }
  std::sort(images.begin(), images.end(), [](auto& a, auto& b) { return a.index < b.index; });
  bool found = adopted.empty() || (!images.empty() && images.back().index >= adopted.back().index);
  if (!found) findings.insert(findings.end(), doubts.begin(), doubts.end());
  while (!images.empty() && !proven(images.back(), findings)) {
    // A person may want to look at it; nobody here will again.
    auto& name = images.back().name;
    directory->transfer(pathOf(kj::str(ROTTEN, name)), kj::WriteMode::CREATE | kj::WriteMode::MODIFY,
                        pathOf(name), kj::TransferMode::MOVE);
    images.pop_back();
  }
  directory->sync();  // also of what an earlier life renamed and did not sync
}

bool Snapshots::proven(const StoredImage& image, std::vector<std::string>& findings) const {
  try {
    return twice([&]() {
      ImageReader reader(directory->openFile(pathOf(image.name)), image.name);
      while (reader.read(std::numeric_limits<std::uint64_t>::max()).size() > 0) {}
      return true;
    });
  } catch (const kj::Exception& e) {
    findings.push_back(e.getDescription().cStr());
    return false;
  }
}

kj::Own<ImageReader> Snapshots::open() const {
  KJ_REQUIRE(!images.empty(), "there is no snapshot in use; ask open first");
  auto& name = images.back().name;
  return kj::heap<ImageReader>(directory->openFile(pathOf(name)), name);
}

void Snapshots::discardStaged() {
  if (stageName.size() > 0) directory->tryRemove(pathOf(stageName));
  stageName = nullptr;
  staged = nullptr;
}

storage::Sink::Client Snapshots::stage(polyquorum::Snapshot::Reader header) {
  discardStaged();
  auto number = ++stageNumber;
  stageName = kj::str(imageName(header.getAt().getIndex()), '.', number, STAGING);
  auto file = directory->openFile(pathOf(stageName), kj::WriteMode::CREATE | kj::WriteMode::MODIFY |
                                                         kj::WriteMode::PRIVATE);
  file->truncate(0);
  return kj::heap<StageSink>(*this, number, stageName, header, kj::mv(file));
}

void Snapshots::adopt(polyquorum::Position::Reader base) {
  auto is = [&](const StoredImage& image) {
    return image.index == base.getIndex() && image.stamp == base.getStamp();
  };
  // A decided prefix contains every shorter one: the newest stays in use.
  if (base.getIndex() <= index()) return discardStaged();
  KJ_IF_MAYBE(image, staged) {
    KJ_REQUIRE(is(*image), "a write adopts a snapshot that is not the staged one", base.getIndex(),
               image->index);
    images.push_back(kj::mv(*image));
    staged = nullptr;
    stageName = nullptr;
    return;
  }
  KJ_FAIL_REQUIRE("a write adopts a snapshot that was not staged, or is not done", base.getIndex());
}

kj::Promise<void> Snapshots::settle(Index durable) {
  struct Rename {
    kj::String from, to;
  };
  kj::Vector<Rename> renames;
  for (auto& image : images) {
    if ((image.index > durable && !MUTANT("storage.image.named")) || !image.name.endsWith(STAGING)) continue;
    auto to = imageName(image.index);
    renames.add(Rename{kj::mv(image.name), kj::heapString(to)});
    image.name = kj::mv(to);
  }
  if (renames.empty()) return kj::READY_NOW;
  // The names must be right when load is called next, so the rename is done here and now.
  for (auto& rename : renames) {
    directory->transfer(pathOf(rename.to), kj::WriteMode::CREATE | kj::WriteMode::MODIFY,
                        pathOf(rename.from), kj::TransferMode::MOVE);
  }
  return jobs.run([this]() { directory->sync(); });
}

kj::Promise<void> Snapshots::purge() {
  if (images.size() <= kept) return kj::READY_NOW;
  kj::Vector<kj::String> going;
  auto last = images.end() - kept;
  for (auto i = images.begin(); i != last; ++i) going.add(kj::mv(i->name));
  images.erase(images.begin(), last);
  return jobs.run([this, going = going.releaseAsArray()]() {
    for (auto& name : going) directory->tryRemove(pathOf(name));
    directory->sync();
  });
}

std::uint64_t Snapshots::bytesUsed() const {
  std::uint64_t bytes = 0;
  for (auto& image : images) bytes += image.bytes;
  KJ_IF_MAYBE(image, staged) bytes += image->bytes;
  return bytes;
}

std::uint64_t Snapshots::bytesFree() const {
  KJ_IF_MAYBE(fd, directory->getFd()) {
    struct statvfs space;
    KJ_SYSCALL(fstatvfs(*fd, &space));
    return static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  }
  return std::numeric_limits<std::int64_t>::max();  // a directory that is no disk's
}

}  // namespace polyquorum::file
