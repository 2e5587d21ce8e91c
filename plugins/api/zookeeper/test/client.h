// SPDX-License-Identifier: Apache-2.0
// For tests: a raw ZooKeeper client over a real socket, byte for byte.
#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include "plugins/api/zookeeper/jute.h"
#include "test/body.h"
#include "test/loop.h"

namespace polyquorum::zookeeper::test {

class Client {
public:
  Client(World& world, std::uint16_t port) : world(world), socket(world.context) {
    socket.connect({boost::asio::ip::address_v4::loopback(), port});
    socket.non_blocking(true);
  }

  void raw(std::string_view bytes) { boost::asio::write(socket, boost::asio::buffer(bytes)); }
  void frame(std::string_view content) {
    raw(Body().int32(static_cast<std::int32_t>(content.size())).string());
    raw(content);
  }
  void request(std::int32_t xid, std::int32_t type, const Body& body = {}) {
    frame(Body().int32(xid).int32(type).string() + body.string());
  }
  void connect(std::int32_t timeoutMs = 10000, std::uint64_t session = 0,
               std::string_view password = std::string_view("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16),
               std::int64_t zxid = 0, bool readOnlyByte = true) {
    Body body;
    body.int32(0).int64(zxid).int32(timeoutMs).int64(static_cast<std::int64_t>(session));
    body.text(password);
    if (readOnlyByte) body.flag(false);
    frame(body.string());
  }

  /// The content of the next frame; throws if the server closes instead.
  std::string receive() {
    world.until([this]() { return whole() || ended(); });
    KJ_REQUIRE(whole(), "the server closed the connection");
    auto size = static_cast<std::size_t>(length());
    auto out = got.substr(4, size);
    got.erase(0, size + 4);
    return out;
  }
  /// All that comes until the server closes.
  std::string rest() {
    world.until([this]() { return pull(), over; });
    return std::exchange(got, {});
  }
  bool ended() { return pull(), over && !whole(); }
  bool silent() {
    world.settle();
    return pull(), got.empty() && !over;
  }
  void close() { socket.close(); }

  World& world;
  boost::asio::ip::tcp::socket socket;

private:
  std::string got;
  bool over = false;

  std::int32_t length() const {
    return Reader(reinterpret_cast<const std::uint8_t*>(got.data()), 4).int32();
  }
  bool whole() {
    pull();
    return got.size() >= 4 && got.size() - 4 >= static_cast<std::size_t>(length());
  }
  void pull() {
    char room[65536];
    boost::system::error_code error;
    while (!over) {
      auto bytes = socket.read_some(boost::asio::buffer(room), error);
      if (error == boost::asio::error::would_block) return;
      if (error) over = true;
      got.append(room, bytes);
    }
  }
};

/// A reply header and what follows.
struct Reply {
  explicit Reply(const std::string& content) : content(content) {
    Reader reader(bytes(), content.size());
    xid = reader.int32();
    zxid = reader.int64();
    error = reader.int32();
  }
  Reader body() const { return {bytes() + 16, content.size() - 16}; }
  std::size_t bodyBytes() const { return content.size() - 16; }

  std::string content;
  std::int32_t xid, error;
  std::int64_t zxid;

private:
  const std::uint8_t* bytes() const {
    return reinterpret_cast<const std::uint8_t*>(content.data());
  }
};

}  // namespace polyquorum::zookeeper::test
