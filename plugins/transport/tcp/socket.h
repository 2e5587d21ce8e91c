// SPDX-License-Identifier: Apache-2.0
// TCP as promises on the loop: the only place of this plugin that knows Asio. No frames here.
#pragma once
#include <kj/async.h>
#include <kj/memory.h>
#include <kj/string.h>
#include <cstdint>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace polyquorum::tcp {

/// A connected, non-blocking stream. Dropping it closes the connection; promises of it may be
/// dropped at any time.
class Socket {
 public:
  virtual ~Socket() noexcept(false) {}

  /// Resolves when there is something to read, an error and the end included.
  virtual kj::Promise<void> readable() = 0;
  virtual kj::Promise<void> writable() = 0;

  /// Bytes read; 0: nothing there now. Throws DISCONNECTED at the end or after a reset.
  virtual std::size_t read(kj::ArrayPtr<kj::byte> into) = 0;
  /// Bytes taken, maybe fewer than given, from at most 64 pieces. Throws DISCONNECTED.
  virtual std::size_t write(const std::vector<kj::ArrayPtr<const kj::byte>>& pieces) = 0;

  /// "address:port" of the other side, for log lines.
  virtual kj::StringPtr peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() noexcept(false) {}
  virtual kj::Promise<kj::Own<Socket>> accept() = 0;
  virtual std::uint16_t port() const = 0;
};

struct SocketSettings {
  /// How long sent bytes may stay unacknowledged, and silence unanswered, before the connection
  /// counts as broken (TCP_USER_TIMEOUT, keep-alive probes).
  unsigned silenceMaxMs = 5000;
};

/// at: "host:port", "[v6]:port". Throws FAILED that names the address and the cure.
kj::Own<Listener> listen(boost::asio::io_context& io, kj::StringPtr at,
                         const SocketSettings& settings);

/// Resolves names each time: addresses change. Tries every address of a name. Rejects with
/// DISCONNECTED.
kj::Promise<kj::Own<Socket>> dial(boost::asio::io_context& io, kj::StringPtr at,
                                  const SocketSettings& settings);

}  // namespace polyquorum::tcp
