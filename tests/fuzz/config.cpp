// SPDX-License-Identifier: Apache-2.0
// The configuration reader: a configuration, or problems with places and reasons.
#include "kernel/config.h"
#include <kj/debug.h>
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {

void config(Bytes bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  try {
    auto read = kernel::parseConfig(text, "fuzz.yaml", "/nowhere");
    KJ_ASSERT(!read.cluster.empty() && !read.servers.empty());
  } catch (const kernel::ConfigError& error) {
    KJ_ASSERT(!error.problems.empty());
    for (auto& problem : error.problems) KJ_ASSERT(!problem.reason.empty());
  }
}

}  // namespace polyquorum::fuzz
