// SPDX-License-Identifier: Apache-2.0
// The bytes between two members: frame headers and greetings, encoded and checked. Pure: no socket,
// no clock. README.md describes them to the byte.
#pragma once
#include <kj/array.h>
#include <kj/string.h>
#include <cstddef>
#include <cstdint>
#include <string>

namespace polyquorum::tcp {

constexpr std::uint16_t PROTOCOL_VERSION = 1;
constexpr std::size_t HEADER_SIZE = 16;
/// Of the frames of a handshake, payload only: nobody has proved anything yet.
constexpr std::uint32_t HANDSHAKE_BYTES_MAX = 4096;
/// Of one chunk of a bulk stream; a lane waits for at most one of these.
constexpr std::uint32_t BULK_CHUNK_MAX = 64 << 10;
/// What a bulk stream may have under way before its receiver has taken any.
constexpr std::uint32_t BULK_WINDOW = 1 << 20;
/// Of the header of a bulk stream.
constexpr std::uint32_t BULK_HEADER_MAX = 1 << 20;
/// Bulk streams open at once in one direction of a link.
constexpr std::uint32_t BULK_STREAMS_MAX = 16;
constexpr std::uint32_t REASON_BYTES_MAX = 1024;

enum class Kind : std::uint8_t {
  HELLO = 1,      // dialer: who I am, whom I want
  WELCOME = 2,    // acceptor: who I am
  CONFIRM = 3,    // dialer: this connection is the link
  REFUSE = 4,     // either: why not, as text
  PARCEL = 5,     // number: lane
  BULK_OPEN = 6,  // number: stream; payload: its header
  BULK_DATA = 7,
  BULK_END = 8,      // sender: that was all
  BULK_CANCEL = 9,   // sender: forget it
  BULK_CREDIT = 10,  // receiver: payload is a u32, bytes taken
  BULK_DONE = 11,    // receiver: all taken and durable
  BULK_FAILED = 12,  // receiver: why not, as text
};

/// The fixed start of every frame. Little endian.
struct Header {
  std::uint32_t size = 0;    ///< of the payload
  std::uint32_t crc = 0;     ///< CRC-32C of the payload, then of size, kind and number
  std::uint32_t number = 0;  ///< lane, or bulk stream
  Kind kind = Kind::HELLO;
};

/// crc of the header is computed here, from payloadCrc = crc32c(0, payload).
void encodeHeader(kj::byte* out, Kind kind, std::uint32_t number, std::uint32_t size,
                  std::uint32_t payloadCrc);

/// Only reads the fields: bounds are the caller's, the checksum is verify()'s.
Header decodeHeader(const kj::byte* in);

/// Whether payload and header are what the sender checksummed.
bool verify(const Header& header, kj::ArrayPtr<const kj::byte> payload);

/// A whole frame in one array.
kj::Array<kj::byte> encodeFrame(Kind kind, std::uint32_t number,
                                kj::ArrayPtr<const kj::byte> payload);

/// What HELLO and WELCOME say.
struct Greeting {
  std::uint16_t version = PROTOCOL_VERSION;
  std::uint32_t from = 0, to = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t frameMax = 0;  ///< the largest payload that the speaker accepts
  std::uint32_t lanes = 0;     ///< checksum of the table of lanes: both must have the same
  std::string cluster;
};

kj::Array<kj::byte> encodeGreeting(Kind kind, const Greeting& greeting);

/// Throws FAILED with the reason if these bytes are no greeting. Another version is returned with
/// only the version filled in.
Greeting decodeGreeting(kj::ArrayPtr<const kj::byte> payload);

/// Throws FAILED with the reason alone: what comes from outside is nobody's bug.
void demand(bool held, kj::StringPtr otherwise);

/// Text that came from outside: cut, and without control characters.
kj::String safeText(kj::ArrayPtr<const kj::byte> text);

}  // namespace polyquorum::tcp
