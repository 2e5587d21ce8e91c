// SPDX-License-Identifier: Apache-2.0
// For tests: KJ on an io_context of the test's own, and the environment that a plugin sees there.
#pragma once
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <kj/async.h>
#include <kj/debug.h>
#include <kj/time.h>
#include <kj/timer.h>
#include <chrono>
#include <functional>
#include <string>
#include <vector>
#include "sdk/environment.h"

namespace polyquorum::zookeeper::test {

/// Runs asio's handlers inside KJ's wait.
class Port final : public kj::EventPort {
public:
  explicit Port(boost::asio::io_context& io)
      : io(io), work(io.get_executor()), clock(kj::systemPreciseMonotonicClock()),
        timers(clock.now()) {}
  bool wait() override {
    io.run_one_for(std::chrono::milliseconds(5));
    return poll();
  }
  bool poll() override {
    for (int i = 0; i < 256 && io.poll_one() > 0; i++) {}
    timers.advanceTo(clock.now() + ahead);
    return false;
  }

  boost::asio::io_context& io;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  const kj::MonotonicClock& clock;
  kj::TimerImpl timers;
  kj::Duration ahead = 0 * kj::SECONDS;   ///< tests make time pass by raising it
};

class World : public sdk::Environment {
public:
  World() : port(context), loop(port), scope(loop) {}

  kj::Timer& timer() override { return port.timers; }
  std::int64_t wallTimeMs() override { return 1'700'000'000'000; }
  std::uint64_t random() override { return seed = seed * 6364136223846793005ull + 1; }
  kj::Own<const kj::Directory> directory(kj::StringPtr) override {
    return kj::newInMemoryDirectory(kj::nullClock());
  }
  boost::asio::io_context& io() override { return context; }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()> work) override {
    work();
    return kj::READY_NOW;
  }
  void log(sdk::Level, kj::StringPtr line) override { lines.push_back(line.cStr()); }

  /// Runs the loop until done() says so; fails the test after ten seconds.
  void until(const std::function<bool()>& done) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done()) {
      KJ_REQUIRE(std::chrono::steady_clock::now() < end, "the test waited in vain");
      scope.poll();
      if (!done()) context.run_one_for(std::chrono::milliseconds(1));
    }
  }
  /// What can happen now has happened.
  void settle() {
    for (int i = 0; i < 20; i++) {
      scope.poll();
      context.run_one_for(std::chrono::microseconds(200));
    }
    scope.poll();
  }
  void pass(kj::Duration time) {
    port.ahead += time;
    settle();
  }

  std::vector<std::string> lines;
  boost::asio::io_context context;
  Port port;
  kj::EventLoop loop;
  kj::WaitScope scope;

private:
  std::uint64_t seed = 42;
};

}  // namespace polyquorum::zookeeper::test
