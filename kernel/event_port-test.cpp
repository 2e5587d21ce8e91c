// SPDX-License-Identifier: Apache-2.0
// The event port: both worlds run on one thread, timers fire, exceptions surface.
#include "kernel/event_port.h"
#include <kj/debug.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

namespace polyquorum::kernel {
namespace {

TEST_CASE("event port: an asio handler fulfils a KJ promise") {
  EventPort port;
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  auto paf = kj::newPromiseAndFulfiller<int>();

  boost::asio::post(port.io(), [&]() { paf.fulfiller->fulfill(7); });

  REQUIRE(paf.promise.wait(scope) == 7);
}

TEST_CASE("event port: a loop that looks before it sleeps misses neither timers nor other threads") {
  EventPort port;
  port.setBusyPoll(50 * kj::MILLISECONDS);
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  auto start = port.timer().now();
  // Short waits teach it to look; then a wait that is longer than the look, and one that a thread ends.
  for (int i = 0; i < 3; i++) port.timer().afterDelay(1 * kj::MILLISECONDS).wait(scope);
  port.timer().afterDelay(80 * kj::MILLISECONDS).wait(scope);
  REQUIRE(port.timer().now() - start >= 83 * kj::MILLISECONDS);

  auto paf = kj::newPromiseAndFulfiller<int>();
  std::thread other([&]() {
    boost::asio::post(port.io(), [&]() { paf.fulfiller->fulfill(7); });
  });
  int got = paf.promise.wait(scope);
  other.join();
  REQUIRE(got == 7);
}

TEST_CASE("event port: KJ timers fire in order and not early") {
  EventPort port;
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  std::string order;
  auto& timer = port.timer();
  auto start = timer.now();

  auto after = [&](kj::Duration delay, const char* letter) {
    return timer.afterDelay(delay)
        .then([&order, letter]() { order += letter; })
        .eagerlyEvaluate(nullptr);
  };
  auto late = after(20 * kj::MILLISECONDS, "b");
  auto soon = after(5 * kj::MILLISECONDS, "a");
  late.wait(scope);
  soon.wait(scope);

  REQUIRE(order == "ab");
  REQUIRE(timer.now() - start >= 20 * kj::MILLISECONDS);
}

TEST_CASE("event port: what a handler throws comes out of wait(), and the loop goes on") {
  EventPort port;
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  boost::asio::post(port.io(), []() { throw std::runtime_error("broken handler"); });

  auto waits = kj::Promise<void>(kj::NEVER_DONE);
  auto thrown = kj::runCatchingExceptions([&]() { waits.wait(scope); });
  KJ_IF_MAYBE(exception, thrown) {
    REQUIRE(std::string(exception->getDescription().cStr()).find("broken handler") !=
            std::string::npos);
  } else {
    FAIL("nothing was thrown");
  }

  auto paf = kj::newPromiseAndFulfiller<void>();
  boost::asio::post(port.io(), [&]() { paf.fulfiller->fulfill(); });
  paf.promise.wait(scope);
}

TEST_CASE("event port: handlers that post themselves for ever do not starve KJ") {
  EventPort port;
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  bool stop = false;
  std::uint64_t ran = 0;
  std::function<void()> again = [&]() {
    ran++;
    if (!stop) boost::asio::post(port.io(), again);
  };
  boost::asio::post(port.io(), again);

  port.timer().afterDelay(2 * kj::MILLISECONDS).wait(scope);
  stop = true;

  REQUIRE(ran > 0);
}

TEST_CASE("event port: another thread wakes a waiting loop") {
  EventPort port;
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  auto paf = kj::newPromiseAndCrossThreadFulfiller<int>();

  std::thread other([&]() { paf.fulfiller->fulfill(3); });
  auto value = paf.promise.wait(scope);
  other.join();

  REQUIRE(value == 3);
}

}  // namespace
}  // namespace polyquorum::kernel
