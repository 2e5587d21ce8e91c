// SPDX-License-Identifier: Apache-2.0
// Changes as they arrive: read into views, measured, then built as one flat Operation message
// inside the request, without a copy in between.
#pragma once
#include <capnp/message.h>
#include <cstdint>
#include <string_view>
#include "interfaces/coordination.capnp.h"
#include "plugins/api/zookeeper/auth.h"
#include "plugins/api/zookeeper/jute.h"
#include "plugins/api/zookeeper/settings.h"

namespace polyquorum::zookeeper {

/// One change, still lying in its frame.
struct Write {
  std::int32_t type = 0;
  std::string_view path;
  View data;
  Reader acl;                     ///< at the first of aclCount entries
  std::size_t aclCount = 0, aclWords = 0;
  Create::Mode mode = Create::Mode::PERSISTENT;
  bool sequential = false;
  std::int64_t ttlMs = 0;
  std::int32_t version = -1;
  std::int32_t refused = 0;       ///< Not 0: well-formed, but this server answers with this code.

  bool creates() const;
  /// Words of everything below its Operation struct.
  std::size_t words() const;
  void build(Operation::Builder out) const;
};

/// False: malformed. type is one of create*, delete, setData, setACL, check.
bool readWrite(std::int32_t type, Reader& body, const Rules& rules, Write& out,
               bool inMulti = false);
bool isWrite(std::int32_t type);

/// Makes the flat message inside a request: one segment of exactly `words` words.
template <typename Build>
void buildOperation(coordination::Request::Builder out, std::size_t contentWords,
                    const Identities& identities, const Rules& rules, Build&& build);

}  // namespace polyquorum::zookeeper

#include "plugins/api/zookeeper/operations_build.h"
