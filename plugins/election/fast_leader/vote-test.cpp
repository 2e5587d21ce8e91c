// SPDX-License-Identifier: Apache-2.0
// Order of votes, and letters that may be hostile.
#include "plugins/election/fast_leader/vote.h"
#include <catch2/catch.hpp>
#include <random>

namespace polyquorum::fast_leader {
namespace {

constexpr std::uint64_t MAX = ~std::uint64_t{0};

core::Letter raw(std::vector<std::uint64_t> numbers) { return {2, 1, NOTIFICATION, numbers, {}}; }

TEST_CASE("fast_leader: votes compare by view fence, last entry, id (totalOrderPredicate)") {
  CHECK(better({1, 1, 5, {1, 1}}, {3, 1, 4, {4, 99}}));
  CHECK(better({1, 1, 5, {5, 2}}, {3, 1, 5, {5, 1}}));
  CHECK(better({1, 1, 5, {5, 1}}, {3, 1, 5, {4, 99}}));
  CHECK(better({3, 1, 5, {5, 1}}, {1, 1, 5, {5, 1}}));
  CHECK_FALSE(better({3, 1, 5, {5, 1}}, {3, 2, 5, {5, 1}}));
}

TEST_CASE("fast_leader: the order of votes is total over random votes") {
  std::mt19937 random(7);
  auto draw = [&] {
    return Vote{core::MemberId(1 + random() % 3), 1, random() % 3, {random() % 3, random() % 3}};
  };
  for (int i = 0; i < 2000; i++) {
    auto a = draw(), b = draw(), c = draw();
    CHECK(better(a, b) + better(b, a) + (a == b) == 1);
    if (better(a, b) && better(b, c)) CHECK(better(a, c));
  }
}

TEST_CASE("fast_leader: a notification survives its letter") {
  Notification said{State::FOLLOWING, {3, 8, 5, {5, 77}}, 0};

  auto heard = read([&] {
    auto letter = write(said, 1);
    letter.peer = 2;  // now received
    return letter;
  }());

  REQUIRE(heard);
  CHECK(heard->state == State::FOLLOWING);
  CHECK(heard->vote == said.vote);
  CHECK(heard->heir == 0);
}

TEST_CASE("fast_leader: malformed letters are refused, never misread (ZOOKEEPER-3769)") {
  CHECK(read(raw({0, 1, 2, 0, 0, 0, 0})));
  CHECK_FALSE(read(raw({})));
  CHECK_FALSE(read(raw({0, 1, 2, 0, 0, 0})));
  CHECK_FALSE(read(raw({0, 1, 2, 0, 0, 0, 0, 0})));
  CHECK_FALSE(read(raw({4, 1, 2, 0, 0, 0, 0})));                 // unknown state
  CHECK_FALSE(read(raw({0, 0, 2, 0, 0, 0, 0})));                 // no round
  CHECK_FALSE(read(raw({0, MAX, 2, 0, 0, 0, 0})));               // a round nobody could go beyond
  CHECK_FALSE(read(raw({0, 1, std::uint64_t{1} << 32, 0, 0, 0, 0})));
  CHECK_FALSE(read(raw({0, 1, 2, 0, 0, 0, MAX})));
  CHECK_FALSE(read(raw({1, 1, 2, 0, 0, 0, 0})));                 // follows itself
  CHECK_FALSE(read(raw({1, 1, 0, 0, 0, 0, 0})));                 // follows nobody
  CHECK_FALSE(read(raw({2, 1, 3, 0, 0, 0, 0})));                 // leads, but another
  auto unknown = raw({0, 1, 2, 0, 0, 0, 0});
  unknown.kind = 9;
  CHECK_FALSE(read(unknown));
  auto bodies = raw({0, 1, 2, 0, 0, 0, 0});
  bodies.entries.emplace_back();
  CHECK_FALSE(read(bodies));
}

}  // namespace
}  // namespace polyquorum::fast_leader
