// SPDX-License-Identifier: Apache-2.0
// Who a connection has proved to be: the ip identity that each has, and what auth packets add. What
// an identity may do is decided by the tree.
#pragma once
#include <capnp/list.h>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>
#include "interfaces/operation.capnp.h"

namespace polyquorum::zookeeper {

struct Proof {
  std::string scheme, id;
};

/// "user:password" -> "user:base64(sha1(user:password))".
/// Source: DigestAuthenticationProvider.generateDigest.
std::string digestOf(std::string_view userAndPassword);

/// Beyond this many, further auth packets of one connection fail.
constexpr std::size_t PROOFS_MAX = 128;

/// What an auth packet did.
enum class Proved : std::uint8_t { ADDED, UNKNOWN_SCHEME, TOO_MANY };

/// Adds what an auth packet proves. Schemes: digest (also super, if its digest is superDigest) and
/// ip, which the connection has anyhow. Others are unknown, as in ZooKeeper's ProviderRegistry.
Proved prove(std::vector<Proof>& proofs, std::string_view scheme, std::string_view auth,
             const std::string& superDigest);

/// The name to show of an identity: a digest without its hash.
/// Source: AuthenticationProvider.getUserName.
std::string_view userName(const Proof& proof);

/// All identities of a request: address as scheme ip, then the proofs. skipAcl adds a super.
struct Identities {
  std::string_view address;
  const std::vector<Proof>* proofs = nullptr;
  bool skipAcl = false;

  std::size_t count() const { return 1 + proofs->size() + (skipAcl ? 1 : 0); }
  /// Words of a capnp list of them, its pointer excluded.
  std::size_t words() const;
  void write(capnp::List<Identity>::Builder out) const;
};

}  // namespace polyquorum::zookeeper
