// SPDX-License-Identifier: Apache-2.0
// A loop over Asio, an environment, an inbox that remembers, and a cluster of transports in one
// process. For the tests of this folder only.
#pragma once
#include <capnp/message.h>
#include <kj/async.h>
#include <kj/debug.h>
#include <kj/timer.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include "transport.h"

namespace polyquorum::tcp {

/// After prototype.md, appendix B.
class AsioPort final : public kj::EventPort {
 public:
  boost::asio::io_context io{1};
  const kj::MonotonicClock& clock = kj::systemPreciseMonotonicClock();
  kj::TimerImpl timer{clock.now()};

  bool wait() override {
    KJ_IF_MAYBE (us, timer.timeoutToNextEvent(clock.now(), kj::MICROSECONDS, 1'000'000)) {
      io.run_one_for(std::chrono::microseconds(*us));
    } else {
      io.run_one();
    }
    return poll();
  }
  bool poll() override {
    for (int i = 0; i < 256 && io.poll_one() != 0; i++) {
    }
    timer.advanceTo(clock.now());
    return false;
  }
  void wake() const override {}

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
};

class TestEnvironment final : public sdk::Environment {
 public:
  explicit TestEnvironment(AsioPort& port) : port(port) {}
  kj::Timer& timer() override { return port.timer; }
  std::int64_t wallTimeMs() override { return 0; }
  std::uint64_t random() override {
    return seed = seed * 6364136223846793005u + 1442695040888963407u;
  }
  kj::Own<const kj::Directory> directory(kj::StringPtr) override {
    return kj::newInMemoryDirectory(kj::nullClock());
  }
  boost::asio::io_context& io() override { return port.io; }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()> work) override {
    return kj::evalLater(kj::mv(work));
  }
  void log(sdk::Level level, kj::StringPtr line) override {
    if (level >= sdk::Level::INFO) lines.emplace_back(line.cStr());
  }

  std::size_t countLines(const std::string& part) const {
    std::size_t count = 0;
    for (auto& line : lines) count += line.find(part) != std::string::npos ? 1 : 0;
    return count;
  }

  std::vector<std::string> lines;

 private:
  AsioPort& port;
  std::uint64_t seed = 1;
};

/// A sink that takes chunks when it is allowed to.
struct SinkState {
  std::string header, bytes;
  std::size_t writes = 0;
  bool done = false, dropped = false, hold = false;
  kj::Own<kj::PromiseFulfiller<void>> held;
  std::string failWith;
};

class TestSink final : public storage::Sink::Server {
 public:
  explicit TestSink(std::shared_ptr<SinkState> given) : owned(std::move(given)), state(*owned) {}
  ~TestSink() noexcept(false) { state.dropped = true; }
  kj::Promise<void> write(WriteContext context) override {
    auto chunk = context.getParams().getChunk();
    state.bytes.append(reinterpret_cast<const char*>(chunk.begin()), chunk.size());
    state.writes++;
    if (!state.failWith.empty()) KJ_FAIL_REQUIRE(state.failWith.c_str());
    if (!state.hold) return kj::READY_NOW;
    auto pair = kj::newPromiseAndFulfiller<void>();
    state.held = kj::mv(pair.fulfiller);
    return kj::mv(pair.promise);
  }
  kj::Promise<void> done(DoneContext) override {
    state.done = true;
    return kj::READY_NOW;
  }

 private:
  std::shared_ptr<SinkState> owned;
  SinkState& state;
};

struct Happened {
  enum What { UP, DOWN, PARCEL } what;
  std::uint32_t peer;
  std::uint64_t link, incarnation = 0;
  std::uint16_t lane = 0;
  std::string text;
};

struct InboxState {
  std::vector<Happened> news;
  std::size_t calls = 0;
  bool hold = false;
  kj::Own<kj::PromiseFulfiller<void>> held;
  std::deque<std::shared_ptr<SinkState>> sinks;  // a call under way outlives its node
  std::string sinkFailWith;
  bool sinksHold = false;

  std::size_t count(Happened::What what) const {
    std::size_t count = 0;
    for (auto& item : news) count += item.what == what ? 1 : 0;
    return count;
  }
  /// Views into news: valid until more arrives.
  std::vector<std::string_view> parcels(std::uint16_t lane) const {
    std::vector<std::string_view> texts;
    for (auto& item : news) {
      if (item.what == Happened::PARCEL && item.lane == lane) texts.push_back(item.text);
    }
    return texts;
  }
  /// How many peers have a link now.
  std::size_t linked() const {
    std::map<std::uint32_t, bool> up;
    for (auto& item : news) {
      if (item.what != Happened::PARCEL) up[item.peer] = item.what == Happened::UP;
    }
    std::size_t count = 0;
    for (auto& entry : up) count += entry.second ? 1 : 0;
    return count;
  }
};

class TestInbox final : public transport::Inbox::Server {
 public:
  explicit TestInbox(InboxState& state) : state(state) {}
  kj::Promise<void> deliver(DeliverContext context) override {
    state.calls++;
    for (auto news : context.getParams().getNews()) {
      Happened item{Happened::UP, news.getPeer(), news.getLink()};
      if (news.isUp()) item.incarnation = news.getUp();
      if (news.isDown()) item.what = Happened::DOWN, item.text = news.getDown().cStr();
      if (news.isParcel()) {
        item.what = Happened::PARCEL;
        item.lane = news.getParcel().getLane();
        auto bytes = news.getParcel().getBytes();
        item.text.assign(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
      }
      state.news.push_back(item);
    }
    if (!state.hold) return kj::READY_NOW;
    auto pair = kj::newPromiseAndFulfiller<void>();
    state.held = kj::mv(pair.fulfiller);
    return kj::mv(pair.promise);
  }
  kj::Promise<void> stream(StreamContext context) override {
    state.sinks.push_back(std::make_shared<SinkState>());
    auto& sink = *state.sinks.back();
    auto header = context.getParams().getHeader();
    sink.header.assign(reinterpret_cast<const char*>(header.begin()), header.size());
    sink.failWith = state.sinkFailWith;
    sink.hold = state.sinksHold;
    context.getResults().setSink(kj::heap<TestSink>(state.sinks.back()));
    return kj::READY_NOW;
  }

 private:
  InboxState& state;
};

enum TestLane : std::uint16_t { FIFO, CONFLATE, SMALL };

/// One life of one member.
struct TestNode {
  std::uint32_t id;
  TestEnvironment environment;
  InboxState inbox;
  TcpTransport* transport;
  kj::Maybe<transport::Transport::Client> client;
  std::string address;

  transport::Transport::Client& use() { return KJ_REQUIRE_NONNULL(client); }

  TestNode(AsioPort& port, kj::WaitScope& scope, std::uint32_t id, std::uint64_t incarnation = 1,
           const char* cluster = "test", std::uint16_t listenOn = 0, Settings settings = Settings())
      : id(id), environment(port) {
    auto server = kj::heap<TcpTransport>(environment, settings);
    transport = server.get();
    client = transport::Transport::Client(kj::mv(server));
    auto request = use().startRequest();
    request.setCluster(cluster);
    auto self = request.initSelf();
    self.setId(id);
    self.setIncarnation(incarnation);
    auto address = self.initAddresses(1)[0];
    address.setPurpose("peer");
    address.setAt(kj::str("127.0.0.1:", listenOn));
    auto lanes = request.initLanes(3);
    lanes[FIFO].setName("fifo");
    lanes[FIFO].setBytesMax(64 << 20);
    lanes[CONFLATE].setName("conflate");
    lanes[CONFLATE].setMode(transport::Lane::Mode::CONFLATE);
    lanes[SMALL].setName("small");
    lanes[SMALL].setBytesMax(1 << 20);
    request.setInbox(kj::heap<TestInbox>(inbox));
    request.send().wait(scope);
    this->address = std::string("127.0.0.1:") + std::to_string(transport->port());
  }

  void peers(kj::WaitScope& scope, std::vector<std::pair<std::uint32_t, std::string>> members) {
    auto request = use().peersRequest();
    auto list = request.initMembers(static_cast<unsigned>(members.size()));
    for (unsigned i = 0; i < members.size(); i++) {
      list[i].setId(members[i].first);
      auto at = list[i].initAddresses(1)[0];
      at.setPurpose("peer");
      at.setAt(members[i].second.c_str());
    }
    request.send().wait(scope);
  }

  kj::Promise<void> send(std::uint16_t lane, std::vector<std::uint32_t> to,
                         std::vector<std::string> texts, std::uint64_t link = 0) {
    auto request = use().sendRequest();
    auto parcels = request.initParcels(static_cast<unsigned>(texts.size()));
    for (unsigned i = 0; i < texts.size(); i++) {
      parcels[i].setLane(lane);
      auto list = parcels[i].initTo(static_cast<unsigned>(to.size()));
      for (unsigned k = 0; k < to.size(); k++) {
        list[k].setId(to[k]);
        list[k].setLink(link);
      }
      // Two pieces, to be joined by the receiver.
      auto pieces = parcels[i].initPieces(2);
      auto half = texts[i].size() / 2;
      auto bytes = reinterpret_cast<const kj::byte*>(texts[i].data());
      pieces.set(0, kj::arrayPtr(bytes, half));
      pieces.set(1, kj::arrayPtr(bytes + half, texts[i].size() - half));
    }
    return request.send().ignoreResult();
  }

  storage::Sink::Client stream(std::uint32_t to, const std::string& header) {
    auto request = use().streamRequest();
    request.setTo(to);
    request.setHeader(
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(header.data()), header.size()));
    return request.send().getSink();
  }
};

/// The loop of a test, and patience with a bound.
struct TestLoop {
  AsioPort port;
  kj::EventLoop loop{port};
  kj::WaitScope scope{loop};

  /// Runs the loop until condition holds; false after ten seconds.
  template <typename Condition>
  bool until(Condition condition) {
    auto end = port.clock.now() + 10 * kj::SECONDS;
    while (!condition()) {
      if (port.clock.now() > end) return false;
      // Wakes at every event, and once a millisecond for what no event announces.
      port.timer.afterDelay(1 * kj::MILLISECONDS).wait(scope);
    }
    return true;
  }

  void link(TestNode& a, TestNode& b) {
    a.peers(scope, {{a.id, a.address}, {b.id, b.address}});
    b.peers(scope, {{a.id, a.address}, {b.id, b.address}});
  }
};

inline kj::Promise<void> writeTo(storage::Sink::Client& sink, const std::string& chunk) {
  auto request = sink.writeRequest();
  request.setChunk(kj::arrayPtr(reinterpret_cast<const kj::byte*>(chunk.data()), chunk.size()));
  return request.send();
}

}  // namespace polyquorum::tcp
