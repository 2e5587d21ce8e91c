// SPDX-License-Identifier: Apache-2.0
// Letters that wait for their cores.
#include "kernel/early_letters.h"
#include <catch2/catch.hpp>

namespace polyquorum::kernel {
namespace {

Decoded letter(std::uint32_t segment, core::MemberId peer, std::uint16_t kind,
               std::size_t numbers = 0) {
  Decoded made{segment, {}};
  made.mail.peer = peer;
  made.mail.link = peer + 10;
  made.mail.kind = kind;
  made.mail.numbers.resize(numbers);
  return made;
}

std::vector<std::uint16_t> kinds(const std::vector<Mail>& mails) {
  std::vector<std::uint16_t> out;
  for (auto& mail : mails) out.push_back(mail.kind);
  return out;
}

TEST_CASE("early letters: given once, in order, to the lane and segment that they are for") {
  EarlyLetters early;
  early.keep(LANE_CONSENSUS, letter(1, 2, 1));
  early.keep(LANE_CONSENSUS, letter(2, 2, 2));
  early.keep(LANE_ELECTION, letter(2, 3, 3));
  early.keep(LANE_CONSENSUS, letter(2, 3, 4));

  REQUIRE(kinds(early.take(LANE_CONSENSUS, 2)) == std::vector<std::uint16_t>{2, 4});
  REQUIRE(kinds(early.take(LANE_ELECTION, 2)) == std::vector<std::uint16_t>{3});
  REQUIRE(early.take(LANE_CONSENSUS, 1).empty());
  REQUIRE(early.take(LANE_ELECTION, 2).empty());
}

TEST_CASE("early letters: of an election only the newest of each peer (conflate lane)") {
  EarlyLetters early;
  for (std::uint16_t kind = 1; kind < 100; kind++) {
    early.keep(LANE_ELECTION, letter(1, 2 + kind % 2, kind));
  }
  REQUIRE(kinds(early.take(LANE_ELECTION, 1)) == std::vector<std::uint16_t>{98, 99});
}

TEST_CASE("early letters: bounded by count and by bytes, and the room comes back") {
  EarlyLetters early;
  for (std::size_t i = 0; i < EarlyLetters::COUNT_MAX; i++) {
    REQUIRE(early.keep(LANE_CONSENSUS, letter(1, 2, 1)));
  }
  REQUIRE(!early.keep(LANE_CONSENSUS, letter(1, 2, 1)));
  REQUIRE(early.take(LANE_CONSENSUS, 2).empty());

  auto numbers = EarlyLetters::BYTES_MAX / sizeof(std::uint64_t);
  REQUIRE(!early.keep(LANE_CONSENSUS, letter(1, 2, 1, numbers)));
  REQUIRE(early.keep(LANE_CONSENSUS, letter(1, 2, 1, numbers - 64)));
  REQUIRE(!early.keep(LANE_CONSENSUS, letter(1, 2, 1, 64)));
  REQUIRE(early.take(LANE_CONSENSUS, 1).size() == 1);
  REQUIRE(early.keep(LANE_CONSENSUS, letter(1, 2, 1, numbers - 64)));
}

}  // namespace
}  // namespace polyquorum::kernel
