// SPDX-License-Identifier: Apache-2.0
// Digests by OpenSSL, and lists of identities; see auth.h.
#include "plugins/api/zookeeper/auth.h"
#include <kj/debug.h>
#include <openssl/evp.h>
#include <algorithm>
#include "plugins/api/zookeeper/capnp_text.h"

namespace polyquorum::zookeeper {

std::string digestOf(std::string_view userAndPassword) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  KJ_ASSERT(EVP_Digest(userAndPassword.data(), userAndPassword.size(), hash, &size, EVP_sha1(),
                       nullptr) == 1);
  unsigned char encoded[64];
  int length = EVP_EncodeBlock(encoded, hash, static_cast<int>(size));
  std::string out(userAndPassword.substr(0, userAndPassword.find(':')));
  out += ':';
  out.append(reinterpret_cast<const char*>(encoded), static_cast<std::size_t>(length));
  return out;
}

namespace {

/// Adds unless it is there.
Proved add(std::vector<Proof>& proofs, std::string scheme, std::string id) {
  auto same = [&](const Proof& proof) { return proof.scheme == scheme && proof.id == id; };
  if (std::any_of(proofs.begin(), proofs.end(), same)) return Proved::ADDED;
  if (proofs.size() >= PROOFS_MAX) return Proved::TOO_MANY;
  proofs.push_back({std::move(scheme), std::move(id)});
  return Proved::ADDED;
}

}  // namespace

Proved prove(std::vector<Proof>& proofs, std::string_view scheme, std::string_view auth,
             const std::string& superDigest) {
  if (scheme == "ip") return Proved::ADDED;
  if (scheme != "digest") return Proved::UNKNOWN_SCHEME;
  auto digest = digestOf(auth);
  if (!superDigest.empty() && digest == superDigest) {
    if (auto added = add(proofs, "super", ""); added != Proved::ADDED) return added;
  }
  return add(proofs, "digest", std::move(digest));
}

std::string_view userName(const Proof& proof) {
  std::string_view id = proof.id;
  return proof.scheme == "digest" ? id.substr(0, id.find(':')) : id;
}

std::size_t Identities::words() const {
  constexpr std::size_t EACH = structWords<Identity>();
  std::size_t words = 1 + count() * EACH + textWords(2) + textWords(address.size());
  for (auto& proof : *proofs) words += textWords(proof.scheme.size()) + textWords(proof.id.size());
  return skipAcl ? words + textWords(5) + textWords(0) : words;
}

void Identities::write(capnp::List<Identity>::Builder out) const {
  unsigned i = 0;
  auto put = [&](std::string_view scheme, std::string_view id) {
    auto identity = out[i++];
    setText(identity.initScheme(scheme.size()), scheme);
    setText(identity.initId(id.size()), id);
  };
  put("ip", address);
  for (auto& proof : *proofs) put(proof.scheme, proof.id);
  if (skipAcl) put("super", "");
}

}  // namespace polyquorum::zookeeper
