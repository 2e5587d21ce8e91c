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

  /// The folder as one life of the process sees it.
  kj::Own<const kj::Directory> open();
  /// This life is over: what it opened does nothing any more, it fails. Something may hold it still.
  void end() { life++; }

  /// The machine stops: of what was not synced any subset of sectors survives, and any prefix of
  /// what was done to names.
  void crash();
  /// The process stops and the machine does not: everything survives.
  void stop() { undoStray(); }
  /// Everything is gone.
  void wipe();

  std::vector<std::string> names() const;
  std::uint64_t sizeOf(const std::string& file) const;

  // What disks do to data at rest and to writes; see disk_rot.cpp.
  struct Place {
    std::string file;
    std::uint64_t sector;
  };
  /// Sectors that hold something, in files of this prefix, synced, and their file synced with new data
  /// at least so often again since.
  std::vector<Place> settled(const std::string& prefix, std::uint64_t syncsSince) const;
  /// One bit of it is another from now on.
  void flip(const Place& place, std::uint64_t bit);
  /// It holds what it held before it was written last; false if nobody remembers that.
  bool goBack(const Place& place);
  bool remembersOlder = false;
  /// The next write to a file of this prefix lands at this place instead, and is called done. If the
  /// power goes or the process ends before two more syncs of the file, it did not happen: a disk that
  /// loses the very last of what it called synced is none that a protocol can make good.
  void misdirect(const std::string& prefix, const Place& instead) { stray = {prefix, instead}; }
  bool misdirecting() const { return !stray.first.empty(); }

  /// The sync of this file fails: what it was to make durable never is, whatever is read back meanwhile and
  /// however often the file is synced again. (Rebello et al., "Can applications recover from fsync
  /// failures?")
  void failSync(const std::string& file);

  /// No space: what makes a file or makes it longer fails. Told of each such failure.
  bool full = false;
  std::function<void()> refused;
  std::uint64_t syncs = 0;

  /// What a crash loses is drawn from here from now on.
  void chance(Random next) { random = next; }

  /// For faults and for counting; called before the operation.
  DiskHook hook;
  std::uint64_t operations = 0;
  std::uint64_t sectorsLost = 0;

 private:
  friend class DiskHandle;
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
    std::uint64_t syncs = 0, dataSyncs = 0;  ///< all; those that made more than zeros durable
    std::vector<std::uint64_t> syncedAt;     ///< by number of sector: which of the dataSyncs; 0: none
    std::map<std::uint64_t, std::vector<kj::byte>> doomed;  ///< by number of sector: what a crash leaves
    std::map<std::uint64_t, std::vector<kj::byte>> older;  ///< what sectors held before that

    kj::byte* sector(std::uint64_t number) { return bytes.data() + number * SECTOR; }
    /// Makes room for this sector and keeps what it held.
    void touch(std::uint64_t number);
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  /// A write that landed elsewhere, as long as it can be taken back.
  struct Strayed {
    std::shared_ptr<Inode> meant, hit;
    std::uint64_t offset = 0, hitOffset = 0, syncs = 0;
    std::vector<kj::byte> data, overwritten;
  };

  Random random;
  std::uint64_t life = 0;
  std::pair<std::string, Place> stray;
  std::shared_ptr<Strayed> strayed;
  Names current, durable;
  std::vector<Names> sinceSync;  ///< the names after each unsynced change, oldest first

  void tell(DiskOperation::Kind kind, const std::string& file, std::uint64_t offset = 0,
            std::uint64_t size = 0);
  void renamed();
  static void write(Inode& inode, std::uint64_t offset, kj::ArrayPtr<const kj::byte> data);
  static void zero(Inode& inode, std::uint64_t offset, std::uint64_t size);
  static std::size_t read(const Inode& inode, std::uint64_t offset, kj::ArrayPtr<kj::byte> out);
  static void resize(Inode& inode, std::uint64_t size);
  static void sync(Inode& inode, bool remember);
  /// What its sectors hold now, they keep.
  static void rest(Inode& inode, bool remember);
  void lose(Inode& inode);
  bool goesAstray(const std::string& file, const std::shared_ptr<Inode>& inode,
                  std::uint64_t offset, kj::ArrayPtr<const kj::byte> data);
  void undoStray();
  void needSpace(const Inode* inode, std::uint64_t end);
};

}  // namespace polyquorum::simulator
