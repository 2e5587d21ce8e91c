// SPDX-License-Identifier: Apache-2.0
// The socket's side of a connection: bytes in and out, buffers, closing. What frames mean is in
// connection_frames.cpp.
#include "plugins/api/zookeeper/connection.h"
#include <boost/asio/buffer.hpp>
#include <kj/debug.h>
#include "plugins/api/zookeeper/protocol.h"
#include "plugins/api/zookeeper/server.h"

namespace polyquorum::zookeeper {

using boost::system::error_code;

/// A fault in one connection's code closes that connection only.
template <typename Work>
void Connection::guarded(Work&& work) {
  KJ_IF_MAYBE(fault, kj::runCatchingExceptions([&]() { work(); })) failed(*fault);
}

void Connection::failed(const kj::Exception& fault) {
  if (server == nullptr) return;
  server->environment.log(sdk::Level::ERROR, kj::str("zookeeper.connection_failed at=",
      fault.getFile(), ":", fault.getLine(), " ", fault.getDescription()));
  close();
}

Connection::Connection(Server& server, Socket&& socket, Peer& peer, std::uint16_t remotePort)
    : peer(peer), remotePort(remotePort), server(&server), socket(std::move(socket)) {
  sinceNs = server.nowNs();
  openedMs = server.environment.wallTimeMs();
}

void Connection::read() {
  if (reading || server == nullptr) return;
  KJ_ASSERT(filled < inputRoom());
  reading = true;
  auto room = boost::asio::buffer(input() + filled, inputRoom() - filled);
  auto self = kj::addRef(*this);
  socket.async_receive(room, [self = kj::mv(self)](error_code error, std::size_t bytes) mutable {
    self->reading = false;
    if (self->server == nullptr) return;
    self->guarded([&]() { error ? self->close() : self->received(bytes); });
  });
}

void Connection::received(std::size_t bytes) {
  filled += static_cast<std::uint32_t>(bytes);
  parse();
  if (server == nullptr) return;
  fitInput(bytes);
  readOn();
}

/// Chooses the buffer of the next read: small for the idle, large for the busy, larger for a frame
/// that does not fit. It grows with the bytes that came, never with the length that was announced.
void Connection::fitInput(std::size_t lastBytes) {
  if (filled == inputRoom()) {
    moveInput(inputRoom() * 2);
  } else if (large.capacity() == 0) {
    if (lastBytes == INLINE_BYTES) moveInput(BUSY_BYTES);
  } else if (filled == 0 && (lastBytes <= INLINE_BYTES || inputRoom() > 2 * BUSY_BYTES)) {
    server->pool.give(std::move(large));
    large = {};
  }
}

void Connection::moveInput(std::size_t roomMin) {
  auto bigger = server->pool.take();
  bigger.reserve(roomMin);
  memcpy(bigger.data(), input(), filled);
  large.swap(bigger);
  server->pool.give(std::move(bigger));
}

/// Reads if the limits allow, else waits for Server::resumePaused.
void Connection::readOn() {
  switch (state) {
    case State::FRESH: return read();
    case State::OPEN:
      if (mayParse()) return read();
      if (!last && !paused) server->pause(*this);
      return;
    default: return;
  }
}

void Connection::resume() {
  if (!paused || server == nullptr) return;
  paused = false;
  if (!mayParse()) return readOn();
  guarded([&]() {
    parse();
    if (server == nullptr) return;
    fitInput(BUSY_BYTES);
    readOn();
  });
}

/// Where to write what is to be sent.
Bytes& Connection::outgoing() {
  if (out.capacity() == 0) out = server->pool.take();
  return out;
}

void Connection::markDirty() {
  if (!dirty && server != nullptr) server->dirty(*this);
}

void Connection::flush() {
  dirty = false;
  if (writing || server == nullptr) return;
  if (unsent() > 0) {
    error_code error;
    auto bytes = socket.write_some(boost::asio::buffer(out.data() + sent, unsent()), error);
    if (error && error != boost::asio::error::would_block) return close();
    if (!error) sent += static_cast<std::uint32_t>(bytes);
  }
  if (unsent() > 0) return waitWritable();
  server->pool.give(std::move(out));
  out = {};
  sent = 0;
  if (state == State::DRAINING) drain();
}

void Connection::waitWritable() {
  if (sent > out.size() / 2) {
    memmove(out.data(), out.data() + sent, unsent());
    out.truncate(unsent());
    sent = 0;
  }
  writing = true;
  socket.async_wait(Socket::wait_write, [self = kj::addRef(*this)](error_code error) mutable {
    self->writing = false;
    if (self->server == nullptr) return;
    self->guarded([&]() {
      if (error) return self->close();
      self->flush();
      self->resume();
    });
  });
}

/// Everything is sent: ends the stream so that the client gets the last bytes, then closes. What it
/// still sends is read away once, else the kernel would answer it with a reset.
void Connection::drain() {
  error_code ignored;
  socket.shutdown(Socket::shutdown_send, ignored);
  if (!reading) {
    std::uint8_t rest[4096];
    error_code error;
    while (!error) socket.read_some(boost::asio::buffer(rest), error);
  }
  close();
}

void Connection::finish(std::string_view text) {
  if (server == nullptr) return;
  outgoing().append(text.data(), text.size());
  state = State::DRAINING;
  sinceNs = server->nowNs();
  markDirty();
}

void Connection::close() {
  if (server == nullptr) return;
  auto& left = *server;
  server = nullptr;
  state = State::CLOSED;
  for (auto count = pending.size(); count > 0; count--) left.answered();
  pending.release();
  error_code ignored;
  socket.close(ignored);
  left.pool.give(std::move(out));
  out = {};
  if (!parsing && !reading) {
    left.pool.give(std::move(large));
    large = {};
  }
  left.closed(*this);
  if (owner) left.leave(session);
}

Asker Connection::asker() const {
  return {session, {peer.address, &proofs, server->settings.rules.skipAcl},
          &server->settings.rules};
}

}  // namespace polyquorum::zookeeper
