// SPDX-License-Identifier: Apache-2.0
// The options of the ZooKeeper API as plain values, and their documentation.
#pragma once
#include <capnp/list.h>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>
#include "interfaces/types.capnp.h"
#include "sdk/plugin.h"

namespace polyquorum::zookeeper {

/// What decides how one request is read.
struct Rules {
  bool extendedTypes = false;     ///< TTL nodes
  bool reconfigEnabled = false;
  bool enforceQuota = false;
  bool skipAcl = false;
  std::string superDigest;        ///< "super:base64(sha1(super:password))"; empty: no super user
};

struct Settings {
  Rules rules;
  std::uint32_t tickMs = 2000;
  std::uint32_t sessionTimeoutMinMs = 4000, sessionTimeoutMaxMs = 40000;
  std::uint32_t connectionsPerAddressMax = 60, connectionsMax = 100000;
  std::uint32_t outstandingMax = 20000;             ///< of all connections together
  std::uint32_t outstandingPerConnectionMax = 4096;
  std::size_t frameBytesMax = 0xfffff;
  std::size_t unsentBytesMax = 1 << 20;             ///< above: reads no more requests
  std::size_t unsentBytesLimit = 16 << 20;          ///< above: closes
  bool wordsGiven = false;
  std::vector<std::string> words;                   ///< four-letter words allowed; "*": all

  /// ZooKeeper clamps what a client asks for.
  std::uint32_t negotiate(std::int32_t askedMs) const;
  /// May this word be asked from there?
  bool allows(const std::string& word, bool loopback) const;
};

/// Throws FAILED with all that is wrong with the options.
Settings readSettings(capnp::List<polyquorum::Option>::Reader options);

extern const std::initializer_list<sdk::OptionText> OPTION_TEXTS;

}  // namespace polyquorum::zookeeper
