// SPDX-License-Identifier: Apache-2.0
// Letters of the cores while the kernel holds them, and their form on the wire. Sends nothing.
#pragma once
#include <capnp/message.h>
#include <kj/array.h>
#include <kj/common.h>
#include <cstdint>
#include <vector>
#include "interfaces/consensus.capnp.h"
#include "interfaces/election.capnp.h"
#include "kernel/body.h"
#include "kernel/letters.capnp.h"
#include "sdk/core.h"

namespace polyquorum::kernel {

/// An entry with its body instead of a ticket.
struct MailEntry {
  core::Index index = 0;
  core::Fence stamp = 0;
  kj::Maybe<BodyRef> body;  ///< nullptr: a no-op

  MailEntry clone() const;
};

/// peer and link as in core::Letter.
struct Mail {
  core::MemberId peer = 0;
  core::Link link = 0;
  std::uint16_t kind = 0;
  std::vector<std::uint64_t> numbers;
  std::vector<MailEntry> entries;

  /// Equal but for the address: such letters are encoded once.
  bool sameText(const Mail& other) const;
};

/// One parcel's content: the letter as a flat message, then the bodies it names.
struct Encoded {
  kj::Array<capnp::word> letter;
  std::vector<BodyRef> bodies;
};
Encoded encode(std::uint32_t segment, const Mail& mail);

/// The segment that a parcel on a core's lane belongs to, and the letter if it can be read. Throws
/// FAILED if the bytes are not a letter; nothing is allocated from numbers in them beyond their size.
struct Decoded {
  std::uint32_t segment = 0;
  Mail mail;
};
Decoded decode(kj::ArrayPtr<const kj::byte> parcel);

std::vector<std::uint64_t> numbersOf(capnp::List<std::uint64_t>::Reader list);

/// Flat copy of a message, ready to be sent as one piece.
kj::Array<kj::byte> flatten(capnp::MessageBuilder& message);

}  // namespace polyquorum::kernel
