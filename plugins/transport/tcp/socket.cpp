// SPDX-License-Identifier: Apache-2.0
// See socket.h.
#include "socket.h"
#include <kj/debug.h>
#include <netinet/tcp.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include "sdk/async.h"

namespace polyquorum::tcp {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;

/// A completion handler that settles a promise and touches nothing else, so that whoever waits may
/// be gone when it runs.
template <typename T>
struct Settle {
  kj::Own<kj::PromiseFulfiller<T>> fulfiller;

  void fail(const Error& error) {
    fulfiller->reject(KJ_EXCEPTION(DISCONNECTED, kj::str(error.message())));
  }
};

kj::String text(const tcp::endpoint& endpoint) {
  auto address = endpoint.address();
  return address.is_v6() ? kj::str("[", address.to_string(), "]:", endpoint.port())
                         : kj::str(address.to_string(), ":", endpoint.port());
}

void setOption(int fd, int level, int name, int value) {
  // A kernel that lacks one of these still moves bytes.
  (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void configure(tcp::socket& socket, const SocketSettings& settings) {
  socket.non_blocking(true);
  int fd = socket.native_handle();
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, 2);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(settings.silenceMaxMs));
  // What is not under way yet should wait in our lanes, where a ping can overtake a bulk stream.
  setOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 256 << 10);
}

class AsioSocket final : public Socket {
 public:
  AsioSocket(tcp::socket connected, const SocketSettings& settings) : socket(kj::mv(connected)) {
    configure(socket, settings);
    Error error;
    auto endpoint = socket.remote_endpoint(error);
    name = error ? kj::str("unknown") : text(endpoint);
  }

  kj::Promise<void> readable() override { return wait(tcp::socket::wait_read); }
  kj::Promise<void> writable() override { return wait(tcp::socket::wait_write); }

  std::size_t read(kj::ArrayPtr<kj::byte> into) override {
    Error error;
    auto size = socket.read_some(asio::buffer(into.begin(), into.size()), error);
    return check(size, error);
  }

  std::size_t write(const std::vector<kj::ArrayPtr<const kj::byte>>& pieces) override {
    buffers.clear();
    for (auto& piece : pieces) buffers.emplace_back(piece.begin(), piece.size());
    Error error;
    auto size = socket.write_some(buffers, error);
    return check(size, error);
  }

  kj::StringPtr peer() const override { return name; }

 private:
  tcp::socket socket;
  kj::String name;
  std::vector<asio::const_buffer> buffers;

  kj::Promise<void> wait(tcp::socket::wait_type type) {
    auto pair = kj::newPromiseAndFulfiller<void>();
    socket.async_wait(type, [settle = Settle<void>{kj::mv(pair.fulfiller)}](Error error) mutable {
      if (error)
        settle.fail(error);
      else
        settle.fulfiller->fulfill();
    });
    return kj::mv(pair.promise);
  }

  static std::size_t check(std::size_t size, const Error& error) {
    if (!error) return size;
    if (error == asio::error::would_block || error == asio::error::try_again ||
        error == asio::error::interrupted) {
      return 0;
    }
    if (error == asio::error::eof) {
      kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "closed by the peer"));
    }
    kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, kj::str(error.message())));
  }
};

class AsioListener final : public Listener {
 public:
  AsioListener(tcp::acceptor acceptor, const SocketSettings& settings)
      : acceptor(kj::mv(acceptor)), settings(settings) {}

  kj::Promise<kj::Own<Socket>> accept() override {
    auto pair = kj::newPromiseAndFulfiller<kj::Own<Socket>>();
    acceptor.async_accept([settle = Settle<kj::Own<Socket>>{kj::mv(pair.fulfiller)},
                           settings = settings](Error error, tcp::socket socket) mutable {
      if (error) return settle.fail(error);
      settle.fulfiller->rejectIfThrows(
          [&]() { settle.fulfiller->fulfill(kj::heap<AsioSocket>(kj::mv(socket), settings)); });
    });
    return kj::mv(pair.promise);
  }

  std::uint16_t port() const override { return acceptor.local_endpoint().port(); }

 private:
  tcp::acceptor acceptor;
  SocketSettings settings;
};

struct HostPort {
  std::string host, port;
};

HostPort split(kj::StringPtr at) {
  std::string whole(at.begin(), at.size());
  auto colon = whole.rfind(':');
  KJ_REQUIRE(colon != std::string::npos && colon + 1 < whole.size(),
             "an address must be written host:port", at);
  auto host = whole.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return {host, whole.substr(colon + 1)};
}

using Endpoints = std::vector<tcp::endpoint>;

/// Literal addresses at once; names on Asio's helper thread.
kj::Promise<Endpoints> lookUp(tcp::resolver& resolver, HostPort where) {
  Error error;
  auto address = asio::ip::make_address(where.host, error);
  std::uint16_t port = 0;
  auto end = where.port.data() + where.port.size();
  auto parsed = std::from_chars(where.port.data(), end, port);
  if (!error && parsed.ec == std::errc() && parsed.ptr == end) {
    return Endpoints{tcp::endpoint(address, port)};
  }
  auto pair = kj::newPromiseAndFulfiller<Endpoints>();
  resolver.async_resolve(where.host, where.port,
                         [settle = Settle<Endpoints>{kj::mv(pair.fulfiller)}](
                             Error error, tcp::resolver::results_type found) mutable {
                           if (error) return settle.fail(error);
                           Endpoints endpoints;
                           for (auto& entry : found) endpoints.push_back(entry.endpoint());
                           settle.fulfiller->fulfill(kj::mv(endpoints));
                         });
  return kj::mv(pair.promise);
}

kj::Promise<void> connect(tcp::socket& socket, tcp::endpoint to) {
  auto pair = kj::newPromiseAndFulfiller<void>();
  socket.async_connect(to, [settle = Settle<void>{kj::mv(pair.fulfiller)}](Error error) mutable {
    if (error)
      settle.fail(error);
    else
      settle.fulfiller->fulfill();
  });
  return kj::mv(pair.promise);
}

sdk::Async<kj::Own<Socket>> dialAll(asio::io_context& io, HostPort where, SocketSettings settings) {
  tcp::resolver resolver(io);
  auto endpoints = co_await lookUp(resolver, where);
  kj::String problem = kj::str("the name has no address");
  for (auto& endpoint : endpoints) {
    tcp::socket socket(io);
    bool connected = false;
    try {
      co_await connect(socket, endpoint);
      connected = true;
    } catch (const kj::Exception& exception) {
      problem = kj::str(exception.getDescription());
    }
    if (connected) {
      kj::Own<Socket> result = kj::heap<AsioSocket>(kj::mv(socket), settings);
      co_return kj::mv(result);
    }
  }
  kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, kj::str(problem)));
}

}  // namespace

kj::Own<Listener> listen(asio::io_context& io, kj::StringPtr at, const SocketSettings& settings) {
  auto where = split(at);
  Error error;
  tcp::resolver resolver(io);
  auto found = resolver.resolve(where.host, where.port, tcp::resolver::passive, error);
  KJ_REQUIRE(!error && !found.empty(), "the address to listen on cannot be resolved", at,
             error.message());
  auto endpoint = found.begin()->endpoint();
  tcp::acceptor acceptor(io);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(128, error);
  if (error) {
    kj::throwFatalException(KJ_EXCEPTION(
        FAILED, kj::str("cannot listen on ", at, ": ", error.message(),
                        "; stop what uses it, or change this server's peer address in the YAML")));
  }
  return kj::heap<AsioListener>(kj::mv(acceptor), settings);
}

kj::Promise<kj::Own<Socket>> dial(asio::io_context& io, kj::StringPtr at,
                                  const SocketSettings& settings) {
  return dialAll(io, split(at), settings);
}

}  // namespace polyquorum::tcp
