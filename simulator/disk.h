// SPDX-License-Identifier: Apache-2.0
// A disk that forgets what was not synced: one flat folder of files whose unsynced sectors
// and names are lost, kept or torn at a crash. It knows no format of what is stored.
#pragma once
#include <kj/filesystem.h>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include "simulator/random.h"

namespace polyquorum::simulator {

constexpr std::size_t SECTOR = 512;  ///< written whole or not at all

/// Told before each operation of a disk; may throw to let it fail.
struct DiskOperation {
  enum Kind : std::uint8_t { READ, WRITE, SYNC, RENAME, CREATE, REMOVE, SYNC_NAMES } kind;
  std::string file;
  std::uint64_t offset = 0, size = 0;
};
using DiskHook = std::function<void(const DiskOperation&)>;

/// What survives the life of a process: the platters. Shared by the handles that one life opens.
class Disk {
 public:
  explicit Disk(Random random) : random(random) {}

  /// The folder as one life of the process sees it. Handles of an earlier life must be gone or
  /// unused.
  kj::Own<const kj::Directory> open();

  /// The machine stops: of what was not synced any subset of sectors survives, and any prefix of
  /// what was done to names.
  void crash();
  /// The process stops and the machine does not: everything survives.
  void stop() {}
  /// Everything is gone.
  void wipe();

  /// Flips one bit of a byte of this file if it is that long; true if it did.
  bool flip(const std::string& file, std::uint64_t offset, unsigned bit);
  std::vector<std::string> names() const;
  std::uint64_t sizeOf(const std::string& file) const;

  /// What a crash loses is drawn from here from now on.
  void chance(Random next) { random = next; }

  /// For faults and for counting; called before the operation.
  DiskHook hook;
  std::uint64_t operations = 0;
  std::uint64_t sectorsLost = 0;

 private:
  friend class SimulatedFile;
  friend class SimulatedFolder;
  /// One file's bytes, and what its unsynced sectors held at the last sync.
  struct Inode {
    std::vector<kj::byte> bytes;  ///< whole sectors; zeros behind the size
    std::uint64_t size = 0;
    std::vector<std::uint64_t> touched;  ///< the unsynced sectors, each once
    std::vector<kj::byte> before;        ///< parallel to touched, a sector each
    std::vector<bool> isTouched;         ///< by number of sector
    std::uint64_t sizeBefore = 0;
    bool resized = false;

    kj::byte* sector(std::uint64_t number) { return bytes.data() + number * SECTOR; }
    /// Makes room for this sector and keeps what it held.
    void touch(std::uint64_t number);
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  Random random;
  Names current, durable;
  std::vector<Names> sinceSync;  ///< the names after each unsynced change, oldest first

  void tell(DiskOperation::Kind kind, const std::string& file, std::uint64_t offset = 0,
            std::uint64_t size = 0);
  void renamed();
  static void write(Inode& inode, std::uint64_t offset, kj::ArrayPtr<const kj::byte> data);
  static void zero(Inode& inode, std::uint64_t offset, std::uint64_t size);
  static std::size_t read(const Inode& inode, std::uint64_t offset, kj::ArrayPtr<kj::byte> out);
  static void resize(Inode& inode, std::uint64_t size);
  static void sync(Inode& inode);
  void lose(Inode& inode);
};

}  // namespace polyquorum::simulator
