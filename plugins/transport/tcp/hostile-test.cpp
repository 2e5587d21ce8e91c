// SPDX-License-Identifier: Apache-2.0
// Peers and strangers that do not follow the rules (promises.md, section 5, "Peer transport").
#include <catch2/catch.hpp>
#include <cstring>
#include "socket.h"
#include "support-test.h"

namespace polyquorum::tcp {
namespace {

/// A connection that says what it likes.
struct Stranger {
  TestLoop& test;
  kj::Own<Socket> socket;

  Stranger(TestLoop& test, const std::string& at)
      : test(test), socket(dial(test.port.io, at.c_str(), SocketSettings()).wait(test.scope)) {}

  void say(kj::ArrayPtr<const kj::byte> bytes) {
    while (bytes.size() > 0) {
      auto size = socket->write({bytes});
      bytes = bytes.slice(size, bytes.size());
      if (bytes.size() > 0) socket->writable().wait(test.scope);
    }
  }

  /// Reads until the other side closes; what came.
  std::string readAll() {
    std::string text;
    kj::byte buffer[4096];
    try {
      for (;;) {
        socket->readable().wait(test.scope);
        auto size = socket->read(buffer);
        text.append(reinterpret_cast<char*>(buffer), size);
      }
    } catch (const kj::Exception&) {
      return text;
    }
  }
};

Greeting helloTo(std::uint32_t to, std::uint32_t from) {
  Greeting hello;
  hello.from = from;
  hello.to = to;
  hello.frameMax = 1 << 20;
  hello.cluster = "test";
  return hello;
}

}  // namespace

TEST_CASE("a member of another cluster is refused, with one clear line on each side") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1, 1, "red"), two(test.port, test.scope, 2, 1, "blue");
  test.link(one, two);

  REQUIRE(test.until([&]() {
    return one.environment.countLines("belongs to cluster \"blue\"") > 0 &&
           two.environment.countLines("belongs to cluster \"red\"") > 0;
  }));
  for (int i = 0; i < 150; i++) test.port.timer.afterDelay(1 * kj::MILLISECONDS).wait(test.scope);
  // Many tries by now, and still one line for each thing there is to say.
  REQUIRE(one.environment.countLines("link.refused") <= 1);
  REQUIRE(one.environment.countLines("link.failed") <= 1);
  REQUIRE(one.inbox.news.empty());
  REQUIRE(two.inbox.news.empty());
}

TEST_CASE("a wrong id at an address is refused on both sides") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1), three(test.port, test.scope, 3);
  one.peers(test.scope, {{1, one.address}, {2, three.address}});
  three.peers(test.scope, {{1, one.address}, {3, three.address}});

  REQUIRE(test.until([&]() { return one.environment.countLines("link.failed peer=2") > 0; }));
  REQUIRE(
      test.until([&]() { return one.environment.countLines("is not in this server's list") > 0; }));
  REQUIRE(one.inbox.news.empty());
}

TEST_CASE("strangers are closed before they cost anything") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1);
  one.peers(test.scope, {{1, one.address}, {2, "127.0.0.1:1"}});

  auto closes = [&](kj::ArrayPtr<const kj::byte> bytes) {
    Stranger stranger(test, one.address);
    stranger.say(bytes);
    return stranger.readAll();
  };
  REQUIRE(closes(kj::StringPtr("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").asBytes()).empty());
  REQUIRE(closes(encodeFrame(Kind::PARCEL, 0, kj::StringPtr("early").asBytes())).empty());
  REQUIRE(closes(encodeFrame(Kind::HELLO, 0, kj::StringPtr("no magic").asBytes())).empty());
  auto hello = helloTo(1, 2);
  hello.version = 99;
  REQUIRE(closes(encodeGreeting(Kind::HELLO, hello)).find("version 99") != std::string::npos);
  REQUIRE(closes(encodeGreeting(Kind::HELLO, helloTo(1, 9))).size() > 0);
  REQUIRE(one.inbox.news.empty());
}

TEST_CASE("a linked peer that breaks the rules loses its link, and the reason is told") {
  TestLoop test;
  TestNode real(test.port, test.scope, 2);
  kj::Array<kj::byte> bad[] = {
      encodeFrame(Kind::PARCEL, 17, kj::StringPtr("no such lane").asBytes()),
      encodeFrame(Kind::BULK_DATA, 1, kj::StringPtr("never opened").asBytes()),
      encodeFrame(Kind::BULK_OPEN, 5, kj::StringPtr("out of order").asBytes()),
      encodeFrame(Kind::BULK_CREDIT, 1, kj::StringPtr("1234").asBytes()),
      encodeFrame(static_cast<Kind>(99), 0, nullptr),
      encodeFrame(Kind::HELLO, 0, nullptr),
  };
  TestNode one(test.port, test.scope, 1);
  one.peers(test.scope, {{1, one.address}, {2, "127.0.0.1:1"}});
  std::size_t round = 0;
  for (auto& frame : bad) {
    Stranger peer(test, one.address);
    auto hello = helloTo(1, 2);
    hello.lanes = one.transport->lanesChecksum();
    peer.say(encodeGreeting(Kind::HELLO, hello));
    peer.say(encodeFrame(Kind::CONFIRM, 0, nullptr));
    round++;
    REQUIRE(test.until([&]() { return one.inbox.count(Happened::UP) == round; }));
    peer.say(frame);
    REQUIRE(test.until([&]() { return one.inbox.count(Happened::DOWN) == round; }));
    REQUIRE(one.inbox.news.back().text.size() > 10);
  }
}

TEST_CASE("a bulk stream that sends more than its credit loses the link") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1);
  one.inbox.sinksHold = true;
  one.peers(test.scope, {{1, one.address}, {2, "127.0.0.1:1"}});
  Stranger peer(test, one.address);
  auto hello = helloTo(1, 2);
  hello.lanes = one.transport->lanesChecksum();
  peer.say(encodeGreeting(Kind::HELLO, hello));
  peer.say(encodeFrame(Kind::CONFIRM, 0, nullptr));
  peer.say(encodeFrame(Kind::BULK_OPEN, 1, nullptr));
  auto chunk = kj::heapArray<kj::byte>(BULK_CHUNK_MAX);
  memset(chunk.begin(), 0, chunk.size());
  for (unsigned i = 0; i <= BULK_WINDOW / BULK_CHUNK_MAX; i++) {
    peer.say(encodeFrame(Kind::BULK_DATA, 1, chunk));
  }
  REQUIRE(test.until([&]() { return one.inbox.count(Happened::DOWN) == 1; }));
  REQUIRE(one.inbox.news.back().text.find("credit") != std::string::npos);
}

}  // namespace polyquorum::tcp
