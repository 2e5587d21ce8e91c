// SPDX-License-Identifier: Apache-2.0
// Requests and replies of ZooKeeper's protocol as bytes. Pure: no socket. Source: zookeeper.jute,
// ZooDefs.java.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>
#include "clients/zookeeper/errors.h"
#include "clients/zookeeper/jute.h"

namespace polyquorum::zookeeper_client {

/// ZooDefs.OpCode.
enum class Op : std::int32_t {
  CREATE = 1,
  DELETE = 2,
  EXISTS = 3,
  GET_DATA = 4,
  SET_DATA = 5,
  GET_ACL = 6,
  SET_ACL = 7,
  GET_CHILDREN = 8,
  SYNC = 9,
  PING = 11,
  GET_CHILDREN2 = 12,
  CHECK = 13,
  MULTI = 14,
  CREATE2 = 15,
  REMOVE_WATCHES = 18,
  CREATE_CONTAINER = 19,
  CREATE_TTL = 21,
  MULTI_READ = 22,
  AUTH = 100,
  SET_WATCHES = 101,
  SET_WATCHES2 = 105,
  ADD_WATCH = 106,
  CLOSE_SESSION = -11,
};

constexpr std::int32_t XID_NOTICE = -1, XID_PING = -2, XID_AUTH = -4, XID_SET_WATCHES = -8;

struct Stat {
  std::int64_t czxid = 0, mzxid = 0, ctimeMs = 0, mtimeMs = 0;
  std::int32_t version = 0, cversion = 0, aversion = 0;
  std::int64_t ephemeralOwner = 0;
  std::int32_t dataLength = 0, numChildren = 0;
  std::int64_t pzxid = 0;
};

struct Acl {
  std::int32_t permissions = 31;  ///< read 1, write 2, create 4, delete 8, admin 16
  std::string scheme = "world", id = "anyone";
};
using Acls = std::vector<Acl>;

/// CreateMode.java.
enum class Mode : std::int32_t {
  PERSISTENT = 0,
  EPHEMERAL = 1,
  SEQUENTIAL = 2,
  EPHEMERAL_SEQUENTIAL = 3,
  CONTAINER = 4,
  TTL = 5,
  TTL_SEQUENTIAL = 6,
};

/// One part of a multi.
struct Part {
  Op op = Op::CHECK;  ///< CREATE2, DELETE, SET_DATA or CHECK; of a multiRead GET_DATA, GET_CHILDREN
  std::string path;
  std::optional<std::string> data;
  std::int32_t version = -1;
  Mode mode = Mode::PERSISTENT;
  Acls acls = {Acl()};
};

struct PartResult {
  Op op = Op::CHECK;
  Error error = Error::OK;
  std::string path;
  std::optional<std::string> data;
  std::vector<std::string> children;
  Stat stat;
};

/// Watcher.Event.EventType.
enum class Change : std::int32_t {
  NONE = -1,
  CREATED = 1,
  DELETED = 2,
  DATA_CHANGED = 3,
  CHILDREN_CHANGED = 4,
  WATCH_REMOVED = 5,
};
const char* text(Change change);

struct Notice {
  Change change = Change::NONE;
  std::string path;
  std::int64_t zxid = -1;
};

struct ReplyHeader {
  std::int32_t xid = 0;
  std::int64_t zxid = 0;
  Error error = Error::OK;
};
constexpr std::size_t REPLY_HEADER_BYTES = 16;

struct Connected {
  std::int32_t timeoutMs = 0;  ///< 0: the session has expired
  std::int64_t sessionId = 0;
  std::string password;
};

/// Whole frames, appended to out.
void encodeConnect(std::string& out, std::int64_t lastZxid, std::int32_t timeoutMs,
                   std::int64_t sessionId, std::string_view password);
void encodeRequest(std::string& out, std::int32_t xid, Op op, std::string_view body);

/// Bodies of requests.
std::string pathBody(std::string_view path);               // sync, getACL
std::string watchBody(std::string_view path, bool watch);  // get, exists, children
std::string createBody(std::string_view path, const std::optional<std::string>& data,
                       const Acls& acls, Mode mode, std::int64_t ttlMs = 0);
std::string deleteBody(std::string_view path, std::int32_t version);
std::string setDataBody(std::string_view path, const std::optional<std::string>& data,
                        std::int32_t version);
std::string setAclBody(std::string_view path, const Acls& acls, std::int32_t version);
std::string multiBody(const std::vector<Part>& parts);
std::string addWatchBody(std::string_view path, bool recursive);
std::string authBody(std::string_view scheme, std::string_view credentials);

struct WatchList {
  std::vector<std::string> data, exist, child, persistent, recursive;
  bool empty() const {
    return data.empty() && exist.empty() && child.empty() && persistent.empty() &&
           recursive.empty();
  }
};
std::string setWatchesBody(std::int64_t lastZxid, const WatchList& watches);

/// The op that creates a node of this mode.
Op createOp(Mode mode);

/// Decoding never throws and never allocates more than the bytes hold; check bad() of the reader.
ReplyHeader readHeader(Reader& reader);
Connected readConnected(Reader& reader);
Stat readStat(Reader& reader);
Acls readAcls(Reader& reader);
std::vector<std::string> readTexts(Reader& reader);
Notice readNotice(Reader& reader);
/// Parts of a multi or multiRead in order. Stops at the first that cannot be read.
std::vector<PartResult> readMulti(Reader& reader);

}  // namespace polyquorum::zookeeper_client
