// SPDX-License-Identifier: Apache-2.0
// See client.h.
#include "clients/zookeeper/client.h"
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include "clients/zookeeper/client_inner.h"
#include "clients/zookeeper/endpoint.h"

namespace polyquorum::zookeeper_client {
namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;

namespace {

constexpr std::int32_t FRAME_BYTES_MAX = 64 << 20;
constexpr std::size_t READ_BYTES = 64 << 10;
constexpr unsigned RETRY_MS_MIN = 20, RETRY_MS_MAX = 1000;
constexpr std::size_t UNDER_WAY_MAX = 1024;

std::vector<std::string> listOf(const std::set<std::string>& paths) {
  return {paths.begin(), paths.end()};
}

}  // namespace

Client::Inner::Inner(asio::io_context& io, ClientSettings given)
    : io(io),
      settings(std::move(given)),
      socket(io),
      resolver(io),
      tick(io),
      retry(io),
      timeoutMs(settings.timeoutMs),
      chunk(READ_BYTES) {}

void Client::Inner::start() {
  connect();
  onTick();
}

void Client::Inner::stop() {
  stopped = true;
  connection++;
  boost::system::error_code ignored;
  socket.close(ignored);
  resolver.cancel();
  tick.cancel();
  retry.cancel();
  waiting.clear();
  underWay.clear();
  onState = nullptr;
  onNotice = nullptr;
}

void Client::Inner::setState(SessionState next) {
  if (state == next) return;
  state = next;
  if (onState) onState(next);
}

void Client::Inner::connect() {
  if (stopped || state == SessionState::EXPIRED || state == SessionState::CLOSED) return;
  auto now = ++connection;
  heard = spoke = Clock::now();
  auto where = splitEndpoint(settings.endpoints[endpoint++ % settings.endpoints.size()]);
  if (!where) return broken();
  auto self = shared_from_this();
  resolver.async_resolve(where->host, where->port, [self, now](auto error, auto found) {
    if (now != self->connection) return;
    if (error) return self->broken();
    asio::async_connect(self->socket, found, [self, now](auto failed, auto) {
      if (now != self->connection) return;
      if (failed) return self->broken();
      self->greet();
    });
  });
}

void Client::Inner::greet() {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  greeted = false;
  in.clear();
  out.clear();
  encodeConnect(out, lastZxid, settings.timeoutMs, sessionId, password);
  flush();
  read();
}

void Client::Inner::broken() {
  connection++;
  writing = greeted = false;
  boost::system::error_code ignored;
  socket.close(ignored);
  if (stopped || state == SessionState::EXPIRED || state == SessionState::CLOSED) return;
  auto self = shared_from_this();
  failAll(underWay, Error::CONNECTION_LOSS);
  if (stopped) return;
  if (onClosed) {
    setState(SessionState::CLOSED);
    return std::exchange(onClosed, nullptr)();
  }
  setState(SessionState::CONNECTING);
  // All endpoints once without a pause, then with a growing one.
  auto rounds = attempts++ / settings.endpoints.size();
  auto pauseMs = rounds == 0
                     ? 1u
                     : std::min(RETRY_MS_MAX, RETRY_MS_MIN << std::min<std::size_t>(rounds - 1, 6));
  retry.expires_after(milliseconds(pauseMs));
  retry.async_wait([self, now = connection](auto error) {
    if (!error && now == self->connection) self->connect();
  });
}

void Client::Inner::expire() {
  setState(SessionState::EXPIRED);
  connection++;
  boost::system::error_code ignored;
  socket.close(ignored);
  failAll(underWay, Error::SESSION_EXPIRED);
  failAll(waiting, Error::SESSION_EXPIRED);
  if (onClosed) std::exchange(onClosed, nullptr)();
}

void Client::Inner::failAll(std::deque<Pending>& requests, Error error) {
  auto failed = std::move(requests);
  requests.clear();
  for (auto& request : failed) {
    if (request.handler) request.handler({error, 0, {}});
  }
}

void Client::Inner::read() {
  auto self = shared_from_this();
  socket.async_read_some(asio::buffer(chunk), [self, now = connection](auto error, auto size) {
    if (now != self->connection) return;
    if (error) return self->broken();
    self->heard = Clock::now();
    self->in.append(self->chunk.data(), size);
    bool sound = self->readFrames();
    if (now != self->connection) return;
    if (!sound) return self->broken();
    self->sendWaiting();
    self->read();
  });
}

bool Client::Inner::readFrames() {
  auto now = connection;
  std::size_t done = 0;
  while (in.size() - done >= 4) {
    Reader reader(std::string_view(in).substr(done, 4));
    auto size = reader.int32();
    if (size < 0 || size > FRAME_BYTES_MAX) return false;
    if (in.size() - done - 4 < static_cast<std::size_t>(size)) break;
    std::string_view bytes(in.data() + done + 4, static_cast<std::size_t>(size));
    done += 4 + bytes.size();
    bool sound = true;
    if (greeted)
      sound = frame(bytes);
    else
      welcomed(bytes);
    if (now != connection) return true;
    if (!sound) return false;
  }
  in.erase(0, done);
  return true;
}

void Client::Inner::welcomed(std::string_view bytes) {
  Reader reader(bytes);
  auto connected = readConnected(reader);
  if (reader.bad()) return broken();
  if (connected.timeoutMs <= 0) return expire();
  greeted = true;
  attempts = 0;
  timeoutMs = connected.timeoutMs;
  sessionId = connected.sessionId;
  password = connected.password;
  restoreWatches();
  setState(SessionState::CONNECTED);
  sendWaiting();
}

bool Client::Inner::frame(std::string_view bytes) {
  Reader reader(bytes);
  auto header = readHeader(reader);
  if (reader.bad()) return false;
  if (header.zxid > 0) lastZxid = std::max(lastZxid, header.zxid);
  if (header.xid == XID_NOTICE) {
    auto notice = readNotice(reader);
    notice.zxid = header.zxid;
    fired(notice);
    return !reader.bad();
  }
  if (header.xid == XID_PING || header.xid == XID_SET_WATCHES) return true;
  if (underWay.empty() || underWay.front().xid != header.xid) return false;
  auto request = std::move(underWay.front());
  underWay.pop_front();
  if (request.handler) request.handler({header.error, header.zxid, reader.left()});
  if (request.op != Op::CLOSE_SESSION || stopped) return true;
  setState(SessionState::CLOSED);
  connection++;
  boost::system::error_code ignored;
  socket.close(ignored);
  failAll(underWay, Error::CLOSING);
  failAll(waiting, Error::CLOSING);
  if (onClosed) std::exchange(onClosed, nullptr)();
  return true;
}

void Client::Inner::enqueue(Op op, std::string body, Handler handler) {
  if (state == SessionState::EXPIRED || state == SessionState::CLOSED) {
    auto error = state == SessionState::EXPIRED ? Error::SESSION_EXPIRED : Error::CLOSING;
    asio::post(io, [handler = std::move(handler), error] {
      if (handler) handler({error, 0, {}});
    });
    return;
  }
  auto xid = op == Op::AUTH ? XID_AUTH : nextXid++;
  if (nextXid == INT32_MAX) nextXid = 1;
  waiting.push_back({xid, op, std::move(body), std::move(handler)});
  sendWaiting();
}

void Client::Inner::sendWaiting() {
  if (!greeted) return;
  while (!waiting.empty() && underWay.size() < UNDER_WAY_MAX) {
    auto& request = waiting.front();
    encodeRequest(out, request.xid, request.op, request.body);
    request.body.clear();
    underWay.push_back(std::move(request));
    waiting.pop_front();
  }
  flush();
}

void Client::Inner::flush() {
  if (writing || out.empty()) return;
  writing = true;
  std::swap(out, outNow);
  out.clear();
  spoke = Clock::now();
  auto self = shared_from_this();
  asio::async_write(socket, asio::buffer(outNow), [self, now = connection](auto error, auto) {
    if (now != self->connection) return;
    self->writing = false;
    if (error) return self->broken();
    self->flush();
  });
}

void Client::Inner::onTick() {
  if (stopped) return;
  auto now = Clock::now();
  bool over = state == SessionState::EXPIRED || state == SessionState::CLOSED;
  if (!over && now - heard > milliseconds(timeoutMs * 2 / 3)) {
    broken();
  } else if (greeted && now - spoke > milliseconds(timeoutMs / 3)) {
    encodeRequest(out, XID_PING, Op::PING, {});
    flush();
  }
  if (stopped) return;
  tick.expires_after(milliseconds(std::max(10, timeoutMs / 6)));
  tick.async_wait([self = shared_from_this()](auto error) {
    if (!error) self->onTick();
  });
}

void Client::Inner::remember(Op op, const std::string& path, bool recursive, Error error) {
  bool there = error == Error::OK;
  if (op == Op::GET_DATA && there) dataWatches.insert(path);
  if (op == Op::EXISTS && there) dataWatches.insert(path);
  if (op == Op::EXISTS && error == Error::NO_NODE) existWatches.insert(path);
  if (op == Op::GET_CHILDREN2 && there) childWatches.insert(path);
  if (op == Op::ADD_WATCH && there) (recursive ? recursives : persistent).insert(path);
}

void Client::Inner::fired(const Notice& notice) {
  // One-shot watches are gone once they have fired.
  if (notice.change != Change::CHILDREN_CHANGED) {
    dataWatches.erase(notice.path);
    existWatches.erase(notice.path);
  }
  if (notice.change == Change::CHILDREN_CHANGED || notice.change == Change::DELETED) {
    childWatches.erase(notice.path);
  }
  if (onNotice) onNotice(notice);
}

void Client::Inner::restoreWatches() {
  WatchList list{listOf(dataWatches), listOf(existWatches), listOf(childWatches),
                 listOf(persistent), listOf(recursives)};
  if (list.empty()) return;
  auto op = persistent.empty() && recursives.empty() ? Op::SET_WATCHES : Op::SET_WATCHES2;
  encodeRequest(out, XID_SET_WATCHES, op, setWatchesBody(lastZxid, list));
}

Client::Client(asio::io_context& io, ClientSettings settings)
    : inner(std::make_shared<Inner>(io, std::move(settings))) {}
Client::~Client() { inner->stop(); }

void Client::onState(std::function<void(SessionState)> handler) {
  inner->onState = std::move(handler);
}
void Client::onNotice(std::function<void(const Notice&)> handler) {
  inner->onNotice = std::move(handler);
}
void Client::start() { inner->start(); }

void Client::send(Op op, std::string body, Handler handler) {
  inner->enqueue(op, std::move(body), std::move(handler));
}

void Client::watch(Op op, const std::string& path, bool recursive, Handler handler) {
  auto body = op == Op::ADD_WATCH ? addWatchBody(path, recursive) : watchBody(path, true);
  auto* owner = inner.get();  // handlers are called by it only
  send(op, std::move(body), [owner, op, path, recursive, handler](const Reply& reply) {
    owner->remember(op, path, recursive, reply.error);
    if (handler) handler(reply);
  });
}

void Client::close(std::function<void()> done) {
  bool over = inner->state == SessionState::EXPIRED || inner->state == SessionState::CLOSED;
  if (over) return asio::post(inner->io, std::move(done));
  inner->onClosed = std::move(done);
  send(Op::CLOSE_SESSION, {}, nullptr);
}

SessionState Client::state() const { return inner->state; }
std::int64_t Client::sessionId() const { return inner->sessionId; }
std::int64_t Client::lastZxid() const { return inner->lastZxid; }

}  // namespace polyquorum::zookeeper_client
