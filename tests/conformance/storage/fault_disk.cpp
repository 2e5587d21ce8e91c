// SPDX-License-Identifier: Apache-2.0
// The KJ face of the faulty disk, and what a power cut does.
#include "tests/conformance/storage/fault_disk.h"
#include <kj/debug.h>
#include <kj/vector.h>
#include <algorithm>
#include <cstring>
#include <random>

namespace polyquorum::conformance {
namespace {

using Meta = kj::FsNode::Metadata;

std::string nameOf(kj::PathPtr path) {
  KJ_REQUIRE(path.size() == 1, "the faulty disk is one flat folder");
  return path[0].cStr();
}

class OpenFile final : public kj::File {
public:
  OpenFile(FaultDisk& disk, std::string name, std::shared_ptr<FaultFile> file)
      : disk(disk), name(std::move(name)), file(std::move(file)) {}

  Meta stat() const override {
    return Meta(Type::FILE, file->now.size(), file->now.size(), kj::UNIX_EPOCH, 1, 0);
  }
  void sync() const override { datasync(); }
  void datasync() const override {
    disk.change("sync", name);
    file->durable = file->now;
    file->pending.clear();
  }
  std::size_t read(std::uint64_t offset, kj::ArrayPtr<kj::byte> buffer) const override {
    disk.read(name);
    if (offset >= file->now.size()) return 0;
    auto bytes = std::min<std::uint64_t>(buffer.size(), file->now.size() - offset);
    std::memcpy(buffer.begin(), file->now.data() + offset, bytes);
    return bytes;
  }
  kj::Array<const kj::byte> mmap(std::uint64_t, std::uint64_t) const override {
    KJ_UNIMPLEMENTED("no mmap on the faulty disk");
  }
  kj::Array<kj::byte> mmapPrivate(std::uint64_t, std::uint64_t) const override {
    KJ_UNIMPLEMENTED("no mmap on the faulty disk");
  }
  void write(std::uint64_t offset, kj::ArrayPtr<const kj::byte> data) const override {
    file->pending.push_back({offset, {data.begin(), data.end()}});  // in flight even if it fails
    disk.change("write", name);
    if (file->now.size() < offset + data.size()) file->now.resize(offset + data.size());
    if (data.size() > 0) std::memcpy(file->now.data() + offset, data.begin(), data.size());
  }
  void zero(std::uint64_t offset, std::uint64_t size) const override {
    write(offset, kj::heapArray<kj::byte>(size));
  }
  void truncate(std::uint64_t size) const override {
    if (size == file->now.size()) return;
    disk.change("truncate", name);
    file->now.resize(size);
    file->pending.push_back({size, {}});
  }
  kj::Own<const kj::WritableFileMapping> mmapWritable(std::uint64_t,
                                                      std::uint64_t) const override {
    KJ_UNIMPLEMENTED("no mmap on the faulty disk");
  }

private:
  FaultDisk& disk;
  std::string name;
  std::shared_ptr<FaultFile> file;

  kj::Own<const FsNode> cloneFsNode() const override {
    return kj::heap<OpenFile>(disk, name, file);
  }
};

class Folder final : public kj::Directory {
public:
  explicit Folder(FaultDisk& disk) : disk(disk) {}

  Meta stat() const override { return Meta(Type::DIRECTORY, 0, 0, kj::UNIX_EPOCH, 1, 0); }
  void sync() const override {
    disk.change("syncFolder", "");
    disk.syncNames();
  }
  void datasync() const override { sync(); }
  kj::Array<kj::String> listNames() const override {
    kj::Vector<kj::String> out;
    for (auto& each : disk.names) out.add(kj::heapString(each.first.c_str()));
    return out.releaseAsArray();
  }
  kj::Array<Entry> listEntries() const override {
    kj::Vector<Entry> out;
    for (auto& each : disk.names) {
      out.add(Entry{Type::FILE, kj::heapString(each.first.c_str())});
    }
    return out.releaseAsArray();
  }
  bool exists(kj::PathPtr path) const override { return disk.names.count(nameOf(path)) > 0; }
  kj::Maybe<Meta> tryLstat(kj::PathPtr path) const override {
    KJ_IF_MAYBE(file, tryOpenFile(path)) return (*file)->stat();
    return nullptr;
  }
  kj::Maybe<kj::Own<const kj::ReadableFile>> tryOpenFile(kj::PathPtr path) const override {
    auto found = disk.names.find(nameOf(path));
    if (found == disk.names.end()) return nullptr;
    return kj::Own<const kj::ReadableFile>(
        kj::heap<OpenFile>(disk, found->first, found->second));
  }
  kj::Maybe<kj::Own<const kj::File>> tryOpenFile(kj::PathPtr path,
                                                 kj::WriteMode mode) const override {
    auto name = nameOf(path);
    auto found = disk.names.find(name);
    if (found == disk.names.end()) {
      if (!kj::has(mode, kj::WriteMode::CREATE)) return nullptr;
      disk.change("create", name);
      found = disk.names.emplace(name, std::make_shared<FaultFile>()).first;
      disk.namesChanged();
    } else if (!kj::has(mode, kj::WriteMode::MODIFY)) {
      return nullptr;
    }
    return kj::Own<const kj::File>(kj::heap<OpenFile>(disk, name, found->second));
  }
  bool tryTransfer(kj::PathPtr toPath, kj::WriteMode, const kj::Directory&, kj::PathPtr fromPath,
                   kj::TransferMode mode) const override {
    KJ_REQUIRE(mode == kj::TransferMode::MOVE);
    auto found = disk.names.find(nameOf(fromPath));
    if (found == disk.names.end()) return false;
    disk.change("rename", found->first + " " + nameOf(toPath));
    auto file = found->second;
    disk.names.erase(found);
    disk.names[nameOf(toPath)] = file;
    disk.namesChanged();
    return true;
  }
  bool tryRemove(kj::PathPtr path) const override {
    auto found = disk.names.find(nameOf(path));
    if (found == disk.names.end()) return false;
    disk.change("remove", found->first);
    disk.names.erase(found);
    disk.namesChanged();
    return true;
  }
  kj::Maybe<kj::Own<const kj::ReadableDirectory>> tryOpenSubdir(kj::PathPtr) const override {
    return nullptr;
  }
  kj::Maybe<kj::String> tryReadlink(kj::PathPtr) const override { return nullptr; }
  kj::Own<Replacer<kj::File>> replaceFile(kj::PathPtr, kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("not on the faulty disk");
  }
  kj::Own<const kj::File> createTemporary() const override {
    KJ_UNIMPLEMENTED("not on the faulty disk");
  }
  kj::Maybe<kj::Own<kj::AppendableFile>> tryAppendFile(kj::PathPtr, kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("not on the faulty disk");
  }
  kj::Maybe<kj::Own<const kj::Directory>> tryOpenSubdir(kj::PathPtr,
                                                        kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("not on the faulty disk");
  }
  kj::Own<Replacer<kj::Directory>> replaceSubdir(kj::PathPtr, kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("not on the faulty disk");
  }
  bool trySymlink(kj::PathPtr, kj::StringPtr, kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("not on the faulty disk");
  }

private:
  FaultDisk& disk;
  kj::Own<const FsNode> cloneFsNode() const override { return kj::heap<Folder>(disk); }
};

/// Some of the write's sectors, or a beginning that ends at any byte.
void applyPart(std::vector<unsigned char>& to, const FaultFile::Pending& write,
               std::mt19937_64& random) {
  if (write.bytes.empty()) {
    if (random() % 2) to.resize(write.offset);
    return;
  }
  auto put = [&](std::uint64_t from, std::uint64_t end) {
    if (from == end) return;
    if (to.size() < write.offset + end) to.resize(write.offset + end);
    std::memcpy(to.data() + write.offset + from, write.bytes.data() + from, end - from);
  };
  switch (random() % 4) {
    case 0: return;
    case 1: return put(0, write.bytes.size());
    case 2: return put(0, random() % (write.bytes.size() + 1));
    default:
      for (std::uint64_t from = 0; from < write.bytes.size();) {
        auto end = std::min<std::uint64_t>(write.bytes.size(),
                                           ((write.offset + from) / 512 + 1) * 512 - write.offset);
        if (random() % 2) put(from, end);
        from = end;
      }
  }
}

}  // namespace

kj::Own<const kj::Directory> FaultDisk::directory() { return kj::heap<Folder>(*this); }

void FaultDisk::failAt(std::uint64_t operation, Failure what) {
  failing = count + operation;
  failure = what;
  dead = false;
}

void FaultDisk::change(const char* what, const std::string& name) {
  count++;
  trace.push_back(std::string(what) + " " + name);
  if (dead) KJ_FAIL_REQUIRE("the machine is off");
  if (failure == Failure::NONE || count != failing) return;
  if (failure == Failure::CRASH) dead = true;
  if (failure == Failure::NO_SPACE) {  // the type is KJ's for ENOSPC
    kj::throwFatalException(KJ_EXCEPTION(OVERLOADED, "No space left on device", what, name));
  }
  KJ_FAIL_REQUIRE("Input/output error", what, name);
}

void FaultDisk::read(const std::string& name) {
  if (reads.fail == 0 || name.rfind(reads.prefix, 0) != 0) return;
  if (reads.pass > 0) {
    reads.pass--;
    return;
  }
  reads.fail--;
  KJ_FAIL_REQUIRE("Input/output error", "read", name);
}

void FaultDisk::syncNames() {
  durableNames = names;
  pendingNames.clear();
}

void FaultDisk::powerCut(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  auto after = durableNames;
  auto kept = random() % (pendingNames.size() + 1);
  if (kept > 0) after = pendingNames[kept - 1];
  std::set<FaultFile*> done;
  for (auto& each : after) {
    auto& file = *each.second;
    if (!done.insert(&file).second) continue;
    for (auto& write : file.pending) applyPart(file.durable, write, random);
    file.pending.clear();
    file.now = file.durable;
  }
  names = durableNames = after;
  pendingNames.clear();
  dead = false;
  failure = Failure::NONE;
}

void FaultDisk::processDeath() {
  dead = false;
  failure = Failure::NONE;
}

}  // namespace polyquorum::conformance
