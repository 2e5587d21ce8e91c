// SPDX-License-Identifier: Apache-2.0
// See errors.h.
#include "clients/zookeeper/errors.h"

namespace polyquorum::zookeeper_client {
namespace {

struct Row {
  Error error;
  const char* name;
  const char* text;
};

constexpr Row ROWS[] = {
    {Error::OK, "Ok", "done"},
    {Error::SYSTEM_ERROR, "SystemError", "the server failed"},
    {Error::RUNTIME_INCONSISTENCY, "RuntimeInconsistency",
     "not done, because another operation of the same multi failed"},
    {Error::DATA_INCONSISTENCY, "DataInconsistency", "the server's data contradict each other"},
    {Error::CONNECTION_LOSS, "ConnectionLoss",
     "the connection broke before the answer came; it may have happened or not"},
    {Error::MARSHALLING_ERROR, "MarshallingError", "the message could not be read"},
    {Error::UNIMPLEMENTED, "Unimplemented", "the server does not offer this operation"},
    {Error::OPERATION_TIMEOUT, "OperationTimeout",
     "no answer in time; it may have happened or not"},
    {Error::BAD_ARGUMENTS, "BadArguments", "an argument is not valid"},
    {Error::NEW_CONFIG_NO_QUORUM, "NewConfigNoQuorum", "too few of the new members are connected"},
    {Error::RECONFIG_IN_PROGRESS, "ReconfigInProgress", "another reconfiguration is under way"},
    {Error::NO_NODE, "NoNode", "there is no such node"},
    {Error::NO_AUTH, "NoAuth", "this session may not do that"},
    {Error::BAD_VERSION, "BadVersion", "the node has another version"},
    {Error::NO_CHILDREN_FOR_EPHEMERALS, "NoChildrenForEphemerals",
     "an ephemeral node cannot have children"},
    {Error::NODE_EXISTS, "NodeExists", "the node exists already"},
    {Error::NOT_EMPTY, "NotEmpty", "the node has children"},
    {Error::SESSION_EXPIRED, "SessionExpired", "the session has expired"},
    {Error::INVALID_CALLBACK, "InvalidCallback", "the callback is not valid"},
    {Error::INVALID_ACL, "InvalidACL", "the access list is not valid"},
    {Error::AUTH_FAILED, "AuthFailed", "the credentials were not accepted"},
    {Error::CLOSING, "Closing", "the client is closing"},
    {Error::SESSION_MOVED, "SessionMoved", "the session has moved to another server"},
    {Error::NOT_READ_ONLY, "NotReadOnly", "the server is read-only now"},
    {Error::EPHEMERAL_ON_LOCAL_SESSION, "EphemeralOnLocalSession",
     "a local session cannot create ephemeral nodes"},
    {Error::NO_WATCHER, "NoWatcher", "there is no such watch"},
    {Error::RECONFIG_DISABLED, "ReconfigDisabled", "reconfiguration is switched off"},
    {Error::SESSION_CLOSED_REQUIRE_SASL_AUTH, "SessionClosedRequireSaslAuth",
     "the server requires SASL"},
    {Error::QUOTA_EXCEEDED, "QuotaExceeded", "the quota does not allow it"},
    {Error::THROTTLED_OP, "ThrottledOp", "the server is overloaded; try later"},
};

const Row* find(Error error) {
  for (auto& row : ROWS) {
    if (row.error == error) return &row;
  }
  return nullptr;
}

}  // namespace

const char* text(Error error) {
  auto* row = find(error);
  return row == nullptr ? "an error without a name" : row->text;
}

const char* name(Error error) {
  auto* row = find(error);
  return row == nullptr ? "Unknown" : row->name;
}

}  // namespace polyquorum::zookeeper_client
