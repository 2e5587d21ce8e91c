// SPDX-License-Identifier: Apache-2.0
// The simulated network alone: what it may do to parcels, and what each lane's mode forbids it.
#include "simulator/network.h"
#include <capnp/message.h>
#include <catch2/catch.hpp>
#include <algorithm>
#include "sdk/direct.h"
#include "simulator/port.h"

using namespace polyquorum;
using namespace polyquorum::simulator;

namespace {

constexpr std::uint16_t CONFLATE = 0, FIFO = 1;

/// Two posts with one lane of each mode; notes what the second one gets.
struct Two {
  struct Got {
    std::uint16_t lane;
    unsigned number;
    std::int64_t ms;
  };
  class Inbox final : public transport::Inbox::Server {
   public:
    explicit Inbox(std::function<void(transport::News::Reader)> note) : note(std::move(note)) {}
    kj::Promise<void> deliver(DeliverContext context) override {
      for (auto news : context.getParams().getNews()) note(news);
      return kj::READY_NOW;
    }

   private:
    std::function<void(transport::News::Reader)> note;
  };

  Port port;
  kj::EventLoop loop{port};
  kj::WaitScope scope{loop};
  Network network{port.timer(), Random(7)};
  std::vector<Got> got;
  unsigned ups = 0;
  kj::TimePoint begun = port.timer().now();
  transport::Transport::Client first = join(1), second = join(2);

  Two() {
    wait(1000);
    REQUIRE(ups == 1);
  }

  void wait(std::uint64_t ms) { port.timer().afterDelay(ms * kj::MILLISECONDS).wait(scope); }
  std::int64_t now() { return (port.timer().now() - begun) / kj::MILLISECONDS; }

  transport::Transport::Client join(core::MemberId id) {
    auto transport = network.join(id);
    auto start = transport.startRequest();
    start.initSelf().setId(id);
    auto lanes = start.initLanes(2);
    lanes[CONFLATE].setMode(transport::Lane::Mode::CONFLATE);
    lanes[FIFO].setMode(transport::Lane::Mode::FIFO);
    start.setInbox(
        sdk::direct<transport::Inbox>(kj::heap<Inbox>([this, id](transport::News::Reader news) {
          if (id != 2) return;
          if (news.isUp()) ups++;
          if (!news.isParcel()) return;
          auto parcel = news.getParcel();
          got.push_back({parcel.getLane(), parcel.getBytes()[0], now()});
        })));
    start.send().wait(scope);
    auto peers = transport.peersRequest();
    peers.initMembers(1)[0].setId(3 - id);
    peers.send().wait(scope);
    return transport;
  }

  void send(std::uint16_t lane, kj::byte number) {
    auto request = first.sendRequest();
    auto parcel = request.initParcels(1)[0];
    parcel.setLane(lane);
    parcel.initTo(1)[0].setId(2);
    parcel.initPieces(1).set(0, kj::arrayPtr(&number, 1));
    request.send().wait(scope);
  }
  std::vector<unsigned> numbers(std::uint16_t lane) {
    std::vector<unsigned> out;
    for (auto& each : got) {
      if (each.lane == lane) out.push_back(each.number);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("network: a clogged way brings everything late, once and in order") {
  Two two;
  two.network.clog(1, 2, two.port.timer().now() + 2 * kj::SECONDS);
  auto until = two.now() + 2000;
  for (kj::byte number : {1, 2, 3}) two.send(FIFO, number);
  two.wait(1900);
  CHECK(two.got.empty());
  two.wait(1000);
  CHECK(two.numbers(FIFO) == std::vector<unsigned>{1, 2, 3});
  for (auto& each : two.got) CHECK(each.ms >= until);
  CHECK(two.ups == 1);
}

TEST_CASE("network: what is held up when a way is freed before its time is lost with its link") {
  Two two;
  two.network.clog(1, 2, two.port.timer().now() + 2 * kj::SECONDS);
  two.send(FIFO, 1);
  two.network.unclog();
  two.wait(100);
  two.send(FIFO, 2);
  two.wait(3000);
  CHECK(two.ups == 2);
  CHECK(two.numbers(FIFO) == std::vector<unsigned>{2});
}

TEST_CASE("network: no link comes up over a clogged way before it is free again") {
  Two two;
  two.network.clog(2, 1, two.port.timer().now() + 2 * kj::SECONDS);
  two.network.snap(1, 2);
  two.wait(1900);
  CHECK(two.ups == 1);
  two.network.unclog();
  two.wait(500);
  CHECK(two.ups == 2);
}

TEST_CASE("network: parcels of a conflating lane may come twice, those of a fifo lane never do") {
  Two two;
  two.network.weather.conflateTwicePercent = 100;
  for (kj::byte number : {1, 2, 3}) {
    two.send(FIFO, number);
    two.send(CONFLATE, number);
  }
  two.wait(100);
  CHECK(two.numbers(FIFO) == std::vector<unsigned>{1, 2, 3});
  CHECK(two.numbers(CONFLATE) == std::vector<unsigned>{1, 1, 2, 2, 3, 3});
}

TEST_CASE("network: lanes of different modes overtake each other") {
  Two two;
  two.network.weather.most = 50 * kj::MILLISECONDS;
  for (kj::byte number = 0; number < 100; number++)
    two.send(number % 2 == 0 ? FIFO : CONFLATE, number);
  two.wait(1000);
  REQUIRE(two.got.size() == 100);
  auto before = [](auto& a, auto& b) { return a.number < b.number; };
  CHECK_FALSE(std::is_sorted(two.got.begin(), two.got.end(), before));
  for (auto lane : {CONFLATE, FIFO}) {
    auto numbers = two.numbers(lane);
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  }
}
