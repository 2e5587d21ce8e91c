// SPDX-License-Identifier: Apache-2.0
// Coroutines on KJ's loop: values, exceptions both ways, cancellation by dropping.
#include "sdk/async.h"
#include <kj/debug.h>
#include <kj/timer.h>
#include <catch2/catch.hpp>
#include <string>

namespace polyquorum::sdk {
namespace {

Async<int> later(int value) {
  co_await kj::evalLater([] {});
  co_return value;
}

Async<int> sum(int depth) {
  if (depth == 0) co_return 0;
  int below = co_await sum(depth - 1);
  co_return below + co_await later(1);
}

Async<void> fail() {
  co_await kj::evalLater([] {});
  KJ_FAIL_REQUIRE("the disk is full");
}

Async<int> survive() {
  bool caught = false;
  try {
    co_await fail();
  } catch (const kj::Exception& exception) {
    std::string text = exception.getDescription().cStr();
    caught = text.find("the disk is full") != std::string::npos;
  }
  co_return caught ? co_await later(1) : 0;
}

struct Flag {
  bool& raised;
  ~Flag() { raised = true; }
};

Async<void> sleepFor(kj::Timer& timer, bool& destroyed, bool& done) {
  Flag flag{destroyed};
  co_await timer.afterDelay(1 * kj::SECONDS);
  done = true;
}

Async<kj::Own<int>> box(int value) {
  co_await kj::evalLater([] {});
  co_return kj::heap<int>(value);
}

Async<int> loop(int times) {
  int turns = 0;
  while (turns < times) {
    co_await kj::evalLater([] {});
    turns++;
  }
  co_return turns;
}

struct ThrowsLate {
  ~ThrowsLate() noexcept(false) { KJ_FAIL_REQUIRE("thrown by a local"); }
};

Async<int> throwAfterReturn() {
  ThrowsLate local;
  co_await kj::evalLater([] {});
  co_return 5;
}

TEST_CASE("async: a chain of awaits gives its value, however deep") {
  kj::EventLoop events;
  kj::WaitScope wait(events);

  CHECK(sum(500).wait(wait) == 500);
}

TEST_CASE("async: a coroutine begins before it is awaited, as functions do") {
  kj::EventLoop events;
  kj::WaitScope wait(events);
  kj::TimerImpl timer(kj::origin<kj::TimePoint>());
  bool destroyed = false, done = false;

  kj::Promise<void> promise = sleepFor(timer, destroyed, done);
  timer.advanceTo(kj::origin<kj::TimePoint>() + 1 * kj::SECONDS);
  promise.wait(wait);

  CHECK(done);
  CHECK(destroyed);
}

TEST_CASE("async: an exception reaches the awaiting coroutine and the plain promise") {
  kj::EventLoop events;
  kj::WaitScope wait(events);

  CHECK(survive().wait(wait) == 1);
  CHECK_THROWS_AS(fail().wait(wait), kj::Exception);
}

TEST_CASE("async: a rejected promise throws inside the coroutine") {
  kj::EventLoop events;
  kj::WaitScope wait(events);
  auto run = [](kj::Promise<int> input) -> Async<int> { co_return co_await kj::mv(input); };

  kj::Promise<int> broken = KJ_EXCEPTION(DISCONNECTED, "gone");

  CHECK_THROWS_AS(run(kj::mv(broken)).wait(wait), kj::Exception);
}

TEST_CASE("async: dropping the promise destroys the sleeping frame and nothing more runs") {
  kj::EventLoop events;
  kj::WaitScope wait(events);
  kj::TimerImpl timer(kj::origin<kj::TimePoint>());
  bool destroyed = false, done = false;
  {
    kj::Promise<void> promise = sleepFor(timer, destroyed, done);
    CHECK_FALSE(destroyed);
  }

  CHECK(destroyed);
  timer.advanceTo(kj::origin<kj::TimePoint>() + 2 * kj::SECONDS);
  events.run();
  CHECK_FALSE(done);
}

TEST_CASE("async: a coroutine dropped through an outer one is cancelled with it") {
  kj::EventLoop events;
  kj::WaitScope wait(events);
  kj::TimerImpl timer(kj::origin<kj::TimePoint>());
  bool destroyed = false, done = false;
  auto outer = [](kj::Timer& timer, bool& destroyed, bool& done) -> Async<void> {
    co_await sleepFor(timer, destroyed, done);
  };
  { kj::Promise<void> promise = outer(timer, destroyed, done); }

  CHECK(destroyed);
}

TEST_CASE("async: values that only move, long loops and promise combinators work") {
  kj::EventLoop events;
  kj::WaitScope wait(events);

  CHECK(*box(7).wait(wait) == 7);
  CHECK(loop(100000).wait(wait) == 100000);
  kj::Promise<int> first = later(1);
  auto second = first.exclusiveJoin(kj::NEVER_DONE).then([](int value) { return value + 1; });
  CHECK(second.wait(wait) == 2);
}

TEST_CASE("async: a local that throws after co_return rejects the promise once") {
  kj::EventLoop events;
  kj::WaitScope wait(events);

  CHECK_THROWS_AS(throwAfterReturn().wait(wait), kj::Exception);
}

}  // namespace
}  // namespace polyquorum::sdk
