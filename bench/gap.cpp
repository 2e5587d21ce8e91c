// SPDX-License-Identifier: Apache-2.0
// The longest time without an acknowledged write while someone kills or freezes servers. Writers
// never give up: they move to the next server with their session.
#include <algorithm>
#include "bench/tests.h"

namespace polyquorum::bench {
namespace {

constexpr std::uint64_t REQUEST_TIMEOUT_NS = 2'000'000'000;

class GapPlayer final : public Player {
 public:
  GapPlayer(Engine& engine, const BenchOptions& options)
      : engine(engine), options(options), value(valueOf(options.valueBytes)) {}

  void write(Connection& connection) {
    auto path = nodePath(options.root, connection.index);
    engine.request(connection, zk::Op::SET_DATA, 0, zk::setDataBody(path, value, -1));
  }
  void ready(Connection& connection) override { write(connection); }
  void reply(Connection& connection, const Pending& pending, const zk::ReplyHeader& header,
             std::string_view) override {
    auto now = engine.now();
    if (header.error == zk::Error::OK) {
      latencies.add(now - pending.startNs);
      if (now - lastNs > longestNs) {
        longestNs = now - lastNs;
        longestAtNs = lastNs;
      }
      if (now - lastNs > 100'000'000) {
        tell(options, "gap.seen ms=" + std::to_string((now - lastNs) / 1'000'000));
      }
      lastNs = now;
      written++;
    } else {
      failed++;
    }
    write(connection);
  }
  void lost(Connection&, std::size_t underWay) override {
    connectionsLost++;
    unknown += underWay;
  }

  std::uint64_t lastNs = 0, longestNs = 0, longestAtNs = 0;
  std::uint64_t written = 0, failed = 0, unknown = 0, connectionsLost = 0;
  Histogram latencies;

 private:
  Engine& engine;
  const BenchOptions& options;
  const std::string value;
};

}  // namespace

void runGap(const BenchOptions& options, Report& report) {
  Engine engine(options.servers, options.sessionMs);
  openAll(engine, options.connections, 1);
  makeNodes(engine, options.root, options.connections, options.valueBytes);
  GapPlayer player(engine, options);
  Engine::Playing playing(engine, player);
  engine.setRequestTimeout(REQUEST_TIMEOUT_NS);
  auto begin = nowNs();
  player.lastNs = begin;
  for (auto& connection : engine.all()) player.write(*connection);
  tell(options, "gap.measuring");
  auto end = begin + static_cast<std::uint64_t>(options.seconds * 1e9);
  while (engine.now() < end) engine.turn(end);
  // A silence that lasts until the end is a gap too.
  if (end - player.lastNs > player.longestNs) {
    player.longestNs = end - player.lastNs;
    player.longestAtNs = player.lastNs;
  }
  report.number("connections", options.connections);
  report.number("seconds", options.seconds);
  report.number("writes", double(player.written));
  report.number("longest_gap_ms", double(player.longestNs) / 1e6);
  report.number("longest_gap_at_s", double(player.longestAtNs - begin) / 1e9);
  report.number("failed", double(player.failed));
  report.number("unknown", double(player.unknown));
  report.number("connections_lost", double(player.connectionsLost));
  if (player.written == 0) report.fail();
  report.latency("latency", player.latencies);
  engine.closeAll();
}

}  // namespace polyquorum::bench
