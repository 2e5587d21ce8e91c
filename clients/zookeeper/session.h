// SPDX-License-Identifier: Apache-2.0
// The same session for programs that wait for each answer, such as the verbs of the command line.
#pragma once
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>
#include "clients/zookeeper/codec.h"

namespace polyquorum::zookeeper_client {

/// An answer or the reason why there is none.
template <typename T>
struct Result {
  Error error = Error::OK;
  T value{};
  explicit operator bool() const { return error == Error::OK; }
};

struct Node {
  std::optional<std::string> data;
  Stat stat;
};
struct Children {
  std::vector<std::string> names;  ///< sorted
  Stat stat;
};
struct Created {
  std::string path;  ///< with the sequence number, if the mode has one
  Stat stat;
};
struct Access {
  Acls acls;
  Stat stat;
};

struct SessionSettings {
  std::string endpoints;  ///< "host:port,host:port"
  std::int32_t sessionMs = 10'000;
  int connectMs = 5'000;   ///< how long the constructor tries
  int requestMs = 10'000;  ///< how long each call waits; then OPERATION_TIMEOUT
};

/// Nobody answered. what() names the endpoints.
class Unreachable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One thread. Calls may reconnect inside; CONNECTION_LOSS and OPERATION_TIMEOUT mean: unknown.
class Session {
 public:
  /// Throws Unreachable.
  explicit Session(const SessionSettings& settings);
  /// Closes the session, so that its ephemeral nodes go at once.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<Node> get(const std::string& path, bool watch = false);
  Result<Stat> exists(const std::string& path, bool watch = false);
  Result<Children> children(const std::string& path, bool watch = false);
  Result<Created> create(const std::string& path, const std::optional<std::string>& data,
                         Mode mode = Mode::PERSISTENT, const Acls& acls = {Acl()},
                         std::int64_t ttlMs = 0);
  Result<Stat> set(const std::string& path, const std::optional<std::string>& data,
                   std::int32_t version = -1);
  Error remove(const std::string& path, std::int32_t version = -1);
  Error sync(const std::string& path);
  Result<std::vector<PartResult>> multi(const std::vector<Part>& parts);
  Result<Access> getAcl(const std::string& path);
  Result<Stat> setAcl(const std::string& path, const Acls& acls, std::int32_t version = -1);
  Error authenticate(const std::string& scheme, const std::string& credentials);
  Error addWatch(const std::string& path, bool recursive);

  /// The next notice of a watch; nothing after timeoutMs, or when the session is over.
  std::optional<Notice> nextNotice(int timeoutMs);

  std::int64_t id() const;
  bool expired() const;

 private:
  struct State;
  std::unique_ptr<State> state;

  template <typename T, typename Decode>
  Result<T> call(Op op, std::string body, Decode decode);
  template <typename T, typename Decode>
  Result<T> read(Op op, const std::string& path, bool watch, Decode decode);
};

}  // namespace polyquorum::zookeeper_client
