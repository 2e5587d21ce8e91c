// SPDX-License-Identifier: Apache-2.0
// Lists of requests sized by what the last turns needed; see batch.h.
#include "plugins/api/zookeeper/batch.h"
#include <kj/debug.h>
#include <algorithm>
#include "plugins/api/zookeeper/capnp_text.h"

namespace polyquorum::zookeeper {
namespace {
constexpr unsigned ROOM_MIN = 8, ROOM_MAX = 1024;
/// What a small request puts outside its own struct; a hint for the first segment.
constexpr unsigned WORDS_EACH = 32;
}  // namespace

void Batch::begin() {
  room = std::clamp(expected, ROOM_MIN, ROOM_MAX);
  auto words = room * (structWords<coordination::Request>() + WORDS_EACH) + 16;
  auto request = desk.submitRequest(capnp::MessageSize{words, 0});
  list = request.initRequests(room);
  call = kj::mv(request);
  count = 0;
}

coordination::Request::Builder Batch::slot(std::uint64_t token, std::uint64_t session) {
  if (call != nullptr && count == room) {
    full.add(send());
    expected = room * 2;
  }
  if (call == nullptr) begin();
  auto out = list[count];
  out.setToken(token);
  out.setSession(session);
  return out;
}

kj::Promise<void> Batch::send() {
  auto& request = KJ_ASSERT_NONNULL(call);
  if (count < room) {
    auto orphan = request.disownRequests();
    orphan.truncate(count);
    request.adoptRequests(kj::mv(orphan));
  }
  auto sent = request.send().ignoreResult();
  call = nullptr;
  count = 0;
  return sent;
}

kj::Promise<void> Batch::submit() {
  // Follows the load: up at once, down by half a turn.
  expected = std::max(count + count / 4, expected / 2);
  if (call != nullptr && count > 0) full.add(send());
  if (full.empty()) return kj::READY_NOW;
  if (full.size() == 1) {
    auto only = kj::mv(full[0]);
    full.clear();
    return only;
  }
  return kj::joinPromises(full.releaseAsArray());
}

}  // namespace polyquorum::zookeeper
