// SPDX-License-Identifier: Apache-2.0
// From a frame of the client to a request of the desk. Reads everything before it builds anything,
// so that a malformed frame leaves no trace. No socket, no reply.
#pragma once
#include <cstdint>
#include "interfaces/coordination.capnp.h"
#include "plugins/api/zookeeper/auth.h"
#include "plugins/api/zookeeper/jute.h"
#include "plugins/api/zookeeper/pending.h"
#include "plugins/api/zookeeper/settings.h"

namespace polyquorum::zookeeper {

/// The first frame of a connection.
struct ConnectRequest {
  std::int32_t protocolVersion = 0;
  std::int64_t lastZxidSeen = 0;
  std::int32_t timeoutMs = 0;
  std::uint64_t session = 0;
  std::string_view password;
  bool readOnlySent = false, readOnly = false;
};
/// False: not a connect request; the connection is to be closed.
bool decodeConnect(Reader frame, ConnectRequest& out);

/// Who sent a frame.
struct Asker {
  std::uint64_t session = 0;
  Identities identities;
  const Rules* rules = nullptr;
};

/// Reads the body of a request of this type (never AUTH, SASL: those are the connection's own) into
/// out, a fresh or reused slot, and fills all of pending but token, time and xid. If pending.local,
/// out is untouched and the answer is pending.error. Throws nothing for any input.
void decodeRequest(std::int32_t type, Reader body, const Asker& asker,
                   coordination::Request::Builder out, Pending& pending);

/// For the connection itself: opens or resumes a session.
struct AttachRequest {
  std::uint64_t session = 0, nonce = 0;
  std::uint32_t timeoutMs = 0;
  std::string_view password;
  std::uint8_t home = 0;
};
void buildAttach(const AttachRequest& attach, coordination::Request::Builder out);

/// Ends a session.
void buildDetach(const Asker& asker, coordination::Request::Builder out);

}  // namespace polyquorum::zookeeper
