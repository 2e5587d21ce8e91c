// SPDX-License-Identifier: Apache-2.0
// The ZooKeeper API's decoder; the room has its own entry for fuzzers.
#include "plugins/api/zookeeper/fuzz.h"
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {

void zookeeperFrame(Bytes bytes) { zookeeper::fuzzFrame(bytes.data(), bytes.size()); }

}  // namespace polyquorum::fuzz
