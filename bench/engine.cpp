// SPDX-License-Identifier: Apache-2.0
// See engine.h.
#include "bench/engine.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <algorithm>
#include <bit>
#include <cstring>
#include "bench/bench.h"
#include "clients/zookeeper/endpoint.h"

namespace polyquorum::bench {
namespace {

constexpr std::uint64_t SWEEP_NS = 100'000'000, REOPEN_NS = 20'000'000;
constexpr std::size_t READ_BYTES = 1 << 20;
constexpr std::int32_t FRAME_BYTES_MAX = 64 << 20;
constexpr int EVENTS_MAX = 256;

void raiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

std::uint64_t nowNs() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_nsec);
}

Ring::Ring(std::size_t capacity) : slots(std::bit_ceil(std::max<std::size_t>(capacity, 1))) {}

Engine::Engine(const std::string& servers, std::int32_t sessionMs)
    : sessionMs(sessionMs), buffer(READ_BYTES) {
  raiseFileLimit();
  for (auto& server : zk::splitEndpoints(servers)) {
    auto where = zk::splitEndpoint(server);
    if (!where) throw BenchProblem("a server must be written host:port, not " + server);
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    int error = getaddrinfo(where->host.c_str(), where->port.c_str(), &hints, &found);
    if (error != 0) throw BenchProblem(server + " cannot be resolved: " + gai_strerror(error));
    Target target{};
    std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
    target.size = found->ai_addrlen;
    targets.push_back(target);
    freeaddrinfo(found);
  }
  if (targets.empty()) throw BenchProblem("no server was named; use --servers host:port,...");
  epoll = epoll_create1(EPOLL_CLOEXEC);
  wokenNs = nowNs();
}

Engine::~Engine() {
  for (auto& connection : connections) {
    if (connection->fd >= 0) ::close(connection->fd);
  }
  ::close(epoll);
}

void Engine::give(const char* problem) { throw BenchProblem(problem); }

Connection& Engine::open(std::size_t server, std::size_t depthMax) {
  connections.push_back(
      std::make_unique<Connection>(static_cast<unsigned>(connections.size()), depthMax));
  auto& connection = *connections.back();
  connection.server = server;
  connect(connection);
  return connection;
}

void Engine::watchFor(Connection& connection, bool writable) {
  epoll_event event{};
  event.events = EPOLLIN | (writable ? EPOLLOUT : 0u);
  event.data.ptr = &connection;
  epoll_ctl(epoll, EPOLL_CTL_MOD, connection.fd, &event);
  connection.wantsWritable = writable;
}

void Engine::connect(Connection& connection) {
  auto& target = targets[connection.server % targets.size()];
  connection.fd = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) throw BenchProblem(std::string("no more sockets: ") + strerror(errno));
  int yes = 1;
  setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  connection.state = Connection::State::CONNECTING;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT;
  event.data.ptr = &connection;
  epoll_ctl(epoll, EPOLL_CTL_ADD, connection.fd, &event);
  connection.wantsWritable = true;
  connection.spokeNs = nowNs();
  int result = ::connect(connection.fd, reinterpret_cast<sockaddr*>(&target.address), target.size);
  if (result != 0 && errno != EINPROGRESS) drop(connection);
}

void Engine::drop(Connection& connection, bool nextServer) {
  if (connection.fd < 0) return;
  ::close(connection.fd);
  connection.fd = -1;
  if (connection.state == Connection::State::READY) ready--;
  connection.state = Connection::State::CLOSED;
  auto underWay = connection.underWay.size();
  connection.underWay.clear();
  connection.out.clear();
  connection.in.clear();
  connection.sent = 0;
  if (nextServer) connection.server++;
  connection.reopenNs = wokenNs + REOPEN_NS;
  closed.push_back(&connection);
  player->lost(connection, underWay);
}

void Engine::touch(Connection& connection) {
  if (connection.dirty) return;
  connection.dirty = true;
  dirty.push_back(&connection);
}

zk::Writer Engine::begin(Connection& connection, zk::Op op, std::uint32_t tag,
                         std::uint64_t startNs, std::size_t& place) {
  zk::Writer writer(connection.out);
  place = writer.beginFrame();
  writer.int32(connection.xid);
  writer.int32(static_cast<std::int32_t>(op));
  connection.xid = (connection.xid + 1) & 0x3fffffff;
  connection.underWay.push({startNs, tag});
  touch(connection);
  return writer;
}

void Engine::finish(Connection& connection, std::size_t place) {
  zk::Writer(connection.out).endFrame(place);
}

void Engine::request(Connection& connection, zk::Op op, std::uint32_t tag, std::string_view body) {
  std::size_t place;
  begin(connection, op, tag, wokenNs, place);
  connection.out.append(body);
  finish(connection, place);
}

void Engine::flush(Connection& connection) {
  connection.dirty = false;
  if (connection.fd < 0 || connection.state == Connection::State::CONNECTING) return;
  auto size = connection.out.size() - connection.sent;
  if (size == 0) return;
  auto result = send(connection.fd, connection.out.data() + connection.sent, size, MSG_NOSIGNAL);
  if (result < 0 && errno != EAGAIN && errno != EINTR) return drop(connection);
  connection.spokeNs = wokenNs;
  if (result > 0) connection.sent += static_cast<std::size_t>(result);
  bool all = connection.sent == connection.out.size();
  if (all) {
    connection.out.clear();
    connection.sent = 0;
  }
  if (all == connection.wantsWritable) watchFor(connection, !all);
}

void Engine::receive(Connection& connection) {
  auto size = recv(connection.fd, buffer.data(), buffer.size(), 0);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) return drop(connection);
  if (size < 0) return;
  std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
  bool partial = !connection.in.empty();
  if (partial) {
    connection.in.append(bytes);
    bytes = connection.in;
  }
  auto used = parse(connection, bytes);
  if (connection.fd < 0) return;
  if (partial)
    connection.in.erase(0, used);
  else
    connection.in.assign(bytes.substr(used));
}

std::size_t Engine::parse(Connection& connection, std::string_view bytes) {
  std::size_t used = 0;
  while (bytes.size() - used >= 4) {
    auto size = zk::Reader(bytes.substr(used, 4)).int32();
    if (size < 0 || size > FRAME_BYTES_MAX) {
      drop(connection);
      return 0;
    }
    auto whole = 4 + static_cast<std::size_t>(size);
    if (bytes.size() - used < whole) break;
    auto frame = bytes.substr(used + 4, whole - 4);
    used += whole;
    bool sound = connection.state == Connection::State::READY ? handle(connection, frame)
                                                              : greet(connection, frame);
    if (!sound) drop(connection);
    if (connection.fd < 0) return 0;
  }
  return used;
}

bool Engine::greet(Connection& connection, std::string_view frame) {
  zk::Reader reader(frame);
  auto connected = zk::readConnected(reader);
  if (reader.bad()) return false;
  if (connected.timeoutMs <= 0) {
    connection.sessionId = 0;  // expired: the next try begins a new one
    connection.password.clear();
    return false;
  }
  connection.sessionId = connected.sessionId;
  connection.password = connected.password;
  connection.state = Connection::State::READY;
  ready++;
  connection.xid = connection.oldestXid = 1;
  player->ready(connection);
  return true;
}

bool Engine::handle(Connection& connection, std::string_view frame) {
  zk::Reader reader(frame);
  auto header = zk::readHeader(reader);
  if (reader.bad()) return false;
  if (header.xid == zk::XID_PING) return true;
  if (header.zxid > connection.lastZxid) connection.lastZxid = header.zxid;
  if (header.xid == zk::XID_NOTICE) {
    player->notice(connection, zk::readNotice(reader));
    return !reader.bad();
  }
  if (connection.underWay.size() == 0 || header.xid != connection.oldestXid) return false;
  connection.oldestXid = (connection.oldestXid + 1) & 0x3fffffff;
  auto pending = connection.underWay.pop();
  player->reply(connection, pending, header, reader.left());
  return true;
}

void Engine::sweep() {
  sweepNs = wokenNs + SWEEP_NS;
  auto third = static_cast<std::uint64_t>(sessionMs) * 1'000'000u / 3;
  for (auto& owned : connections) {
    auto& connection = *owned;
    if (connection.fd < 0) continue;
    if (connection.state != Connection::State::READY) {
      if (wokenNs - connection.spokeNs > third) drop(connection);
    } else if (requestTimeoutNs > 0 && connection.underWay.size() > 0 &&
               wokenNs > connection.underWay.front().startNs + requestTimeoutNs) {
      drop(connection);
    } else if (wokenNs - connection.spokeNs > third) {
      zk::encodeRequest(connection.out, zk::XID_PING, zk::Op::PING, {});
      touch(connection);
    }
  }
}

void Engine::turn(std::uint64_t untilNs) {
  for (std::size_t i = 0; i < dirty.size(); i++) flush(*dirty[i]);
  dirty.clear();
  auto wait = std::min(untilNs, sweepNs);
  for (auto* connection : closed) wait = std::min(wait, connection->reopenNs);
  auto now = nowNs();
  auto left = wait > now ? wait - now : 0;
  timespec timeout{static_cast<time_t>(left / 1'000'000'000u),
                   static_cast<long>(left % 1'000'000'000u)};
  epoll_event events[EVENTS_MAX];
  int count = epoll_pwait2(epoll, events, EVENTS_MAX, &timeout, nullptr);
  wokenNs = nowNs();
  for (int i = 0; i < count; i++) {
    auto& connection = *static_cast<Connection*>(events[i].data.ptr);
    if (connection.fd < 0) continue;
    if (connection.state == Connection::State::CONNECTING && (events[i].events & EPOLLOUT) &&
        !(events[i].events & (EPOLLERR | EPOLLHUP))) {
      connection.state = Connection::State::GREETING;
      zk::encodeConnect(connection.out, connection.lastZxid, sessionMs, connection.sessionId,
                        connection.password);
      touch(connection);
    }
    if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(connection);
    if (connection.fd >= 0 && (events[i].events & EPOLLOUT)) touch(connection);
  }
  if (wokenNs >= sweepNs) sweep();
  auto lost = std::move(closed);
  closed.clear();
  for (auto* connection : lost) {
    if (wokenNs >= connection->reopenNs)
      connect(*connection);
    else
      closed.push_back(connection);
  }
  for (std::size_t i = 0; i < dirty.size(); i++) flush(*dirty[i]);
  dirty.clear();
}

void Engine::closeAll() {
  struct Quiet final : Player {
    std::size_t open = 0;
    void ready(Connection&) override {}
    void reply(Connection&, const Pending&, const zk::ReplyHeader&, std::string_view) override {}
    void lost(Connection&, std::size_t) override { open--; }
  } quiet;
  Playing playing(*this, quiet);
  closed.clear();
  for (auto& connection : connections) {
    if (connection->state != Connection::State::READY) continue;
    quiet.open++;
    zk::encodeRequest(connection->out, 0, zk::Op::CLOSE_SESSION, {});
    touch(*connection);
  }
  auto end = nowNs() + 5'000'000'000u;
  while (quiet.open > 0 && nowNs() < end) {
    turn(end);
    closed.clear();
  }
}

}  // namespace polyquorum::bench
