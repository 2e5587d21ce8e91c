// SPDX-License-Identifier: Apache-2.0
// The template half of operations.h: builds a message in place, in the Data that carries it.
#pragma once
#include <kj/debug.h>
#include "plugins/api/zookeeper/capnp_text.h"

namespace polyquorum::zookeeper {

template <typename Build>
void buildOperation(coordination::Request::Builder out, std::size_t contentWords,
                    const Identities& identities, const Rules& rules, Build&& build) {
  // Root pointer, Operation, what it holds; before it a segment table of one segment.
  std::size_t words = 1 + structWords<Operation>() + contentWords + identities.words();
  auto blob = out.initOperation((words + 1) * sizeof(capnp::word));
  KJ_ASSERT(reinterpret_cast<std::uintptr_t>(blob.begin()) % sizeof(capnp::word) == 0);
  std::uint32_t table[2] = {0, static_cast<std::uint32_t>(words)};
  memcpy(blob.begin(), table, sizeof(table));
  capnp::FlatMessageBuilder message(
      kj::arrayPtr(reinterpret_cast<capnp::word*>(blob.begin()) + 1, words));
  auto operation = message.initRoot<Operation>();
  if (rules.enforceQuota) operation.setEnforceQuota(true);
  build(operation);
  identities.write(operation.initIdentities(static_cast<unsigned>(identities.count())));
}

}  // namespace polyquorum::zookeeper
