// SPDX-License-Identifier: Apache-2.0
// Frames, greetings, checksums and the queue of a link, without any socket.
#include <catch2/catch.hpp>
#include <cstring>
#include "frame_reader.h"
#include "handshake.h"
#include "out_queue.h"

namespace polyquorum::tcp {
namespace {

void feed(FrameReader& reader, kj::ArrayPtr<const kj::byte> bytes) {
  while (bytes.size() > 0) {
    auto space = reader.space();
    auto size = kj::min(space.size(), bytes.size());
    memcpy(space.begin(), bytes.begin(), size);
    reader.filled(size);
    bytes = bytes.slice(size, bytes.size());
  }
}

kj::Own<Chunk> chunkOf(std::size_t size) {
  auto bytes = kj::heapArray<kj::byte>(size);
  memset(bytes.begin(), 'c', size);
  return kj::refcounted<Chunk>(kj::mv(bytes));
}

}  // namespace

TEST_CASE("frames that come byte by byte are read whole") {
  FrameReader reader(1 << 20);
  auto first = encodeFrame(Kind::PARCEL, 3, kj::StringPtr("hello").asBytes());
  auto second = encodeFrame(Kind::BULK_END, 9, nullptr);
  int frames = 0;
  for (auto* whole : {&first, &second}) {
    for (auto& byte : *whole) {
      feed(reader, kj::arrayPtr(&byte, 1));
      KJ_IF_MAYBE (frame, reader.next()) {
        frames++;
        if (frames == 1) REQUIRE(kj::str(frame->payload.asChars()) == "hello");
        REQUIRE(frame->header.number == (frames == 1 ? 3 : 9));
      }
    }
  }
  REQUIRE(frames == 2);
}

TEST_CASE(
    "a flipped bit anywhere in a frame is found, a huge length before anything is allocated") {
  auto frame = encodeFrame(Kind::PARCEL, 1, kj::StringPtr("some payload").asBytes());
  for (std::size_t bit = 32; bit < frame.size() * 8; bit++) {
    if (bit / 8 >= 5 && bit / 8 < 8) continue;  // reserved
    auto damaged = kj::heapArray(frame.asPtr());
    damaged[bit / 8] ^= static_cast<kj::byte>(1 << (bit % 8));
    FrameReader reader(1 << 20);
    feed(reader, damaged);
    REQUIRE_THROWS_AS(reader.next(), kj::Exception);
  }
  FrameReader reader(1 << 20);
  kj::byte huge[HEADER_SIZE] = {0xff, 0xff, 0xff, 0xff, 5};
  feed(reader, huge);
  REQUIRE_THROWS_AS(reader.next(), kj::Exception);
}

TEST_CASE("a greeting survives the wire, and each difference is named") {
  Greeting hello;
  hello.from = 2;
  hello.to = 1;
  hello.incarnation = 77;
  hello.frameMax = 1 << 20;
  hello.lanes = 5;
  hello.cluster = "prod";
  auto frame = encodeGreeting(Kind::HELLO, hello);
  auto payload = frame.slice(HEADER_SIZE, frame.size());
  auto back = decodeGreeting(payload);
  REQUIRE(back.incarnation == 77);
  REQUIRE(back.cluster == "prod");

  Greeting mine = hello;
  mine.from = 1;
  mine.to = 2;
  REQUIRE(mismatch(back, mine).size() == 0);
  auto differs = [&](auto change) {
    auto other = back;
    change(other);
    return mismatch(other, mine).size() > 0;
  };
  REQUIRE(differs([](Greeting& g) { g.cluster = "test"; }));
  REQUIRE(differs([](Greeting& g) { g.version = 2; }));
  REQUIRE(differs([](Greeting& g) { g.from = 1; }));
  REQUIRE(differs([](Greeting& g) { g.from = 3; }));
  REQUIRE(differs([](Greeting& g) { g.to = 4; }));
  REQUIRE(differs([](Greeting& g) { g.lanes = 6; }));

  for (std::size_t size = 0; size < payload.size(); size++) {
    REQUIRE_THROWS_AS(decodeGreeting(payload.slice(0, size)), kj::Exception);
  }
}

TEST_CASE("the queue sends lanes by importance, but finishes what it began") {
  LaneRule rules[] = {{false, 1000}, {false, 1000}};
  OutQueue queue(rules);
  auto low = chunkOf(100), high = chunkOf(50);
  REQUIRE(queue.push(1, *low, low->bytes.slice(0, 60)));
  REQUIRE(queue.push(1, *low, low->bytes.slice(60, 100)));
  Pieces pieces;
  REQUIRE(queue.gather(pieces, 10, 1 << 20));
  REQUIRE(pieces.size() == 1);  // neighbours are one piece
  queue.consumed(10);

  REQUIRE(queue.push(0, *high, high->bytes));
  pieces.clear();
  REQUIRE(queue.gather(pieces, 10, 1 << 20));
  REQUIRE(pieces.size() == 2);
  REQUIRE(pieces[0].begin() == low->bytes.begin() + 10);
  queue.consumed(140);
  REQUIRE(queue.empty());
  REQUIRE_FALSE(queue.push(0, *high, kj::arrayPtr(high->bytes.begin(), 1001)));
}

TEST_CASE("a conflating lane replaces what waits, never what is half sent") {
  LaneRule rules[] = {{true, 0}};
  OutQueue queue(rules);
  auto a = chunkOf(10), b = chunkOf(20), c = chunkOf(30);
  queue.push(0, *a, a->bytes);
  queue.push(0, *b, b->bytes);
  REQUIRE(queue.size() == 20);
  queue.consumed(5);
  queue.push(0, *a, a->bytes);
  queue.push(0, *c, c->bytes);
  REQUIRE(queue.size() == 15 + 30);
  Pieces pieces;
  queue.gather(pieces, 10, 1 << 20);
  REQUIRE(pieces[0].size() == 15);
  REQUIRE(pieces[1].size() == 30);
}

}  // namespace polyquorum::tcp
