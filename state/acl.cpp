// SPDX-License-Identifier: Apache-2.0
// ACL rules; see acl.h.
#include "state/acl.h"
#include <arpa/inet.h>
#include <kj/debug.h>
#include <algorithm>
#include <charconv>
#include "state/hash.h"

namespace polyquorum::state {
namespace {

/// An address with the number of leading bits that count.
struct Network {
  unsigned char bytes[16] = {};
  unsigned bytesCount = 0, bits = 0;
};

/// Source: ZooKeeper's IPAuthenticationProvider (isValid, matches).
std::optional<Network> parseNetwork(std::string_view text) {
  auto slash = text.find('/');
  std::string address(text.substr(0, slash));
  if (address.find('\0') != address.npos) return std::nullopt;
  Network network;
  if (inet_pton(AF_INET, address.c_str(), network.bytes) == 1) {
    network.bytesCount = 4;
  } else if (inet_pton(AF_INET6, address.c_str(), network.bytes) == 1) {
    network.bytesCount = 16;
  } else {
    return std::nullopt;
  }
  network.bits = network.bytesCount * 8;
  if (slash != text.npos) {
    auto tail = text.substr(slash + 1);
    unsigned bits = 0;
    auto [end, failure] = std::from_chars(tail.data(), tail.data() + tail.size(), bits);
    if (failure != std::errc() || end != tail.data() + tail.size() || bits > network.bits) {
      return std::nullopt;
    }
    network.bits = bits;
  }
  return network;
}

bool inNetwork(std::string_view address, std::string_view expression) {
  auto network = parseNetwork(expression);
  auto host = address.find('/') == address.npos ? parseNetwork(address) : std::nullopt;
  if (!network || !host || network->bytesCount != host->bytesCount) return false;
  for (unsigned i = 0; i < network->bits; i += 8) {
    unsigned left = network->bits - i;
    unsigned mask = left >= 8 ? 0xff : 0xff << (8 - left) & 0xff;
    if ((network->bytes[i / 8] ^ host->bytes[i / 8]) & mask) return false;
  }
  return true;
}

/// Java: id.split(":").length == 2, and split drops empty parts at the end.
bool validDigest(std::string_view id) {
  auto end = id.find_last_not_of(':');
  return end != id.npos && std::count(id.begin(), id.begin() + end, ':') == 1;
}

bool isWorld(const Identity& who) { return who.scheme == "world" && who.id == "anyone"; }

/// Schemes whose holder has proved who they are (AuthenticationProvider.isAuthenticated): not ip.
bool authenticated(std::string_view scheme) {
  return scheme == "digest" || scheme == "x509" || scheme == "sasl";
}

bool validEntry(const Identity& who) {
  if (isWorld(who)) return true;
  if (who.scheme == "digest") return validDigest(who.id);
  if (who.scheme == "ip") return parseNetwork(who.id).has_value();
  return (who.scheme == "x509" || who.scheme == "sasl") && !who.id.empty();
}

bool same(const Permission& a, const Permission& b) {
  return a.bits == b.bits && a.who.scheme == b.who.scheme && a.who.id == b.who.id;
}

std::string_view view(capnp::Text::Reader text) { return {text.begin(), text.size()}; }

std::uint64_t contentHash(const std::vector<Permission>& list) {
  std::uint64_t hash = SALT_D;
  for (auto& one : list) {
    hash = hashBytes(one.who.id, hashBytes(one.who.scheme, mix(hash, one.bits)));
  }
  return hash;
}

}  // namespace

bool permits(const std::vector<Permission>& acl, std::uint8_t bits,
             std::span<const Identity> identities) {
  if (acl.empty()) return true;
  for (auto& who : identities) {
    if (who.scheme == "super") return true;
  }
  for (auto& entry : acl) {
    if ((entry.bits & bits) == 0) continue;
    if (isWorld(entry.who)) return true;
    for (auto& who : identities) {
      if (who.scheme != entry.who.scheme) continue;
      bool found = who.scheme == "ip" ? inNetwork(who.id, entry.who.id) : who.id == entry.who.id;
      if (found) return true;
    }
  }
  return false;
}

std::span<const Identity> Asker::identities() {
  if (!done) {
    done = true;
    read.reserve(list.size());
    for (auto one : list) {
      read.push_back({std::string(view(one.getScheme())), std::string(view(one.getId()))});
    }
  }
  return read;
}

std::optional<std::vector<Permission>> fixAcl(capnp::List<polyquorum::Permission>::Reader list,
                                              Asker& asker) {
  std::vector<Permission> unique, fixed;
  for (auto reader : list) {
    auto who = reader.getWho();
    Permission one{reader.getBits(),
                   {std::string(view(who.getScheme())), std::string(view(who.getId()))}};
    // Longer lists than any honest client's are not compared pair by pair.
    if (unique.size() >= 1024) return std::nullopt;
    if (std::none_of(unique.begin(), unique.end(), [&](auto& other) { return same(one, other); })) {
      unique.push_back(std::move(one));
    }
  }
  for (auto& one : unique) {
    if (one.who.scheme == "auth") {
      bool found = false;
      for (auto& who : asker.identities()) {
        if (!authenticated(who.scheme)) continue;
        found = true;
        fixed.push_back({one.bits, who});
      }
      if (!found) return std::nullopt;
    } else {
      if (!validEntry(one.who)) return std::nullopt;
      fixed.push_back(std::move(one));
    }
  }
  if (fixed.empty()) return std::nullopt;
  return fixed;
}

std::string maskedId(const Identity& who) {
  auto colon = who.id.find(':');
  if (who.scheme != "digest" || colon == who.id.npos) return who.id;
  return who.id.substr(0, colon) + ":x";
}

AclId Acls::intern(std::vector<Permission>&& list) {
  auto hash = contentHash(list);
  auto [at, end] = byHash.equal_range(hash);
  for (; at != end; ++at) {
    auto& known = *entries[at->second].acl;
    if (std::equal(known.begin(), known.end(), list.begin(), list.end(), same)) {
      entries[at->second].users++;
      return at->second;
    }
  }
  AclId id = entries.size();
  if (unused.empty()) {
    entries.emplace_back();
  } else {
    id = unused.back();
    unused.pop_back();
  }
  fill(id, hash, std::move(list));
  entries[id].users = 1;
  return id;
}

void Acls::fill(AclId id, std::uint64_t hash, std::vector<Permission>&& list) {
  auto& entry = entries[id];
  entry.hash = hash;
  entry.worldBits = 0;
  for (auto& one : list) {
    if (isWorld(one.who)) entry.worldBits |= one.bits;
  }
  entry.acl = std::make_shared<const std::vector<Permission>>(std::move(list));
  byHash.emplace(hash, id);
}

void Acls::place(std::optional<std::vector<Permission>>&& list) {
  entries.emplace_back();
  if (!list) return;
  auto hash = contentHash(*list);
  fill(entries.size() - 1, hash, std::move(*list));
}

bool Acls::setUnused(std::vector<AclId>&& ids) {
  std::vector<bool> seen(entries.size());
  for (auto id : ids) {
    if (id >= entries.size() || entries[id].acl || seen[id]) return false;
    seen[id] = true;
  }
  for (AclId id = 0; id < entries.size(); id++) {
    if (!seen[id] && entries[id].users == 0) return false;
  }
  unused = std::move(ids);
  return true;
}

void Acls::release(AclId id) {
  auto& entry = entries[id];
  KJ_ASSERT(entry.users > 0, "an ACL was released more often than it was held");
  if (--entry.users > 0) return;
  auto [at, end] = byHash.equal_range(entry.hash);
  for (; at != end; ++at) {
    if (at->second == id) {
      byHash.erase(at);
      break;
    }
  }
  entry.acl.reset();
  unused.push_back(id);
}

bool Acls::permitted(AclId id, std::uint8_t bits, Asker& asker) const {
  auto& entry = entries[id];
  return (entry.worldBits & bits) != 0 || permits(*entry.acl, bits, asker.identities());
}

}  // namespace polyquorum::state
