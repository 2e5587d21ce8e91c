// SPDX-License-Identifier: Apache-2.0
// The numbers of ZooKeeper's client protocol and nothing else. Source: ZooDefs.java,
// KeeperException.java and Watcher.java of ZooKeeper 3.9.
#pragma once
#include <cstdint>

namespace polyquorum::zookeeper {

/// RequestHeader.type.
namespace op {
constexpr std::int32_t NOTIFICATION = 0, CREATE = 1, DELETE = 2, EXISTS = 3, GET_DATA = 4,
                       SET_DATA = 5, GET_ACL = 6, SET_ACL = 7, GET_CHILDREN = 8, SYNC = 9,
                       PING = 11, GET_CHILDREN2 = 12, CHECK = 13, MULTI = 14, CREATE2 = 15,
                       RECONFIG = 16, CHECK_WATCHES = 17, REMOVE_WATCHES = 18,
                       CREATE_CONTAINER = 19, DELETE_CONTAINER = 20, CREATE_TTL = 21,
                       MULTI_READ = 22, AUTH = 100, SET_WATCHES = 101, SASL = 102,
                       GET_EPHEMERALS = 103,
                       GET_ALL_CHILDREN_NUMBER = 104, SET_WATCHES2 = 105, ADD_WATCH = 106,
                       WHO_AM_I = 107, CREATE_SESSION = -10, CLOSE_SESSION = -11, ERROR = -1;
}  // namespace op

/// ReplyHeader.err.
namespace code {
constexpr std::int32_t OK = 0, SYSTEM_ERROR = -1, RUNTIME_INCONSISTENCY = -2,
                       MARSHALLING_ERROR = -5, UNIMPLEMENTED = -6, BAD_ARGUMENTS = -8,
                       NO_NODE = -101, NO_AUTH = -102, BAD_VERSION = -103,
                       NO_CHILDREN_FOR_EPHEMERALS = -108, NODE_EXISTS = -110, NOT_EMPTY = -111,
                       SESSION_EXPIRED = -112, INVALID_ACL = -114, AUTH_FAILED = -115,
                       SESSION_MOVED = -118, NOT_READ_ONLY = -119, NO_WATCHER = -121,
                       RECONFIG_DISABLED = -123,
                       QUOTA_EXCEEDED = -125, THROTTLED_OP = -127;
}  // namespace code

/// Xids with a meaning; all others are the client's own and only echoed.
namespace xid {
constexpr std::int32_t NOTICE = -1, PING = -2, AUTH = -4, SET_WATCHES = -8;
}  // namespace xid

/// KeeperState.SyncConnected, the state in every notice of a watch.
constexpr std::int32_t SYNC_CONNECTED = 3;

/// Bytes before every frame, and of a ReplyHeader.
constexpr std::size_t LENGTH_BYTES = 4, REPLY_HEADER_BYTES = 16;

/// Before the handshake a connection may hold this much, this long.
constexpr std::size_t HANDSHAKE_BYTES_MAX = 4096;
constexpr unsigned HANDSHAKE_SECONDS_MAX = 5;

}  // namespace polyquorum::zookeeper
