// SPDX-License-Identifier: Apache-2.0
// Tables and JSON: what scripts and eyes rely on.
#include "cli/output.h"
#include <catch2/catch.hpp>
#include <cstdlib>

namespace polyquorum::cli {
namespace {

TEST_CASE("output: columns are aligned by characters, and no line ends in a space") {
  Table table({"id#", "role"});
  table.add({"1", "führend"});
  table.add({"12", ""});

  REQUIRE(table.text() == "id  role\n1   führend\n12\n");
  REQUIRE(table.text(false) == "1   führend\n12\n");
}

TEST_CASE("output: JSON escapes what it must and replaces what is not UTF-8") {
  REQUIRE(jsonText("a\"b\\c\n\x01") == "\"a\\\"b\\\\c\\u000a\\u0001\"");
  REQUIRE(jsonText("caf\xc3\xa9") == "\"caf\xc3\xa9\"");
  REQUIRE(jsonText("caf\xe9!") == "\"caf\\ufffd!\"");
  REQUIRE(jsonText("\xf0\x9f\x98") == "\"\\ufffd\\ufffd\\ufffd\"");
}

TEST_CASE("output: an error says what is wrong, not how the program found out") {
  CHECK(plainly("expected a == b [1 == 2]; the disk is full; a = 1") == "the disk is full; a = 1");
  CHECK(plainly("plugin file: expected found; the log is gone") == "plugin file: the log is gone");
  CHECK(plainly("expected a == b") == "expected a == b");
  CHECK(plainly("no more than expected here; bye") == "no more than expected here; bye");
}

TEST_CASE("output: without a terminal there is no colour") {
  // The tests' stdout may be a terminal; NO_COLOR decides then.
  setenv("NO_COLOR", "1", 1);
  REQUIRE(paint(Colour::RED, "x") == "x");
  unsetenv("NO_COLOR");
}

}  // namespace
}  // namespace polyquorum::cli
