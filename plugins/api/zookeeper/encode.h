// SPDX-License-Identifier: Apache-2.0
// From what the desk answered to frames of ZooKeeper's wire. Writes straight into a connection's
// outgoing bytes; decides nothing about the connection.
#pragma once
#include <cstdint>
#include <string_view>
#include "interfaces/coordination.capnp.h"
#include "plugins/api/zookeeper/bytes.h"
#include "plugins/api/zookeeper/pending.h"

namespace polyquorum::zookeeper {

/// ZooKeeper's number for an outcome. TIMED_OUT and NOT_SERVING have none: on this wire they are a
/// closed connection (see closesConnection).
std::int32_t codeOf(Error error);

/// Outcomes that say nothing about the request, or that end the connection in ZooKeeper without an
/// answer: it is closed, and the client finds out by reconnecting.
bool closesConnection(Error error);

/// The error of a reply, whichever of outcome and answer carries it.
Error errorOf(coordination::Delivery::Reply::Reader reply);

/// The reply to a request of the desk.
void encodeReply(const Pending& pending, std::uint64_t zxid,
                 coordination::Delivery::Reply::Reader reply, Bytes& out);

/// The reply to a request that never went to the desk.
void encodeLocal(const Pending& pending, std::uint64_t zxid, Bytes& out);

/// Only a header; for auth.
void encodeHeader(std::int32_t xid, std::int64_t zxid, std::int32_t error, Bytes& out);

/// The reply to a SASL token by a server that has no SASL: no token, no error; the connection stays
/// what it was. Measured on 3.8.0.
void encodeSasl(std::int32_t xid, Bytes& out);

/// The notice of a watch. Its header carries the zxid of the change, as since ZooKeeper 3.9.
void encodeEvent(std::uint64_t zxid, Change::Reader change, Bytes& out);

/// The answer to a connect request. No attachment: timeout 0, session 0 and 16 zero bytes, which a
/// client takes as "expired". readOnly is sent only to clients that sent theirs.
void encodeConnected(std::uint64_t session, std::uint32_t timeoutMs, std::string_view password,
                     bool withReadOnly, Bytes& out);

}  // namespace polyquorum::zookeeper
