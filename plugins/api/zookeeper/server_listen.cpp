// SPDX-License-Identifier: Apache-2.0
// The door itself: listening, admitting, and what each second sweeps away.
#include <kj/debug.h>
#include "plugins/api/zookeeper/protocol.h"
#include "plugins/api/zookeeper/server.h"

namespace polyquorum::zookeeper {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Tcp = asio::ip::tcp;

constexpr int ACCEPTS_PER_TURN = 128;

/// "host:port", "[v6]:port" or ":port" (every address).
void splitAddress(kj::StringPtr address, std::string& host, std::string& port) {
  std::string text(address.begin(), address.size());
  auto colon = text.rfind(':');
  KJ_REQUIRE(colon != std::string::npos, "zookeeper: the address is not host:port; write for "
             "example 127.0.0.1:2181", address);
  host = text.substr(0, colon);
  port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
}

Tcp::endpoint resolve(asio::io_context& io, kj::StringPtr address) {
  std::string host, port;
  splitAddress(address, host, port);
  if (host.empty()) host = "::";
  error_code error;
  Tcp::resolver resolver(io);
  auto found = resolver.resolve(host, port, Tcp::resolver::passive, error);
  KJ_REQUIRE(!error && !found.empty(), "zookeeper: the address cannot be resolved; give an address "
             "of this machine", address, error.message().c_str());
  return found.begin()->endpoint();
}

}  // namespace

void Server::listen(kj::StringPtr address) {
  auto endpoint = resolve(io, address);
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor.non_blocking(true, error);
  KJ_REQUIRE(!error, "zookeeper: cannot listen; is another server on this port?", address,
             error.message().c_str());
  listeningPort = acceptor.local_endpoint().port();
  auto host = acceptor.local_endpoint().address().to_string();
  environment.log(sdk::Level::INFO, kj::str("zookeeper.listening at=", host.c_str(), ":",
                                            listeningPort));
}

void Server::accept() {
  acceptor.async_wait(Acceptor::wait_read, [ear = kj::addRef(*ear)](error_code error) mutable {
    if (ear->server == nullptr || ear->server->stopping || error) return;
    ear->server->acceptAll();
  });
}

void Server::acceptAll() {
  for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
    Socket socket(io);
    error_code error;
    acceptor.accept(socket, error);
    if (error == asio::error::would_block) break;
    if (error == asio::error::connection_aborted) continue;
    if (error) {
      // Out of file descriptors, most likely: the queue stays, try again soon.
      environment.log(sdk::Level::ERROR, kj::str("zookeeper.accept_failed ",
          error.message().c_str(), "; raise the limit of open files"));
      tasks.add(environment.timer().afterDelay(100 * kj::MILLISECONDS).then([this]() {
        if (!stopping) accept();
      }));
      return;
    }
    admit(std::move(socket));
  }
  accept();
}

/// Counts before the handshake, as ZooKeeper does.
void Server::admit(Socket&& socket) {
  error_code error;
  auto remote = socket.remote_endpoint(error);
  if (error) return;
  auto address = remote.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  auto text = address.to_string();
  auto& peer = peers[text];
  if (peer.address.empty()) {
    peer.address = text;
    peer.loopback = address.is_loopback();
  }
  if (connections.size() >= settings.connectionsMax ||
      peer.connections >= settings.connectionsPerAddressMax) {
    refusals.tooMany++;
    if (nowNs() - refusalLoggedNs > 1'000'000'000) {
      refusalLoggedNs = nowNs();
      environment.log(sdk::Level::WARNING, kj::str("zookeeper.too_many_connections from=",
          text.c_str(), " open=", peer.connections, "; see maxClientCnxns and maxCnxns"));
    }
    return;
  }
  socket.non_blocking(true, error);
  socket.set_option(Tcp::no_delay(true), error);
  peer.connections++;
  auto connection = kj::refcounted<Connection>(*this, std::move(socket), peer, remote.port());
  connection->place = static_cast<std::uint32_t>(connections.size());
  if (freeSlots.empty()) {
    connection->slot = static_cast<std::uint32_t>(slots.size());
    slots.push_back(nullptr);
  } else {
    connection->slot = freeSlots.back();
    freeSlots.pop_back();
  }
  slots[connection->slot] = connection.get();
  connections.push_back(kj::mv(connection));
  connections.back()->start();
}

/// Ends what stayed too long before the handshake or after the last byte, and forgets addresses.
void Server::sweep() {
  auto limitNs = nowNs() - std::int64_t{HANDSHAKE_SECONDS_MAX} * 1'000'000'000;
  for (std::size_t i = connections.size(); i > 0; i--) {
    auto& connection = *connections[i - 1];
    bool limited = connection.state == Connection::State::FRESH ||
                   connection.state == Connection::State::WORD ||
                   connection.state == Connection::State::DRAINING;
    if (!limited || connection.sinceNs > limitNs) continue;
    refusals.handshake++;
    connection.close();
  }
  for (auto peer = peers.begin(); peer != peers.end();) {
    peer = peer->second.connections == 0 ? peers.erase(peer) : std::next(peer);
  }
}

kj::Promise<void> Server::watchClock() {
  return environment.timer().afterDelay(1 * kj::SECONDS).then([this]() -> kj::Promise<void> {
    if (stopping) return kj::READY_NOW;
    sweep();
    return watchClock();
  });
}

}  // namespace polyquorum::zookeeper
