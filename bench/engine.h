// SPDX-License-Identifier: Apache-2.0
// Many connections on one thread with as little work per request as possible: one recv and one send
// per wake-up, replies matched by order, no allocation once buffers have grown. What is asked and
// measured is a Player's business.
#pragma once
#include <sys/socket.h>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include "clients/zookeeper/codec.h"

namespace polyquorum::bench {

namespace zk = zookeeper_client;

/// Nanoseconds of the monotonic clock.
std::uint64_t nowNs();

struct Pending {
  std::uint64_t startNs = 0;
  std::uint32_t tag = 0;
};

/// Requests under way, oldest first.
class Ring {
 public:
  explicit Ring(std::size_t capacity);
  bool full() const { return count == slots.size(); }
  std::size_t size() const { return count; }
  void clear() { count = 0; }
  const Pending& front() const { return slots[head]; }
  void push(Pending pending) { slots[(head + count++) & (slots.size() - 1)] = pending; }
  Pending pop() {
    auto pending = slots[head];
    head = (head + 1) & (slots.size() - 1);
    count--;
    return pending;
  }

 private:
  std::vector<Pending> slots;
  std::size_t head = 0, count = 0;
};

struct Connection {
  enum class State { CLOSED, CONNECTING, GREETING, READY };

  Connection(unsigned index, std::size_t capacity) : index(index), underWay(capacity) {}

  const unsigned index;
  int fd = -1;
  std::size_t server = 0;
  State state = State::CLOSED;
  bool dirty = false, wantsWritable = false;
  Ring underWay;
  std::int32_t xid = 0, oldestXid = 0;
  std::string out, in;
  std::size_t sent = 0;
  std::uint64_t spokeNs = 0, reopenNs = 0;
  std::int64_t sessionId = 0, lastZxid = 0;
  std::string password;
};

class Player {
 public:
  virtual ~Player() = default;
  /// The session is open (again).
  virtual void ready(Connection& connection) = 0;
  virtual void reply(Connection& connection, const Pending& pending, const zk::ReplyHeader& header,
                     std::string_view body) = 0;
  virtual void notice(Connection&, const zk::Notice&) {}
  /// The connection is gone; its requests have an unknown outcome. Afterwards it is opened again,
  /// on the next server, with the same session.
  virtual void lost(Connection& connection, std::size_t underWay) = 0;
};

class Engine {
 public:
  /// While it lives, everything that happens is told to this player. Turns need one.
  class Playing {
   public:
    Playing(Engine& engine, Player& player) : engine(engine), before(engine.player) {
      engine.player = &player;
    }
    ~Playing() { engine.player = before; }
    Playing(const Playing&) = delete;
    Playing& operator=(const Playing&) = delete;

   private:
    Engine& engine;
    Player* before;
  };

  /// servers: "host:port,...". Resolves them; throws BenchProblem.
  Engine(const std::string& servers, std::int32_t sessionMs);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// A connection whose oldest request is older is dropped. 0: never.
  void setRequestTimeout(std::uint64_t nanos) { requestTimeoutNs = nanos; }

  Connection& open(std::size_t server, std::size_t depthMax);
  std::vector<std::unique_ptr<Connection>>& all() { return connections; }
  std::size_t readyCount() const { return ready; }

  /// Time at the last wake-up.
  std::uint64_t now() const { return wokenNs; }

  /// Begins a request; write its body, then finish(place). The ring must have room.
  zk::Writer begin(Connection& connection, zk::Op op, std::uint32_t tag, std::uint64_t startNs,
                   std::size_t& place);
  void finish(Connection& connection, std::size_t place);
  void request(Connection& connection, zk::Op op, std::uint32_t tag, std::string_view body);

  /// Sends what was begun, waits until something happens or untilNs, and handles it.
  void turn(std::uint64_t untilNs);

  /// Turns until condition holds; throws BenchProblem(problem) after seconds.
  template <typename Condition>
  void until(double seconds, const char* problem, Condition condition) {
    auto end = nowNs() + static_cast<std::uint64_t>(seconds * 1e9);
    while (!condition()) {
      turn(end);
      if (now() >= end && !condition()) give(problem);
    }
  }

  /// Ends all sessions, waiting up to a few seconds for the servers.
  void closeAll();

 private:
  struct Target {
    sockaddr_storage address;
    socklen_t size;
  };
  std::vector<Target> targets;
  std::int32_t sessionMs;
  std::uint64_t requestTimeoutNs = 0, wokenNs = 0, sweepNs = 0;
  int epoll = -1;
  Player* player = nullptr;
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<Connection*> dirty, closed;
  std::size_t ready = 0;
  std::vector<char> buffer;

  void connect(Connection& connection);
  void drop(Connection& connection, bool nextServer = true);
  void touch(Connection& connection);
  void flush(Connection& connection);
  void receive(Connection& connection);
  std::size_t parse(Connection& connection, std::string_view bytes);
  bool greet(Connection& connection, std::string_view frame);
  bool handle(Connection& connection, std::string_view frame);
  void watchFor(Connection& connection, bool writable);
  void sweep();
  [[noreturn]] static void give(const char* problem);
};

}  // namespace polyquorum::bench
