// SPDX-License-Identifier: Apache-2.0
// The closed loop (as fast as answers come) and the open loop (at a given rate, latencies counted
// from when each request should have started).
#include <algorithm>
#include <cstdio>
#include "bench/tests.h"

namespace polyquorum::bench {
namespace {

enum Tag : std::uint32_t { SET, GET, CREATE, REMOVE, TAGS };
constexpr const char* TAG_NAMES[TAGS] = {"set", "get", "create", "delete"};

/// The shortest sleep of the open loop: what is due within it leaves together.
constexpr std::uint64_t PACE_NS = 50'000;

/// xorshift64*: fast, and the same on every run with the same seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint32_t below(std::uint32_t bound) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    auto high = static_cast<std::uint32_t>((state * 0x2545f4914f6cdd1du) >> 32);
    return static_cast<std::uint32_t>((std::uint64_t(high) * bound) >> 32);
  }

 private:
  std::uint64_t state;
};

class MixPlayer final : public Player {
 public:
  MixPlayer(Engine& engine, const BenchOptions& options, Report& report)
      : engine(engine),
        options(options),
        report(report),
        dice(options.seed),
        value(valueOf(options.valueBytes)),
        timeline(static_cast<std::uint64_t>(options.slowMs * 1e6)),
        own(options.connections) {
    for (std::size_t i = 0; i < options.keys; i++) keys.push_back(nodePath(options.root, i));
  }

  void run();

  void ready(Connection& connection) override {
    if (options.rate == 0 && running) fill(connection);
  }
  void reply(Connection& connection, const Pending& pending, const zk::ReplyHeader& header,
             std::string_view) override {
    auto now = engine.now();
    if (now >= beginNs && now < endNs) {
      if (header.error == zk::Error::OK) {
        answered++;
        auto latency = now > pending.startNs ? now - pending.startNs : 0;
        latencies[pending.tag].add(latency);
        if (options.timeline) timeline.add(now - beginNs, latency);
      } else {
        report.error(header.error);
      }
    }
    if (options.rate == 0 && running) issue(connection, now);
  }
  void lost(Connection& connection, std::size_t underWay) override {
    connectionsLost++;
    unknown += underWay;
    own[connection.index] = {};
  }

 private:
  /// Nodes that one connection made and has not deleted: numbers deleted .. created - 1.
  struct Own {
    std::uint64_t created = 0, deleted = 0;
  };

  Engine& engine;
  const BenchOptions& options;
  Report& report;
  Dice dice;
  const std::string value;
  Timeline timeline;
  std::vector<std::string> keys;
  std::vector<Own> own;
  Histogram latencies[TAGS];
  bool running = true;
  std::uint64_t beginNs = 0, endNs = 0, answered = 0, unknown = 0, connectionsLost = 0;
  std::uint64_t issued = 0;
  std::size_t nextConnection = 0;

  void fill(Connection& connection) {
    while (connection.underWay.size() < options.depth) issue(connection, engine.now());
  }
  Tag draw();
  void issue(Connection& connection, std::uint64_t startNs);
  bool issueDue(std::uint64_t originNs);
  Connection* withRoom();
  void pace(std::uint64_t originNs, std::uint64_t untilNs);
  std::string_view ownPath(Connection& connection, std::uint64_t number);
  char pathBuffer[512];
};

Tag MixPlayer::draw() {
  auto percent = dice.below(100);
  if (percent < options.mix.set) return SET;
  percent -= options.mix.set;
  if (percent < options.mix.get) return GET;
  percent -= options.mix.get;
  return percent < options.mix.create ? CREATE : REMOVE;
}

std::string_view MixPlayer::ownPath(Connection& connection, std::uint64_t number) {
  auto size = std::snprintf(pathBuffer, sizeof(pathBuffer), "%s/c%llx-%llu", options.root.c_str(),
                            static_cast<unsigned long long>(connection.sessionId),
                            static_cast<unsigned long long>(number));
  return {pathBuffer, std::min(static_cast<std::size_t>(size), sizeof(pathBuffer) - 1)};
}

void MixPlayer::issue(Connection& connection, std::uint64_t startNs) {
  auto tag = draw();
  auto& mine = own[connection.index];
  if (tag == REMOVE && mine.deleted == mine.created) tag = CREATE;
  constexpr zk::Op OPS[TAGS] = {zk::Op::SET_DATA, zk::Op::GET_DATA, zk::Op::CREATE, zk::Op::DELETE};
  std::size_t place;
  auto writer = engine.begin(connection, OPS[tag], tag, startNs, place);
  switch (tag) {
    case SET:
      writer.text(keys[dice.below(static_cast<std::uint32_t>(keys.size()))]);
      writer.text(value);
      writer.int32(-1);
      break;
    case GET:
      writer.text(keys[dice.below(static_cast<std::uint32_t>(keys.size()))]);
      writer.boolean(false);
      break;
    case CREATE:
      writer.text(ownPath(connection, mine.created++));
      writer.text(value);
      writer.int32(1);  // one ACL: world:anyone may do everything
      writer.int32(31);
      writer.text("world");
      writer.text("anyone");
      writer.int32(0);
      break;
    case REMOVE:
    case TAGS:
      writer.text(ownPath(connection, mine.deleted++));
      writer.int32(-1);
      break;
  }
  engine.finish(connection, place);
}

Connection* MixPlayer::withRoom() {
  auto& all = engine.all();
  for (std::size_t i = 0; i < all.size(); i++) {
    auto& connection = *all[nextConnection++ % all.size()];
    bool room = connection.underWay.size() < options.depth;
    if (connection.state == Connection::State::READY && room) return &connection;
  }
  return nullptr;
}

bool MixPlayer::issueDue(std::uint64_t originNs) {
  auto due = static_cast<std::uint64_t>(double(nowNs() - originNs) / 1e9 * options.rate);
  while (issued < due) {
    auto* connection = withRoom();
    if (connection == nullptr) return false;
    issue(*connection, originNs + static_cast<std::uint64_t>(double(issued) / options.rate * 1e9));
    issued++;
  }
  return true;
}

void MixPlayer::pace(std::uint64_t originNs, std::uint64_t untilNs) {
  while (engine.now() < untilNs) {
    bool room = issueDue(originNs);
    auto next = originNs + static_cast<std::uint64_t>(double(issued + 1) / options.rate * 1e9);
    // Without room only a reply can help; the bound keeps lost connections from stopping the clock.
    auto wake = room ? std::max(next, nowNs() + PACE_NS) : nowNs() + 100 * PACE_NS;
    engine.turn(std::min(wake, untilNs));
  }
}

void MixPlayer::run() {
  Engine::Playing playing(engine, *this);
  auto originNs = nowNs();
  beginNs = originNs + static_cast<std::uint64_t>(options.warmupSeconds * 1e9);
  endNs = beginNs + static_cast<std::uint64_t>(options.seconds * 1e9);
  auto play = [&](std::uint64_t untilNs) {
    // One schedule through warm-up and measurement: a backlog is not forgiven at the border.
    if (options.rate > 0) return pace(originNs, untilNs);
    while (engine.now() < untilNs) engine.turn(untilNs);
  };
  if (options.rate == 0) {
    for (auto& connection : engine.all()) fill(*connection);
  }
  play(beginNs);
  auto cpuBefore = ownCpuSeconds();
  tell(options, "mix.measuring");
  play(endNs);
  running = false;
  auto cpu = ownCpuSeconds() - cpuBefore;
  std::size_t underWay = 0;
  for (auto& connection : engine.all()) underWay += connection->underWay.size();

  report.number("connections", options.connections);
  report.number("depth", options.depth);
  report.number("value_bytes", options.valueBytes);
  report.number("keys", options.keys);
  report.number("rate_asked", options.rate);
  report.number("seconds", options.seconds);
  report.number("ops", double(answered));
  report.number("ops_per_s", double(answered) / options.seconds);
  report.number("in_flight", double(underWay));
  report.number("unknown", double(unknown));
  report.number("connections_lost", double(connectionsLost));
  auto measured = options.rate > 0 ? options.seconds + options.warmupSeconds : options.seconds;
  report.number("generator_cpu", cpu / measured);
  Histogram all;
  unsigned kinds = 0;
  for (auto& latency : latencies) {
    all.merge(latency);
    kinds += latency.count() > 0 ? 1 : 0;
  }
  report.latency("latency", all);
  if (options.timeline) report.timeline(beginNs, timeline.finish(options.seconds));
  if (answered == 0 || connectionsLost > 0) report.fail();
  for (std::size_t tag = 0; kinds > 1 && tag < TAGS; tag++) {
    if (latencies[tag].count() > 0) report.latency(TAG_NAMES[tag], latencies[tag]);
  }
}

}  // namespace

void runMix(const BenchOptions& options, Report& report) {
  Engine engine(options.servers, options.sessionMs);
  openAll(engine, options.connections, options.depth);
  tell(options, "mix.preparing keys=" + std::to_string(options.keys));
  makeNodes(engine, options.root, options.keys, options.valueBytes);
  MixPlayer player(engine, options, report);
  player.run();
  // Replies that are still under way come before the session's end, in order.
  engine.closeAll();
}

}  // namespace polyquorum::bench
