// SPDX-License-Identifier: Apache-2.0
// Sessions that are only held open: what they cost is measured outside, on the server.
#include <algorithm>
#include "bench/tests.h"

namespace polyquorum::bench {
namespace {

/// How many handshakes are under way at once: a listener's queue is not endless.
constexpr std::size_t OPENING_MAX = 200;

struct IdlePlayer final : Player {
  void ready(Connection&) override {}
  void reply(Connection&, const Pending&, const zk::ReplyHeader&, std::string_view) override {}
  void lost(Connection& connection, std::size_t) override {
    // One that had no session yet was only turned away; it is tried again.
    if (connection.sessionId != 0) lostCount++;
  }
  std::size_t lostCount = 0;
};

}  // namespace

void runIdle(const BenchOptions& options, Report& report) {
  Engine engine(options.servers, options.sessionMs);
  IdlePlayer player;
  Engine::Playing playing(engine, player);
  auto begin = nowNs();
  auto end = begin + 300'000'000'000u;
  while (engine.readyCount() < options.sessions && nowNs() < end) {
    auto opened = engine.all().size();
    auto room = OPENING_MAX - std::min(OPENING_MAX, opened - engine.readyCount());
    for (std::size_t i = 0; i < room && opened + i < options.sessions; i++) {
      engine.open(opened + i, 1);
    }
    engine.turn(nowNs() + 10'000'000);
  }
  if (engine.readyCount() < options.sessions) {
    throw BenchProblem("only " + std::to_string(engine.readyCount()) + " of " +
                       std::to_string(options.sessions) + " sessions could be opened");
  }
  auto seconds = double(nowNs() - begin) / 1e9;
  tell(options, "idle.open sessions=" + std::to_string(options.sessions));
  auto hold = nowNs() + static_cast<std::uint64_t>(options.holdSeconds * 1e9);
  while (nowNs() < hold) engine.turn(hold);

  report.number("sessions", options.sessions);
  report.number("open_seconds", seconds);
  report.number("connects_per_s", options.sessions / seconds);
  report.number("hold_seconds", options.holdSeconds);
  report.number("alive", double(engine.readyCount()));
  report.number("connections_lost", double(player.lostCount));
  if (player.lostCount > 0) report.fail();
  engine.closeAll();
}

}  // namespace polyquorum::bench
