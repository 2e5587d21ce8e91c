// SPDX-License-Identifier: Apache-2.0
// The znodes: where they are, how they change, how a change is taken back, what they hash to.
// Checks no rights and no versions; see operations.cpp for who may ask for what.
#pragma once
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>
#include "state/acl.h"
#include "state/freeze.h"
#include "state/path.h"
#include "state/slots.h"

namespace polyquorum::state {

/// When a change takes place: its entry's index and cluster time.
struct Moment {
  std::uint64_t index = 0;
  std::int64_t timeMs = 0;
};

/// Data that may be null.
struct Value {
  std::string_view bytes;
  bool present = false;
};

/// What a new node is.
struct Birth {
  Kind kind = Kind::PERSISTENT;
  std::uint64_t owner = 0;  ///< see Owned
  AclId acl = 0;            ///< already held for this node
  Value value;
};

class Tree {
public:
  /// The four nodes of a fresh server.
  explicit Tree(Acls& acls);
  /// No nodes at all: an image will bring them.
  struct Empty {};
  Tree(Acls& acls, Empty) : acls(acls) {}

  // --- looking

  const Node& at(Slot slot) const { return *slots.at(slot); }
  Slot find(const Key& key) const;
  Slot find(std::string_view path) const { return find(locate(path)); }
  Slot child(Slot parent, std::string_view name) const;
  std::string path(Slot slot) const;
  Stat stat(Slot slot) const;
  void eachChild(Slot parent, const std::function<void(Slot)>& visit) const;
  /// The node and all below it, parents first.
  void eachBelow(Slot top, const std::function<void(Slot)>& visit) const;
  /// Ephemerals of a session; unsorted.
  std::vector<Slot> ephemerals(std::uint64_t session) const;
  std::uint64_t ephemeralCount() const { return ephemeralTotal; }
  /// First of all containers and TTL nodes; go on with at(slot).owned().next.
  Slot firstReapable() const { return reapableHead; }
  std::uint64_t count() const { return slots.usedCount(); }
  std::uint64_t bytes() const { return bytesTotal; }
  std::uint64_t digest() const { return sum; }

  // --- changing; callers have checked everything

  /// pathBytes: of the whole path, for the statistics.
  Slot create(Slot parent, std::string_view name, std::size_t pathBytes, const Birth& birth,
              Moment now);
  void remove(Slot slot, std::size_t pathBytes, Moment now);
  void setData(Slot slot, Value value, Moment now);
  void setAcl(Slot slot, AclId acl);
  /// Changes the data and nothing else, as the server itself does.
  void replaceData(Slot slot, Value value);
  /// Built-in nodes only: /zookeeper/config.
  void stampConfig(Slot slot, Moment now);

  // --- taking back: everything since begin() is undone by rollBack() or settled by commit()

  void begin() { journaling = true; }
  void commit();
  void rollBack();

  // --- images

  void freeze(Freeze* point) { frozen = point; }
  const Freeze* freezing() const { return frozen; }
  /// Appends the image record of a used slot.
  void record(Slot slot, std::string& out) const;
  const Slots& slotTable() const { return slots; }
  friend class TreeLoader;

private:
  struct Undo {
    enum What : std::uint8_t { CREATED, REMOVED, DATA, ACL } what;
    Slot slot = NONE;
    Node* block = nullptr;             // REMOVED: the node, out of its slot
    std::size_t pathBytes = 0;
    std::uint64_t zxid = 0;            // of parent: pzxid; of DATA: mzxid
    std::int64_t timeMs = 0;
    std::int32_t number = 0;           // parent's creates; version; aversion
    AclId acl = 0;
    bool present = false;
    std::string bytes;                 // DATA
  };

  Acls& acls;
  Slots slots;
  PathTable table;
  std::unordered_map<std::uint64_t, Slot> ephemeralHeads;  // by session; never iterated
  Slot reapableHead = NONE;
  std::uint64_t ephemeralTotal = 0, bytesTotal = 0, sum = 0;
  Freeze* frozen = nullptr;
  bool journaling = false;
  std::vector<Undo> journal;

  Node& node(Slot slot) { return *slots.at(slot); }
  bool isAt(Slot slot, std::string_view path) const;
  std::uint64_t statHash(const Node& node) const;
  static std::uint64_t dataHash(const Node& node);
  void changing(Slot slot) {
    if (frozen && frozen->wants(slot)) keepOld(slot);
  }
  void keepOld(Slot slot);
  Slot builtIn(Slot parent, std::string_view name, AclId acl, bool hasData);
  static Node* makeBlock(std::string_view name, const Birth& birth);
  void link(Slot slot);
  void unlink(Slot slot);
  void chain(Slot slot);
  void unchain(Slot slot);
  Slot& chainHead(const Node& node);
  void setParent(Slot parent, std::int32_t creates, std::uint64_t pzxid);
  void putData(Slot slot, Value value);
  void undo(Undo& step);
};

}  // namespace polyquorum::state
