// SPDX-License-Identifier: Apache-2.0
// Bodies of the log against the tree: a hostile operation is an outcome, and the same on two nodes.
#include <capnp/serialize.h>
#include <kj/debug.h>
#include "state/trial.h"
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {

using namespace state::trial;

void body(Bytes bytes) {
  if (bytes.empty()) return;
  Trial trial;
  Client client(trial);
  client(create("/a"));
  client(create("/a/b", EPHEMERAL));
  std::string_view operation(reinterpret_cast<const char*>(bytes.data()) + 1, bytes.size() - 1);
  From from;
  if (bytes[0] & 1) {
    from = {client.attached.session, client.attached.incarnation, client.sequence + 1, 0};
  }
  trial.enforceQuota = (bytes[0] & 2) != 0;
  trial.raw(from, operation);
  KJ_ASSERT(trial.state->index() == trial.log.size());
  trial.text("/a");
  trial.children("/");

  auto other = state::State::create();
  for (std::size_t entry = 0; entry < trial.log.size(); entry++) trial.replay(*other, entry);
  KJ_ASSERT(other->digest() == trial.state->digest());
}

}  // namespace polyquorum::fuzz
