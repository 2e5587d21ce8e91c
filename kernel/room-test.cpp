// SPDX-License-Identifier: Apache-2.0
// When there is room for more, and what is said when there is not.
#include "kernel/room.h"
#include <catch2/catch.hpp>

namespace polyquorum::kernel {
namespace {

constexpr std::uint64_t MIB = 1 << 20;

TEST_CASE("room: a disk is full before it is full, and has room again only with some slack (P1.5)") {
  Room room(1024 * MIB);
  room.disk(2000 * MIB, 100 * MIB);
  REQUIRE((!room.full() && !room.near() && room.why().empty()));
  room.disk(700 * MIB, 100 * MIB);
  REQUIRE((!room.full() && room.near()));
  room.disk(99 * MIB, 100 * MIB);
  REQUIRE(room.full());
  REQUIRE(room.why().find("the disk has 99 MiB free and 100 MiB are kept") == 0);
  room.disk(110 * MIB, 100 * MIB);
  REQUIRE(room.full());
  room.disk(116 * MIB, 100 * MIB);
  REQUIRE(!room.full());
}

TEST_CASE("room: the state may take three quarters of limits.memory (P4)") {
  Room room(100 * MIB);
  room.memory(75 * MIB);
  REQUIRE(!room.full());
  room.memory(75 * MIB + 1);
  REQUIRE(room.full());
  REQUIRE(room.why().find("the state takes 75 MiB of memory and may take 75 MiB") == 0);
  room.memory(72 * MIB);
  REQUIRE(room.full());
  room.memory(71 * MIB);
  REQUIRE(!room.full());
}

}  // namespace
}  // namespace polyquorum::kernel
