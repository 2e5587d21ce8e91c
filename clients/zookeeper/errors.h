// SPDX-License-Identifier: Apache-2.0
// What can become of a request, with ZooKeeper's numbers. Source: KeeperException.java.
#pragma once
#include <cstdint>

namespace polyquorum::zookeeper_client {

enum class Error : std::int32_t {
  OK = 0,
  SYSTEM_ERROR = -1,
  RUNTIME_INCONSISTENCY = -2,
  DATA_INCONSISTENCY = -3,
  CONNECTION_LOSS = -4,    ///< it may have happened or not
  MARSHALLING_ERROR = -5,  ///< also: a reply that cannot be read
  UNIMPLEMENTED = -6,
  OPERATION_TIMEOUT = -7,  ///< it may have happened or not
  BAD_ARGUMENTS = -8,
  NEW_CONFIG_NO_QUORUM = -13,
  RECONFIG_IN_PROGRESS = -14,
  NO_NODE = -101,
  NO_AUTH = -102,
  BAD_VERSION = -103,
  NO_CHILDREN_FOR_EPHEMERALS = -108,
  NODE_EXISTS = -110,
  NOT_EMPTY = -111,
  SESSION_EXPIRED = -112,
  INVALID_CALLBACK = -113,
  INVALID_ACL = -114,
  AUTH_FAILED = -115,
  CLOSING = -116,
  SESSION_MOVED = -118,
  NOT_READ_ONLY = -119,
  EPHEMERAL_ON_LOCAL_SESSION = -120,
  NO_WATCHER = -121,
  RECONFIG_DISABLED = -123,
  SESSION_CLOSED_REQUIRE_SASL_AUTH = -124,
  QUOTA_EXCEEDED = -125,
  THROTTLED_OP = -127,
};

/// A short sentence for people: "there is no such node".
const char* text(Error error);
/// ZooKeeper's own word: "NoNode".
const char* name(Error error);

}  // namespace polyquorum::zookeeper_client
