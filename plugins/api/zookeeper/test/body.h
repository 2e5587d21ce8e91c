// SPDX-License-Identifier: Apache-2.0
// For tests: request bodies, field by field.
#pragma once
#include <string>
#include <string_view>
#include "plugins/api/zookeeper/jute.h"

namespace polyquorum::zookeeper::test {

/// Builds request bodies.
class Body {
public:
  Body() : writer(bytes) {}
  Body& int32(std::int32_t value) { return writer.int32(value), *this; }
  Body& int64(std::int64_t value) { return writer.int64(value), *this; }
  Body& flag(bool value) { return writer.flag(value), *this; }
  Body& text(std::string_view text) { return writer.text(text), *this; }
  Body& null() { return writer.null(), *this; }
  Body& worldAcl() { return int32(1).int32(31).text("world").text("anyone"); }
  std::string string() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

private:
  Bytes bytes;
  Writer writer;
};

}  // namespace polyquorum::zookeeper::test
