// SPDX-License-Identifier: Apache-2.0
// See wire.h.
#include "wire.h"
#include <kj/debug.h>
#include <cstring>
#include "sdk/crc32c.h"

namespace polyquorum::tcp {
namespace {

constexpr char MAGIC[8] = {'P', 'Q', 'p', 'e', 'e', 'r', '\r', '\n'};
// magic 8, version 2, zero 2, from 4, to 4, frameMax 4, incarnation 8, lanes 4, cluster size 4
constexpr std::size_t GREETING_FIXED = 40;

template <typename T>
void put(kj::byte* out, T value) {
  for (std::size_t i = 0; i < sizeof(T); i++) out[i] = static_cast<kj::byte>(value >> (8 * i));
}

template <typename T>
T get(const kj::byte* in) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); i++)
    value |= static_cast<T>(static_cast<T>(in[i]) << (8 * i));
  return value;
}

}  // namespace

void encodeHeader(kj::byte* out, Kind kind, std::uint32_t number, std::uint32_t size,
                  std::uint32_t payloadCrc) {
  put<std::uint32_t>(out, size);
  out[4] = static_cast<kj::byte>(kind);
  out[5] = out[6] = out[7] = 0;
  put<std::uint32_t>(out + 8, number);
  put<std::uint32_t>(out + 12, sdk::crc32c(payloadCrc, out, 12));
}

Header decodeHeader(const kj::byte* in) {
  Header header;
  header.size = get<std::uint32_t>(in);
  header.kind = static_cast<Kind>(in[4]);
  header.number = get<std::uint32_t>(in + 8);
  header.crc = get<std::uint32_t>(in + 12);
  return header;
}

bool verify(const Header& header, kj::ArrayPtr<const kj::byte> payload) {
  kj::byte expected[HEADER_SIZE];
  encodeHeader(expected, header.kind, header.number, header.size,
               sdk::crc32c(0, payload.begin(), payload.size()));
  return get<std::uint32_t>(expected + 12) == header.crc;
}

kj::Array<kj::byte> encodeFrame(Kind kind, std::uint32_t number,
                                kj::ArrayPtr<const kj::byte> payload) {
  auto frame = kj::heapArray<kj::byte>(HEADER_SIZE + payload.size());
  encodeHeader(frame.begin(), kind, number, static_cast<std::uint32_t>(payload.size()),
               sdk::crc32c(0, payload.begin(), payload.size()));
  if (payload.size() > 0) std::memcpy(frame.begin() + HEADER_SIZE, payload.begin(), payload.size());
  return frame;
}

kj::Array<kj::byte> encodeGreeting(Kind kind, const Greeting& greeting) {
  auto payload = kj::heapArray<kj::byte>(GREETING_FIXED + greeting.cluster.size());
  demand(payload.size() <= HANDSHAKE_BYTES_MAX, "the cluster's name is too long to be sent");
  auto out = payload.begin();
  std::memcpy(out, MAGIC, sizeof(MAGIC));
  put<std::uint16_t>(out + 8, greeting.version);
  put<std::uint16_t>(out + 10, 0);
  put<std::uint32_t>(out + 12, greeting.from);
  put<std::uint32_t>(out + 16, greeting.to);
  put<std::uint32_t>(out + 20, greeting.frameMax);
  put<std::uint64_t>(out + 24, greeting.incarnation);
  put<std::uint32_t>(out + 32, greeting.lanes);
  put<std::uint32_t>(out + 36, static_cast<std::uint32_t>(greeting.cluster.size()));
  std::memcpy(out + GREETING_FIXED, greeting.cluster.data(), greeting.cluster.size());
  return encodeFrame(kind, 0, payload);
}

Greeting decodeGreeting(kj::ArrayPtr<const kj::byte> payload) {
  demand(payload.size() >= 10 && std::memcmp(payload.begin(), MAGIC, sizeof(MAGIC)) == 0,
         "the other side does not speak the peer protocol of polyquorum");
  Greeting greeting;
  greeting.version = get<std::uint16_t>(payload.begin() + 8);
  if (greeting.version != PROTOCOL_VERSION) return greeting;
  demand(payload.size() >= GREETING_FIXED, "the greeting is cut short");
  auto in = payload.begin();
  greeting.from = get<std::uint32_t>(in + 12);
  greeting.to = get<std::uint32_t>(in + 16);
  greeting.frameMax = get<std::uint32_t>(in + 20);
  greeting.incarnation = get<std::uint64_t>(in + 24);
  greeting.lanes = get<std::uint32_t>(in + 32);
  demand(get<std::uint32_t>(in + 36) == payload.size() - GREETING_FIXED,
         "the greeting has the wrong length");
  greeting.cluster.assign(reinterpret_cast<const char*>(in + GREETING_FIXED),
                          payload.size() - GREETING_FIXED);
  return greeting;
}

void demand(bool held, kj::StringPtr otherwise) {
  if (!held) kj::throwFatalException(KJ_EXCEPTION(FAILED, kj::str(otherwise)));
}

kj::String safeText(kj::ArrayPtr<const kj::byte> text) {
  auto size = kj::min(text.size(), std::size_t(REASON_BYTES_MAX));
  auto out = kj::heapString(size);
  for (std::size_t i = 0; i < size; i++) {
    out.begin()[i] = text[i] >= ' ' && text[i] < 0x7f ? static_cast<char>(text[i]) : '?';
  }
  return out;
}

}  // namespace polyquorum::tcp
