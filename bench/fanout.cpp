// SPDX-License-Identifier: Apache-2.0
// How long one change takes to reach everybody who watches it.
#include "bench/tests.h"

namespace polyquorum::bench {
namespace {

/// Connection 0 writes, all others watch.
class FanoutPlayer final : public Player {
 public:
  FanoutPlayer(Engine& engine, std::string path)
      : engine(engine), body(zk::watchBody(path, true)) {}

  void arm(Connection& connection) { engine.request(connection, zk::Op::GET_DATA, 0, body); }

  void ready(Connection&) override {}
  void reply(Connection& connection, const Pending& pending, const zk::ReplyHeader& header,
             std::string_view) override {
    if (connection.index == 0) {
      written = true;
      writes.add(engine.now() - pending.startNs);
    } else {
      armed++;
    }
    if (header.error != zk::Error::OK) errors++;
  }
  void notice(Connection& connection, const zk::Notice&) override {
    notified++;
    notices.add(engine.now() - setNs);
    arm(connection);
  }
  void lost(Connection&, std::size_t) override { broken = true; }

  std::size_t armed = 0, notified = 0, errors = 0;
  bool written = false, broken = false;
  std::uint64_t setNs = 0;
  Histogram notices, writes, lasts;

 private:
  Engine& engine;
  const std::string body;
};

}  // namespace

void runFanout(const BenchOptions& options, Report& report) {
  Engine engine(options.servers, options.sessionMs);
  openAll(engine, 1, 1);
  auto parent = options.root + "/fanout";
  makeNodes(engine, parent, 1, options.valueBytes);
  auto path = nodePath(parent, 0);
  auto begin = nowNs();
  openAll(engine, options.sessions, 4, 120);
  auto openSeconds = double(nowNs() - begin) / 1e9;
  tell(options, "fanout.open sessions=" + std::to_string(options.sessions));

  FanoutPlayer player(engine, path);
  Engine::Playing playing(engine, player);
  for (auto& connection : engine.all()) {
    if (connection->index != 0) player.arm(*connection);
  }
  auto& writer = *engine.all()[0];
  auto set = zk::setDataBody(path, valueOf(options.valueBytes), -1);
  auto wait = [&](const char* problem, auto condition) {
    engine.until(30, problem, [&] { return player.broken || condition(); });
    if (player.broken) throw BenchProblem("a connection broke during the fan-out test");
  };
  for (unsigned round = 0; round < options.rounds; round++) {
    wait("not all watches could be set", [&] { return player.armed >= options.sessions; });
    player.armed = player.notified = 0;
    player.written = false;
    player.setNs = nowNs();
    engine.request(writer, zk::Op::SET_DATA, 0, set);
    wait("not all notices came",
         [&] { return player.written && player.notified >= options.sessions; });
    player.lasts.add(engine.now() - player.setNs);
  }
  report.number("sessions", options.sessions);
  report.number("rounds", options.rounds);
  report.number("connects_per_s", options.sessions / openSeconds);
  report.number("failed", double(player.errors));
  if (player.errors > 0) report.fail();
  report.latency("last_notice", player.lasts);
  report.latency("notice", player.notices);
  report.latency("set", player.writes);
  engine.closeAll();
}

}  // namespace polyquorum::bench
