// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry for one target. POLYQUORUM_TARGET: its function.
#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  polyquorum::fuzz::POLYQUORUM_TARGET({data, size});
  return 0;
}
