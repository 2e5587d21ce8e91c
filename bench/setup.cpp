// SPDX-License-Identifier: Apache-2.0
// Opening connections and making the nodes that a test works on; and the test that only does that.
#include <algorithm>
#include <cstdio>
#include "bench/tests.h"

namespace polyquorum::bench {
namespace {

constexpr std::size_t SETUP_DEPTH = 64;
constexpr std::size_t NODES_PER_PARENT = 1000;

/// Counts what became ready; nothing else is expected yet.
struct Opening final : Player {
  void ready(Connection&) override {}
  void reply(Connection&, const Pending&, const zk::ReplyHeader&, std::string_view) override {}
  void lost(Connection&, std::size_t) override {}
};

class SendingAll final : public Player {
 public:
  SendingAll(std::size_t count, std::size_t depth,
             const std::function<void(Connection&, std::size_t)>& write,
             const std::function<void(const zk::ReplyHeader&)>& answered)
      : count(count), depth(depth), write(write), answered(answered) {}

  void fill(Connection& connection) {
    while (next < count && connection.underWay.size() < depth && !connection.underWay.full()) {
      write(connection, next++);
    }
  }
  void ready(Connection&) override {}
  void reply(Connection& connection, const Pending&, const zk::ReplyHeader& header,
             std::string_view) override {
    done++;
    answered(header);
    fill(connection);
  }
  void lost(Connection&, std::size_t) override { broken = true; }

  std::size_t done = 0;
  bool broken = false;

 private:
  const std::size_t count, depth;
  const std::function<void(Connection&, std::size_t)>& write;
  const std::function<void(const zk::ReplyHeader&)>& answered;
  std::size_t next = 0;
};

std::string createBody(const std::string& path, const std::string& value) {
  return zk::createBody(path, value, {zk::Acl()}, zk::Mode::PERSISTENT);
}

}  // namespace

std::string nodePath(const std::string& parent, std::size_t i) {
  char name[32];
  std::snprintf(name, sizeof(name), "/k%07zu", i);
  return parent + name;
}

std::string valueOf(unsigned bytes) {
  std::string value(bytes, ' ');
  for (unsigned i = 0; i < bytes; i++) value[i] = static_cast<char>('a' + i % 26);
  return value;
}

void openAll(Engine& engine, unsigned count, std::size_t depth, double seconds) {
  Opening opening;
  Engine::Playing playing(engine, opening);
  auto wanted = engine.all().size() + count;
  for (unsigned i = 0; i < count; i++) engine.open(i, std::max(depth, SETUP_DEPTH));
  engine.until(seconds, "not all connections could be opened; is the server up and serving?",
               [&] { return engine.readyCount() >= wanted; });
}

void sendAll(Engine& engine, std::size_t count, std::size_t depth,
             const std::function<void(Connection&, std::size_t)>& write,
             const std::function<void(const zk::ReplyHeader&)>& answered) {
  SendingAll sending(count, depth, write, answered);
  Engine::Playing playing(engine, sending);
  for (auto& connection : engine.all()) {
    if (connection->state == Connection::State::READY) sending.fill(*connection);
  }
  // As long as answers come there is no hurry.
  while (sending.done < count) {
    auto before = sending.done;
    engine.until(30, "the server stopped answering while nodes were made",
                 [&] { return sending.broken || sending.done > before; });
    if (sending.broken) throw BenchProblem("a connection broke while nodes were made; try again");
  }
}

void makePath(Engine& engine, const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    auto part = path.substr(0, slash);
    zk::Error error = zk::Error::OK;
    sendAll(
        engine, 1, 1,
        [&](Connection& connection, std::size_t) {
          engine.request(connection, zk::Op::CREATE, 0, createBody(part, ""));
        },
        [&](const zk::ReplyHeader& header) { error = header.error; });
    if (error != zk::Error::OK && error != zk::Error::NODE_EXISTS) {
      throw BenchProblem(part + " cannot be created: " + zk::text(error));
    }
    if (slash == std::string::npos) return;
  }
}

void makeNodes(Engine& engine, const std::string& parent, std::size_t count, unsigned valueBytes) {
  makePath(engine, parent);
  auto value = valueOf(valueBytes);
  std::size_t failed = 0;
  sendAll(
      engine, count, SETUP_DEPTH,
      [&](Connection& connection, std::size_t i) {
        engine.request(connection, zk::Op::CREATE, 0, createBody(nodePath(parent, i), value));
      },
      [&](const zk::ReplyHeader& header) {
        if (header.error != zk::Error::OK && header.error != zk::Error::NODE_EXISTS) failed++;
      });
  if (failed > 0) throw BenchProblem(std::to_string(failed) + " nodes could not be created");
}

void runLoad(const BenchOptions& options, Report& report) {
  Engine engine(options.servers, options.sessionMs);
  openAll(engine, options.connections, options.depth);
  auto parents = (options.nodes + NODES_PER_PARENT - 1) / NODES_PER_PARENT;
  auto root = options.root + "/load";
  makeNodes(engine, root, parents, 0);
  auto value = valueOf(options.valueBytes);
  Histogram latencies;
  auto begin = nowNs();
  std::size_t done = 0;
  sendAll(
      engine, options.nodes, options.depth,
      [&](Connection& connection, std::size_t i) {
        char name[32];
        std::snprintf(name, sizeof(name), "/n%03zu", i % NODES_PER_PARENT);
        engine.request(connection, zk::Op::CREATE, 0,
                       createBody(nodePath(root, i / NODES_PER_PARENT) + name, value));
      },
      [&](const zk::ReplyHeader& header) {
        if (header.error != zk::Error::OK && header.error != zk::Error::NODE_EXISTS) {
          report.error(header.error);
        }
        if (++done % 100'000 == 0) tell(options, "load.progress nodes=" + std::to_string(done));
      });
  auto seconds = double(nowNs() - begin) / 1e9;
  report.number("nodes", options.nodes);
  report.number("value_bytes", options.valueBytes);
  report.number("seconds", seconds);
  report.number("ops_per_s", options.nodes / seconds);
  engine.closeAll();
}

}  // namespace polyquorum::bench
