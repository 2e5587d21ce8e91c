// SPDX-License-Identifier: Apache-2.0
// Decodes hostile bytes and reads back what was built, as the desk and the tree would.
#include "plugins/api/zookeeper/fuzz.h"
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/debug.h>
#include "plugins/api/zookeeper/decode.h"

namespace polyquorum::zookeeper {
namespace {

/// The flat message inside a request is whole and aligned.
void readBack(coordination::Request::Reader request) {
  if (!request.isOperation()) return;
  auto bytes = request.getOperation();
  KJ_ASSERT(bytes.size() % sizeof(capnp::word) == 0);
  auto words = kj::arrayPtr(reinterpret_cast<const capnp::word*>(bytes.begin()),
                            bytes.size() / sizeof(capnp::word));
  capnp::FlatArrayMessageReader message(words);
  auto operation = message.getRoot<Operation>();
  KJ_ASSERT(operation.totalSize().wordCount <= words.size());
  KJ_ASSERT(operation.getIdentities().size() > 0);
}

}  // namespace

std::size_t fuzzFrame(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Reader frame(data + 1, size - 1);
  capnp::MallocMessageBuilder message(64);
  auto request = message.initRoot<coordination::Request>();
  static const std::vector<Proof> PROOFS = {{"digest", "bob:hash"}};
  static const Rules RULES = {.extendedTypes = true, .superDigest = ""};
  static const Rules PLAIN = {};
  Asker asker{0x100000000000001, {"127.0.0.1", &PROOFS, false}, data[0] & 1 ? &RULES : &PLAIN};
  if (data[0] == 0) {
    ConnectRequest connect;
    if (!decodeConnect(frame, connect)) return 0;
    buildAttach({connect.session, 1, 4000, connect.password, 1}, request);
  } else {
    auto type = frame.int32();
    Pending pending;
    decodeRequest(type, frame, asker, request, pending);
    if (pending.local) return 0;
  }
  readBack(request);
  return request.totalSize().wordCount;
}

}  // namespace polyquorum::zookeeper
