// SPDX-License-Identifier: Apache-2.0
// The reader of frames between servers. First byte: bit 0, the input becomes frames with right
// checksums, which must arrive as they were sent; bit 1, whoever speaks has proved itself; the
// rest, the size of the pieces in which bytes arrive.
#include <kj/debug.h>
#include <kj/exception.h>
#include <cstring>
#include "plugins/transport/tcp/frame_reader.h"
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {
namespace {

constexpr std::uint32_t PAYLOAD_MAX = 1 << 16;

struct Sent {
  tcp::Kind kind;
  std::uint32_t number;
  std::vector<std::uint8_t> payload;
};

/// What a connection does with a frame before it believes the peer.
void look(const tcp::Frame& frame) {
  auto ignored = kj::runCatchingExceptions([&]() {
    if (frame.header.kind == tcp::Kind::HELLO || frame.header.kind == tcp::Kind::WELCOME) {
      tcp::decodeGreeting(frame.payload);
    }
  });
  auto text = tcp::safeText(frame.payload);
  for (char letter : text) {
    must(static_cast<unsigned char>(letter) >= ' ', "no control characters in messages");
  }
}

}  // namespace

void tcpFrames(Bytes bytes) {
  Input input(bytes);
  auto how = input.byte();
  std::vector<Sent> sent;
  std::vector<std::uint8_t> wire;
  if (how & 1) {
    while (!input.empty()) {
      auto kind = static_cast<tcp::Kind>(input.byte());
      auto number = input.two();
      auto payload = input.take(input.byte());
      auto frame = tcp::encodeFrame(kind, number, kj::arrayPtr(payload.data(), payload.size()));
      sent.push_back({kind, number, {payload.begin(), payload.end()}});
      wire.insert(wire.end(), frame.begin(), frame.end());
    }
  } else {
    auto rest = input.rest();
    wire.assign(rest.begin(), rest.end());
  }
  tcp::FrameReader reader(how & 2 ? PAYLOAD_MAX : tcp::HANDSHAKE_BYTES_MAX);
  std::size_t at = 0, frames = 0, piece = 1 + (how >> 2) * 7;
  auto broken = kj::runCatchingExceptions([&]() {
    while (at < wire.size()) {
      auto space = reader.space();
      must(space.size() > 0, "there is always room for more");
      auto size = std::min({piece, space.size(), wire.size() - at});
      std::memcpy(space.begin(), wire.data() + at, size);
      at += size;
      reader.filled(size);
      for (;;) {
        auto frame = reader.next();
        if (frame == nullptr) break;
        auto& whole = KJ_REQUIRE_NONNULL(frame);
        if (how & 1) {
          must(frames < sent.size(), "no frame that was not sent");
          auto& original = sent[frames];
          must(whole.header.kind == original.kind && whole.header.number == original.number &&
                   whole.payload == kj::arrayPtr(original.payload.data(), original.payload.size()),
               "a frame arrives as it was sent");
        }
        frames++;
        look(whole);
      }
    }
  });
  if ((how & 1) && (how & 2)) {
    must(broken == nullptr && frames == sent.size(), "every frame arrives");
  }
}

}  // namespace polyquorum::fuzz
