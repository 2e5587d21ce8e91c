// SPDX-License-Identifier: Apache-2.0
// The sessions' clock alone.
#include "kernel/session_clock.h"
#include <kj/debug.h>
#include <catch2/catch.hpp>
#include <random>

namespace polyquorum::kernel {
namespace {

constexpr auto MS = 1 * kj::MILLISECONDS;
const auto START = kj::origin<kj::TimePoint>() + 5 * kj::DAYS + 1 * MS;

/// Calls due() as a timer would, a little late; returns when this incarnation was due.
kj::TimePoint runUntil(SessionClock& clock, std::uint64_t incarnation) {
  for (;;) {
    auto moment = KJ_ASSERT_NONNULL(clock.next()) + 3 * MS;
    for (auto due : clock.due(moment)) {
      if (due == incarnation) return moment;
    }
  }
}

}  // namespace

TEST_CASE("session clock: nobody expires early or more than a tick late (P2.5, B4)") {
  auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);

  for (int round = 0; round < 2000; round++) {
    std::uint32_t tick = 50 + random() % 3000, timeout = tick * 2 + random() % 40000;
    SessionClock clock(tick);
    auto opened = START + random() % 100000 * MS;
    clock.add(7, 70, timeout, opened);
    auto last = opened;
    for (int touches = random() % 4; touches > 0; touches--) {
      last += random() % timeout * MS;
      clock.touch(7, last);
    }

    auto due = runUntil(clock, 70);

    REQUIRE(due > last + timeout * MS);
    REQUIRE(due <= last + (timeout + tick) * MS + 3 * MS);
    REQUIRE(clock.closing(7));
  }
}

TEST_CASE("session clock: a closing session cannot be touched back to life") {
  SessionClock clock(100);
  clock.add(7, 70, 1000, START);
  runUntil(clock, 70);

  clock.touch(7, START + 2000 * MS);

  CHECK(clock.closing(7));
}

TEST_CASE("session clock: a resumed session is no longer closing and has a full timeout") {
  SessionClock clock(100);
  clock.add(7, 70, 1000, START);
  auto due = runUntil(clock, 70);

  clock.add(7, 80, 1000, due);

  CHECK(!clock.closing(7));
  auto again = runUntil(clock, 80);
  CHECK(again > due + 1000 * MS);
}

TEST_CASE("session clock: a removed session is never due") {
  SessionClock clock(100);
  clock.add(7, 70, 1000, START);
  clock.add(8, 80, 1200, START);
  clock.remove(7);

  runUntil(clock, 80);

  CHECK(clock.next() == nullptr);
}

TEST_CASE("session clock: after a long pause everybody gets a full timeout (M26, etcd 15247)") {
  SessionClock clock(100);
  clock.add(7, 70, 1000, START);
  auto woken = START + 60 * kj::SECONDS;

  CHECK(clock.due(woken).empty());

  CHECK(runUntil(clock, 70) > woken + 1000 * MS);
}

TEST_CASE("session clock: after a short pause touches in the socket get a tick to arrive") {
  SessionClock clock(1000);
  clock.add(7, 70, 4000, START);
  auto woken = KJ_ASSERT_NONNULL(clock.next()) + 600 * MS;

  CHECK(clock.due(woken).empty());
  clock.touch(7, woken - 600 * MS);

  CHECK(runUntil(clock, 70) > woken + 3400 * MS);
}

TEST_CASE("session clock: a shorter timeout after a resume counts at once") {
  SessionClock clock(100);
  clock.add(7, 70, 60000, START);
  clock.add(7, 80, 500, START);

  CHECK(runUntil(clock, 80) <= START + 610 * MS);
}

}  // namespace polyquorum::kernel
