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

void Disk::write(Inode& inode, std::uint64_t offset, kj::ArrayPtr<const kj::byte> data) {
  if (offset + data.size() > inode.size) resize(inode, offset + data.size());
  while (data.size() > 0) {
    auto number = offset / SECTOR;
    auto within = offset % SECTOR;
    auto size = std::min<std::size_t>(SECTOR - within, data.size());
    auto& sector = inode.sectors.try_emplace(number, Sector{}).first->second;
    inode.before.try_emplace(number, sector);
    memcpy(sector.data() + within, data.begin(), size);
    offset += size;
    data = data.slice(size, data.size());
  }
}

std::size_t Disk::read(const Inode& inode, std::uint64_t offset, kj::ArrayPtr<kj::byte> out) {
  if (offset >= inode.size) return 0;
  auto total = std::min<std::uint64_t>(out.size(), inode.size - offset);
  memset(out.begin(), 0, total);
  auto found = inode.sectors.lower_bound(offset / SECTOR);
  for (; found != inode.sectors.end() && found->first * SECTOR < offset + total; ++found) {
    auto begin = std::max(offset, found->first * SECTOR);
    auto end = std::min(offset + total, (found->first + 1) * SECTOR);
    memcpy(out.begin() + (begin - offset), found->second.data() + (begin - found->first * SECTOR),
           end - begin);
  }
  return total;
}

void Disk::resize(Inode& inode, std::uint64_t size) {
  if (!inode.resized) {
    inode.resized = true;
    inode.sizeBefore = inode.size;
  }
  if (size < inode.size) {
    for (auto it = inode.sectors.lower_bound((size + SECTOR - 1) / SECTOR);
         it != inode.sectors.end();) {
      inode.before.try_emplace(it->first, it->second);
      it = inode.sectors.erase(it);
    }
    auto last = inode.sectors.find(size / SECTOR);
    if (last != inode.sectors.end() && size % SECTOR != 0) {
      inode.before.try_emplace(last->first, last->second);
      memset(last->second.data() + size % SECTOR, 0, SECTOR - size % SECTOR);
    }
  }
  inode.size = size;
}

void Disk::sync(Inode& inode) {
  inode.before.clear();
  inode.resized = false;
}

void Disk::lose(Inode& inode) {
  for (auto& [number, sector] : inode.before) {
    if (!random.chance(50)) continue;
    inode.sectors[number] = sector;
    sectorsLost++;
  }
  if (inode.resized && random.chance(50)) inode.size = inode.sizeBefore;
  for (auto it = inode.sectors.lower_bound((inode.size + SECTOR - 1) / SECTOR);
       it != inode.sectors.end();) {
    it = inode.sectors.erase(it);
  }
  sync(inode);
}

void Disk::crash() {
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

bool Disk::flip(const std::string& file, std::uint64_t offset, unsigned bit) {
  auto found = current.find(file);
  if (found == current.end() || offset >= found->second->size) return false;
  auto& sector = found->second->sectors.try_emplace(offset / SECTOR, Sector{}).first->second;
  sector[offset % SECTOR] ^= 1 << (bit % 8);
  return true;
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

class SimulatedFile final : public kj::File {
 public:
  SimulatedFile(Disk& disk, std::shared_ptr<Disk::Inode> inode, std::string name)
      : disk(disk), inode(std::move(inode)), name(std::move(name)) {}

  Metadata stat() const override {
    return Metadata(Type::FILE, inode->size, inode->size, kj::UNIX_EPOCH, 1,
                    reinterpret_cast<std::uintptr_t>(inode.get()));
  }
  void sync() const override {
    disk.tell(DiskOperation::SYNC, name);
    Disk::sync(*inode);
  }
  void datasync() const override { sync(); }
  kj::Own<const kj::FsNode> cloneFsNode() const override {
    return kj::heap<SimulatedFile>(disk, inode, name);
  }
  std::size_t read(std::uint64_t offset, kj::ArrayPtr<kj::byte> buffer) const override {
    disk.tell(DiskOperation::READ, name, offset, buffer.size());
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
    disk.tell(DiskOperation::WRITE, name, offset, data.size());
    Disk::write(*inode, offset, data);
  }
  void zero(std::uint64_t offset, std::uint64_t size) const override {
    disk.tell(DiskOperation::WRITE, name, offset, size);
    if (offset + size > inode->size) Disk::resize(*inode, offset + size);
    auto found = inode->sectors.lower_bound(offset / SECTOR);
    while (found != inode->sectors.end() && found->first * SECTOR < offset + size) {
      inode->before.try_emplace(found->first, found->second);
      auto begin = std::max(offset, found->first * SECTOR);
      auto end = std::min(offset + size, (found->first + 1) * SECTOR);
      memset(found->second.data() + (begin - found->first * SECTOR), 0, end - begin);
      ++found;
    }
  }
  void truncate(std::uint64_t size) const override {
    disk.tell(DiskOperation::WRITE, name, size, 0);
    Disk::resize(*inode, size);
  }

 private:
  Disk& disk;
  std::shared_ptr<Disk::Inode> inode;
  const std::string name;
};

// ---------------------------------------------------------------------------------------- folder

class SimulatedFolder final : public kj::Directory {
 public:
  explicit SimulatedFolder(Disk& disk) : disk(disk) {}

  Metadata stat() const override { return Metadata(Type::DIRECTORY, 0, 0, kj::UNIX_EPOCH, 1, 0); }
  void sync() const override {
    disk.tell(DiskOperation::SYNC_NAMES, "");
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
    disk.tell(DiskOperation::CREATE, name);
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
    disk.tell(DiskOperation::RENAME, to);
    disk.current[to] = found->second;
    disk.current.erase(from);
    disk.renamed();
    return true;
  }
  bool tryRemove(kj::PathPtr path) const override {
    auto name = nameOf(path);
    if (disk.current.count(name) == 0) return false;
    disk.tell(DiskOperation::REMOVE, name);
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
  class FileReplacer final : public Replacer<kj::File> {
   public:
    FileReplacer(Disk& disk, std::string name, kj::WriteMode mode)
        : Replacer(mode),
          disk(disk),
          name(name),
          inode(std::make_shared<Disk::Inode>()),
          file(disk, inode, name) {}
    const kj::File& get() override { return file; }
    bool tryCommit() override {
      disk.tell(DiskOperation::RENAME, name);
      disk.current[name] = inode;
      disk.renamed();
      return true;
    }

   private:
    Disk& disk;
    const std::string name;
    std::shared_ptr<Disk::Inode> inode;
    SimulatedFile file;
  };
  Disk& disk;
};

kj::Own<const kj::Directory> Disk::open() { return kj::heap<SimulatedFolder>(*this); }

}  // namespace polyquorum::simulator
