// SPDX-License-Identifier: Apache-2.0
// multi and multiRead: many requests in one frame. Source: MultiOperationRecord, MultiResponse.
#pragma once
#include "plugins/api/zookeeper/decode.h"

namespace polyquorum::zookeeper {

/// As decodeRequest, for MULTI.
void decodeMulti(Reader body, const Asker& asker, coordination::Request::Builder out,
                 Pending& pending);
/// As decodeRequest, for MULTI_READ.
void decodeMultiRead(Reader body, const Asker& asker, coordination::Request::Builder out,
                     Pending& pending);

}  // namespace polyquorum::zookeeper
