// SPDX-License-Identifier: Apache-2.0
// What an entry says, as the bytes that travel and are stored: one flat Body message, built once and
// shared by log, letters and tree. No core reads it.
#pragma once
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/array.h>
#include <kj/refcount.h>
#include <cstdint>
#include "interfaces/types.capnp.h"

namespace polyquorum::kernel {

/// Immutable once proposed; shared within the loop's thread.
class SharedBody final : public kj::Refcounted {
public:
  explicit SharedBody(kj::Array<capnp::word> words) : words(kj::mv(words)) {}

  kj::ArrayPtr<const kj::byte> bytes() const { return words.asBytes(); }
  kj::ArrayPtr<const capnp::word> asWords() const { return words; }
  kj::Own<SharedBody> share() { return kj::addRef(*this); }

  /// Leader only, once, before it is proposed: puts the cluster time in.
  void stamp(std::int64_t timeMs);

private:
  kj::Array<capnp::word> words;
};

using BodyRef = kj::Own<SharedBody>;

/// Who a command is from; see Body in types.capnp.
struct CommandId {
  std::uint64_t session = 0, incarnation = 0, sequence = 0, unanswered = 0;
};

/// A command: operation is a flat Operation message, word by word.
BodyRef makeCommand(const CommandId& id, kj::ArrayPtr<const kj::byte> operation);

/// A seal.
BodyRef makeSeal(Segment::Reader next);

/// Copies bytes that came from a peer or a disk.
BodyRef copyBody(kj::ArrayPtr<const kj::byte> bytes);

/// Opens a body for reading. Limits are set for what a client may send.
class BodyReader {
public:
  explicit BodyReader(const SharedBody& body)
      : reader(body.asWords(), options()), root(reader.getRoot<Body>()) {}
  Body::Reader get() const { return root; }

private:
  static capnp::ReaderOptions options();
  capnp::FlatArrayMessageReader reader;
  Body::Reader root;
};

}  // namespace polyquorum::kernel
