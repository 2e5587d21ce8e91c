// SPDX-License-Identifier: Apache-2.0
// Who may do what: validity and matching of ACLs, and the table in which equal lists are one.
// permits() is declared in state.h and defined here; nothing else in the project decides.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>
#include "state/state.h"

namespace polyquorum::state {

using AclId = std::uint32_t;

/// The identities of a request, read from its message only when an ACL asks for them.
class Asker {
public:
  Asker() = default;
  explicit Asker(capnp::List<polyquorum::Identity>::Reader list) : list(list) {}
  /// Throws kj::Exception if the message lies about its texts.
  std::span<const Identity> identities();

private:
  capnp::List<polyquorum::Identity>::Reader list;
  std::vector<Identity> read;
  bool done = false;
};

/// ZooKeeper's PrepRequestProcessor.fixupACL: removes duplicates, expands "auth" to the caller's
/// authenticated identities. Empty: the list is invalid (invalidAcl).
std::optional<std::vector<Permission>> fixAcl(capnp::List<polyquorum::Permission>::Reader list,
                                              Asker& asker);

/// Hides what getACL must not show without ADMIN: "user:hash" becomes "user:x".
/// Source: FinalRequestProcessor, OpCode.getACL.
std::string maskedId(const Identity& who);

/// Equal lists are held once. Ids are local to this replica and never leave it but in an image.
class Acls {
public:
  /// Finds or makes the entry of this list and counts one more user.
  AclId intern(std::vector<Permission>&& list);
  void hold(AclId id) { entries[id].users++; }
  void release(AclId id);

  const Acl& at(AclId id) const { return entries[id].acl; }
  std::uint64_t hash(AclId id) const { return entries[id].hash; }
  /// permits() with a short cut for what the whole world may do.
  bool permitted(AclId id, std::uint8_t bits, Asker& asker) const;

  // --- images: ids are equal on every node, as they come from history alone

  /// All ids, used or not.
  std::size_t size() const { return entries.size(); }
  bool used(AclId id) const { return id < entries.size() && entries[id].users > 0; }
  const std::vector<AclId>& unusedIds() const { return unused; }
  /// The next id gets this list, and no user yet. None: the id is unused.
  void place(std::optional<std::vector<Permission>>&& list);
  /// After all were placed and held: false if these are not exactly the ids without a user.
  bool setUnused(std::vector<AclId>&& ids);
  bool known(AclId id) const { return id < entries.size() && entries[id].acl != nullptr; }

private:
  struct Entry {
    Acl acl;
    std::uint64_t hash = 0;
    std::uint32_t users = 0;
    std::uint8_t worldBits = 0;
  };
  std::vector<Entry> entries;
  std::vector<AclId> unused;
  std::unordered_multimap<std::uint64_t, AclId> byHash;

  void fill(AclId id, std::uint64_t hash, std::vector<Permission>&& list);
};

}  // namespace polyquorum::state
