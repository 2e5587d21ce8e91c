// SPDX-License-Identifier: Apache-2.0
// Flat Body messages; see body.h.
#include "kernel/body.h"
#include <capnp/any.h>
#include <kj/debug.h>
#include <cstring>

namespace polyquorum::kernel {
namespace {

constexpr std::size_t TABLE_WORDS = 1;  // one segment: its count - 1, its size

/// An exactly filled single-segment message, its segment table in front.
template <typename Fill>
BodyRef build(std::size_t segmentWords, Fill fill) {
  auto words = kj::heapArray<capnp::word>(TABLE_WORDS + segmentWords);
  memset(words.begin(), 0, words.asBytes().size());
  auto* table = reinterpret_cast<std::uint32_t*>(words.begin());
  table[0] = 0;
  table[1] = segmentWords;
  capnp::FlatMessageBuilder message(words.slice(TABLE_WORDS, words.size()));
  fill(message.initRoot<Body>());
  message.requireFilled();
  return kj::refcounted<SharedBody>(kj::mv(words));
}

constexpr std::size_t rootWords() {
  return 1 + Body::_capnpPrivate::dataWordSize + Body::_capnpPrivate::pointerCount;
}

}  // namespace

void SharedBody::stamp(std::int64_t timeMs) {
  capnp::FlatArrayMessageReader reader(words);
  auto body = reader.getRoot<Body>();
  // The field's place in the message is found by the reader; the bytes are ours.
  auto data = capnp::toAny(body).getDataSection();
  constexpr std::size_t TIME_OFFSET = 3 * sizeof(std::uint64_t);
  KJ_ASSERT(data.size() >= TIME_OFFSET + sizeof(timeMs), "a body without room for its time");
  memcpy(const_cast<kj::byte*>(data.begin()) + TIME_OFFSET, &timeMs, sizeof(timeMs));
  KJ_DASSERT(reader.getRoot<Body>().getTimeMs() == timeMs);
}

BodyRef makeCommand(const CommandId& id, kj::ArrayPtr<const kj::byte> operation) {
  auto operationWords = (operation.size() + sizeof(capnp::word) - 1) / sizeof(capnp::word);
  return build(rootWords() + operationWords, [&](Body::Builder body) {
    body.setSession(id.session);
    body.setIncarnation(id.incarnation);
    body.setSequence(id.sequence);
    body.setUnanswered(id.unanswered);
    body.setOperation(operation);
  });
}

BodyRef makeSeal(Segment::Reader next) {
  return build(rootWords() + next.totalSize().wordCount,
               [&](Body::Builder body) { body.setSeal(next); });
}

BodyRef copyBody(kj::ArrayPtr<const kj::byte> bytes) {
  auto words = kj::heapArray<capnp::word>((bytes.size() + sizeof(capnp::word) - 1) /
                                          sizeof(capnp::word));
  if (words.size() > 0) {
    memset(words.end() - 1, 0, sizeof(capnp::word));
    memcpy(words.begin(), bytes.begin(), bytes.size());
  }
  return kj::refcounted<SharedBody>(kj::mv(words));
}

capnp::ReaderOptions BodyReader::options() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 64 << 20;
  options.nestingLimit = 32;
  return options;
}

}  // namespace polyquorum::kernel
