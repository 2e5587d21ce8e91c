// SPDX-License-Identifier: Apache-2.0
// The checksum against its published check values, and both ways against each other.
#include "sdk/crc32c.h"
#include <catch2/catch.hpp>
#include <string>

using polyquorum::sdk::crc32c;
using polyquorum::sdk::crc32cByTable;

TEST_CASE("crc32c gives the values of RFC 3720, appendix B.4") {
  char zeros[32] = {};
  std::string ones(32, '\xff');
  CHECK(crc32c(0, zeros, 32) == 0x8a9136aa);
  CHECK(crc32c(0, ones.data(), 32) == 0x62a8ab43);
  CHECK(crc32c(0, "123456789", 9) == 0xe3069283);
  CHECK(crc32cByTable(0, "123456789", 9) == 0xe3069283);
  CHECK(crc32c(0, nullptr, 0) == 0);
}

TEST_CASE("crc32c may be computed in pieces") {
  CHECK(crc32c(crc32c(0, "12345", 5), "6789", 4) == 0xe3069283);
  CHECK(crc32cByTable(crc32cByTable(0, "1", 1), "23456789", 8) == 0xe3069283);
}

TEST_CASE("crc32c is the same by instruction and by table, at every size and alignment") {
  std::string text;
  for (int i = 0; i < 100; i++) text.push_back(static_cast<char>(i * 37 + 11));
  for (std::size_t from = 0; from < 9; from++) {
    for (std::size_t size = 0; from + size <= text.size(); size++) {
      REQUIRE(crc32c(7, text.data() + from, size) == crc32cByTable(7, text.data() + from, size));
    }
  }
}
