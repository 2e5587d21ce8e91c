// SPDX-License-Identifier: Apache-2.0
// All or nothing: a list of operations in one entry. Source: PrepRequestProcessor, OpCode.multi.
#include <kj/exception.h>
#include "state/machine.h"
#include "sdk/mutant.h"

namespace polyquorum::state {
namespace {

constexpr std::size_t MULTI_COUNT_MAX = 65536;

}  // namespace

/// Success: one part each. Failure: outcome.error is that of the operation that failed, and the
/// parts are ok before it, its error, and rolledBack after it; ZooKeeper's 0, code, -2.
Error Machine::multi(capnp::List<polyquorum::Operation>::Reader list, Request& request) {
  std::size_t count = list.size();
  // A list of empty structs costs its sender nothing; each part costs us.
  if (count > MULTI_COUNT_MAX) return Error::BAD_ARGUMENTS;
  std::vector<Outcome> parts(count);
  auto error = Error::OK;
  std::size_t at = 0;
  tree.begin();
  quotas.begin();
  for (; at < count; at++) {
    try {
      error = single(list[at], request, parts[at]);
    } catch (const kj::Exception&) {
      error = Error::BAD_ARGUMENTS;
    }
    if (error != Error::OK) break;
  }
  if (error == Error::OK || MUTANT("state.multi.whole")) {
    tree.commit();
    quotas.commit();
  } else {
    tree.rollBack();
    quotas.rollBack();
    applied.changes.clear();
    for (std::size_t i = 0; i < count; i++) {
      parts[i] = Outcome();
      parts[i].error = i < at ? Error::OK : i == at ? error : Error::ROLLED_BACK;
    }
  }
  applied.outcome.parts = std::move(parts);
  return error;
}

}  // namespace polyquorum::state
