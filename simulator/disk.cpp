// SPDX-License-Identifier: Apache-2.0
// A disk that forgets what was not synced; see disk.h.
#include "simulator/disk.h"
#include <kj/debug.h>
#include <algorithm>
#include <cstring>

namespace polyquorum::simulator {
namespace {

std::string nameOf(kj::PathPtr path) {
  KJ_REQUIRE(path.size() == 1, "the simulated disk has one flat folder");
  return path[0].cStr();
}

}  // namespace

// -------------------------------------------------------------------------------------- platters

void Disk::tell(DiskOperation::Kind kind, const std::string& file, std::uint64_t offset,
                std::uint64_t size) {
  operations++;
  if (hook) hook({kind, file, offset, size});
}

void Disk::renamed() { sinceSync.push_back(current); }

void Disk::Inode::touch(std::uint64_t number) {
  if (bytes.size() < (number + 1) * SECTOR) bytes.resize((number + 1) * SECTOR);
  if (isTouched.size() <= number) isTouched.resize(number + 1);
  if (isTouched[number]) return;
  isTouched[number] = true;
  touched.push_back(number);
  before.insert(before.end(), sector(number), sector(number) + SECTOR);
}

void Disk::write(Inode& inode, std::uint64_t offset, kj::ArrayPtr<const kj::byte> data) {
  if (data.size() == 0) return;
  auto end = offset + data.size();
  if (end > inode.size) resize(inode, end);
  for (auto number = offset / SECTOR; number * SECTOR < end; number++) inode.touch(number);
  memcpy(inode.bytes.data() + offset, data.begin(), data.size());
}

void Disk::zero(Inode& inode, std::uint64_t offset, std::uint64_t size) {
  if (size == 0) return;
  auto end = offset + size;
  if (end > inode.size) resize(inode, end);
  for (auto number = offset / SECTOR; number * SECTOR < end; number++) inode.touch(number);
  memset(inode.bytes.data() + offset, 0, size);
}

std::size_t Disk::read(const Inode& inode, std::uint64_t offset, kj::ArrayPtr<kj::byte> out) {
  if (offset >= inode.size) return 0;
  auto total = std::min<std::uint64_t>(out.size(), inode.size - offset);
  auto held = offset < inode.bytes.size() ? std::min(total, inode.bytes.size() - offset) : 0;
  if (held > 0) memcpy(out.begin(), inode.bytes.data() + offset, held);
  if (held < total) memset(out.begin() + held, 0, total - held);
  return total;
}

void Disk::resize(Inode& inode, std::uint64_t size) {
  if (!inode.resized) {
    inode.resized = true;
    inode.sizeBefore = inode.size;
  }
  auto held = std::min<std::uint64_t>(inode.size, inode.bytes.size());
  if (size < held) {
    for (auto number = size / SECTOR; number * SECTOR < held; number++) inode.touch(number);
    memset(inode.bytes.data() + size, 0, held - size);
  }
  inode.size = size;
}

void Disk::sync(Inode& inode, bool remember) {
  // A sync of nothing, or of zeros, follows nobody: the log's last group is still its last.
  auto holds = [&inode](std::uint64_t number) {
    auto* bytes = inode.sector(number);
    return std::any_of(bytes, bytes + SECTOR, [](kj::byte byte) { return byte != 0; });
  };
  if (std::any_of(inode.touched.begin(), inode.touched.end(), holds)) inode.dataSyncs++;
  inode.syncs++;
  rest(inode, remember);
}

void Disk::rest(Inode& inode, bool remember) {
  auto* old = inode.before.data();
  for (auto number : inode.touched) {
    inode.isTouched[number] = false;
    inode.doomed.erase(number);
    if (inode.syncedAt.size() <= number) inode.syncedAt.resize(number + 1);
    inode.syncedAt[number] = inode.dataSyncs;
    if (remember) inode.older[number].assign(old, old + SECTOR);
    old += SECTOR;
  }
  inode.touched.clear();
  inode.before.clear();
  inode.resized = false;
}

void Disk::failSync(const std::string& file) {
  auto found = current.find(file);
  if (found == current.end()) return;
  auto& inode = *found->second;
  auto* old = inode.before.data();
  for (auto number : inode.touched) {
    inode.isTouched[number] = false;
    inode.doomed.try_emplace(number, old, old + SECTOR);
    old += SECTOR;
  }
  inode.touched.clear();
  inode.before.clear();
}

void Disk::lose(Inode& inode) {
  auto* old = inode.before.data();
  for (auto number : inode.touched) {
    if (random.chance(50)) {
      memcpy(inode.sector(number), old, SECTOR);
      sectorsLost++;
    }
    old += SECTOR;
  }
  for (auto& [number, content] : inode.doomed) {
    memcpy(inode.sector(number), content.data(), SECTOR);
    sectorsLost++;
  }
  inode.doomed.clear();
  if (inode.resized && random.chance(50)) inode.size = inode.sizeBefore;
  if (inode.size < inode.bytes.size()) {
    memset(inode.bytes.data() + inode.size, 0, inode.bytes.size() - inode.size);
  }
  rest(inode, false);  // durable, but not called so: what a torn write left follows nobody
}

void Disk::crash() {
  undoStray();
  if (!sinceSync.empty()) {
    auto kept = random.below(sinceSync.size() + 1);
    if (kept > 0) durable = sinceSync[kept - 1];
  }
  sinceSync.clear();
  for (auto& [name, inode] : durable) lose(*inode);
  current = durable;
}

void Disk::wipe() {
  current.clear();
  durable.clear();
  sinceSync.clear();
}

std::vector<std::string> Disk::names() const {
  std::vector<std::string> out;
  for (auto& [name, inode] : current) out.push_back(name);
  return out;
}

std::uint64_t Disk::sizeOf(const std::string& file) const {
  auto found = current.find(file);
  return found == current.end() ? 0 : found->second->size;
}

// ----------------------------------------------------------------------------------------- files

/// What a life opened; dead with it.
class DiskHandle {
 protected:
  explicit DiskHandle(Disk& disk) : disk(disk), life(disk.life) {}
  void tell(DiskOperation::Kind kind, const std::string& file, std::uint64_t offset = 0,
            std::uint64_t size = 0) const {
    if (life != disk.life) kj::throwFatalException(KJ_EXCEPTION(FAILED, "the process is gone"));
    disk.tell(kind, file, offset, size);
  }
  Disk& disk;

 private:
  const std::uint64_t life;
};

class SimulatedFile final : public kj::File, private DiskHandle {
 public:
  SimulatedFile(Disk& disk, std::shared_ptr<Disk::Inode> inode, std::string name)
      : DiskHandle(disk), inode(std::move(inode)), name(std::move(name)) {}

  Metadata stat() const override {
    return Metadata(Type::FILE, inode->size, inode->size, kj::UNIX_EPOCH, 1,
                    reinterpret_cast<std::uintptr_t>(inode.get()));
  }
  void sync() const override {
    tell(DiskOperation::SYNC, name);
    disk.syncs++;
    Disk::sync(*inode, disk.remembersOlder);
  }
  void datasync() const override { sync(); }
  kj::Own<const kj::FsNode> cloneFsNode() const override {
    return kj::heap<SimulatedFile>(disk, inode, name);
  }
  std::size_t read(std::uint64_t offset, kj::ArrayPtr<kj::byte> buffer) const override {
    tell(DiskOperation::READ, name, offset, buffer.size());
    return Disk::read(*inode, offset, buffer);
  }
  kj::Array<const kj::byte> mmap(std::uint64_t, std::uint64_t) const override {
    KJ_UNIMPLEMENTED("the simulated disk has no maps: read");
  }
  kj::Array<kj::byte> mmapPrivate(std::uint64_t, std::uint64_t) const override {
    KJ_UNIMPLEMENTED("the simulated disk has no maps: read");
  }
  kj::Own<const kj::WritableFileMapping> mmapWritable(std::uint64_t, std::uint64_t) const override {
    KJ_UNIMPLEMENTED("the simulated disk has no maps: write");
  }
  void write(std::uint64_t offset, kj::ArrayPtr<const kj::byte> data) const override {
    tell(DiskOperation::WRITE, name, offset, data.size());
    disk.needSpace(inode.get(), offset + data.size());
    if (disk.goesAstray(name, inode, offset, data)) return;
    Disk::write(*inode, offset, data);
  }
  void zero(std::uint64_t offset, std::uint64_t size) const override {
    tell(DiskOperation::WRITE, name, offset, size);
    disk.needSpace(inode.get(), offset + size);
    Disk::zero(*inode, offset, size);
  }
  void truncate(std::uint64_t size) const override {
    tell(DiskOperation::WRITE, name, size, 0);
    Disk::resize(*inode, size);
  }

 private:
  std::shared_ptr<Disk::Inode> inode;
  const std::string name;
};

// ---------------------------------------------------------------------------------------- folder

class SimulatedFolder final : public kj::Directory, private DiskHandle {
 public:
  explicit SimulatedFolder(Disk& disk) : DiskHandle(disk) {}

  Metadata stat() const override { return Metadata(Type::DIRECTORY, 0, 0, kj::UNIX_EPOCH, 1, 0); }
  void sync() const override {
    tell(DiskOperation::SYNC_NAMES, "");
    disk.durable = disk.current;
    disk.sinceSync.clear();
  }
  void datasync() const override { sync(); }
  kj::Own<const kj::FsNode> cloneFsNode() const override { return kj::heap<SimulatedFolder>(disk); }

  kj::Array<kj::String> listNames() const override {
    auto out = kj::heapArrayBuilder<kj::String>(disk.current.size());
    for (auto& [name, inode] : disk.current) out.add(kj::heapString(name.c_str()));
    return out.finish();
  }
  kj::Array<Entry> listEntries() const override {
    auto out = kj::heapArrayBuilder<Entry>(disk.current.size());
    for (auto& [name, inode] : disk.current)
      out.add(Entry{Type::FILE, kj::heapString(name.c_str())});
    return out.finish();
  }
  bool exists(kj::PathPtr path) const override { return disk.current.count(nameOf(path)) > 0; }
  kj::Maybe<Metadata> tryLstat(kj::PathPtr path) const override {
    auto found = disk.current.find(nameOf(path));
    if (found == disk.current.end()) return nullptr;
    return Metadata(Type::FILE, found->second->size, found->second->size, kj::UNIX_EPOCH, 1, 0);
  }
  kj::Maybe<kj::Own<const kj::ReadableFile>> tryOpenFile(kj::PathPtr path) const override {
    auto name = nameOf(path);
    auto found = disk.current.find(name);
    if (found == disk.current.end()) return nullptr;
    return kj::Own<const kj::ReadableFile>(kj::heap<SimulatedFile>(disk, found->second, name));
  }
  kj::Maybe<kj::Own<const kj::File>> tryOpenFile(kj::PathPtr path,
                                                 kj::WriteMode mode) const override {
    auto name = nameOf(path);
    auto found = disk.current.find(name);
    if (found != disk.current.end()) {
      if (!kj::has(mode, kj::WriteMode::MODIFY)) return nullptr;
      return kj::Own<const kj::File>(kj::heap<SimulatedFile>(disk, found->second, name));
    }
    if (!kj::has(mode, kj::WriteMode::CREATE)) return nullptr;
    tell(DiskOperation::CREATE, name);
    disk.needSpace(nullptr, 0);
    auto inode = std::make_shared<Disk::Inode>();
    disk.current[name] = inode;
    disk.renamed();
    return kj::Own<const kj::File>(kj::heap<SimulatedFile>(disk, inode, name));
  }
  kj::Own<Replacer<kj::File>> replaceFile(kj::PathPtr path, kj::WriteMode mode) const override {
    return kj::heap<FileReplacer>(disk, nameOf(path), mode);
  }
  bool tryTransfer(kj::PathPtr toPath, kj::WriteMode toMode, const kj::Directory&,
                   kj::PathPtr fromPath, kj::TransferMode mode) const override {
    auto from = nameOf(fromPath), to = nameOf(toPath);
    auto found = disk.current.find(from);
    if (found == disk.current.end()) return false;
    if (disk.current.count(to) > 0 && !kj::has(toMode, kj::WriteMode::MODIFY)) return false;
    KJ_REQUIRE(mode == kj::TransferMode::MOVE, "the simulated disk only moves");
    tell(DiskOperation::RENAME, to);
    disk.current[to] = found->second;
    disk.current.erase(from);
    disk.renamed();
    return true;
  }
  bool tryRemove(kj::PathPtr path) const override {
    auto name = nameOf(path);
    if (disk.current.count(name) == 0) return false;
    tell(DiskOperation::REMOVE, name);
    disk.current.erase(name);
    disk.renamed();
    return true;
  }

  kj::Maybe<kj::Own<const kj::ReadableDirectory>> tryOpenSubdir(kj::PathPtr) const override {
    KJ_UNIMPLEMENTED("the simulated disk has one flat folder");
  }
  kj::Maybe<kj::Own<const kj::Directory>> tryOpenSubdir(kj::PathPtr, kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("the simulated disk has one flat folder");
  }
  kj::Own<Replacer<kj::Directory>> replaceSubdir(kj::PathPtr, kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("the simulated disk has one flat folder");
  }
  kj::Maybe<kj::String> tryReadlink(kj::PathPtr) const override { return nullptr; }
  bool trySymlink(kj::PathPtr, kj::StringPtr, kj::WriteMode) const override { return false; }
  kj::Own<const kj::File> createTemporary() const override {
    return kj::heap<SimulatedFile>(disk, std::make_shared<Disk::Inode>(), "(temporary)");
  }
  kj::Maybe<kj::Own<kj::AppendableFile>> tryAppendFile(kj::PathPtr, kj::WriteMode) const override {
    KJ_UNIMPLEMENTED("the simulated disk does not append");
  }

 private:
  class FileReplacer final : public Replacer<kj::File>, private DiskHandle {
   public:
    FileReplacer(Disk& disk, std::string name, kj::WriteMode mode)
        : Replacer(mode),
          DiskHandle(disk),
          name(name),
          inode(std::make_shared<Disk::Inode>()),
          file(disk, inode, name) {}
    const kj::File& get() override { return file; }
    bool tryCommit() override {
      tell(DiskOperation::RENAME, name);
      disk.current[name] = inode;
      disk.renamed();
      return true;
    }

   private:
    const std::string name;
    std::shared_ptr<Disk::Inode> inode;
    SimulatedFile file;
  };
};

kj::Own<const kj::Directory> Disk::open() { return kj::heap<SimulatedFolder>(*this); }

}  // namespace polyquorum::simulator
