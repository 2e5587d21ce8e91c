// SPDX-License-Identifier: Apache-2.0
// An asynchronous session with a ZooKeeper ensemble: pipelined requests, watches, pings, reconnects
// with the same session. Callbacks run on the io_context's thread; nothing blocks.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include "clients/zookeeper/codec.h"

namespace boost::asio {
class io_context;
}

namespace polyquorum::zookeeper_client {

struct ClientSettings {
  std::vector<std::string> endpoints;  ///< "host:port", tried in turn
  std::int32_t timeoutMs = 10'000;     ///< of the session, as asked; the server may change it
};

enum class SessionState { CONNECTING, CONNECTED, EXPIRED, CLOSED };

struct Reply {
  Error error = Error::OK;
  std::int64_t zxid = 0;
  std::string_view body;  ///< valid inside the handler only
};

/// One thread: that of the io_context.
class Client {
 public:
  using Handler = std::function<void(const Reply&)>;

  Client(boost::asio::io_context& io, ClientSettings settings);
  /// Drops the connection; the session lives on until it times out. Handlers that wait are not
  /// called.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Set before start().
  void onState(std::function<void(SessionState)> handler);
  void onNotice(std::function<void(const Notice&)> handler);
  void start();

  /// Queues a request; it leaves when there is a connection. handler is called once: with the
  /// reply, or with CONNECTION_LOSS if the connection broke while it was under way (outcome
  /// unknown), or SESSION_EXPIRED. Replies come in the order of requests.
  void send(Op op, std::string body, Handler handler);

  /// The same for getData, exists and getChildren2 of path, leaving a watch; for addWatch recursive
  /// says which kind. The client registers them again after a reconnect.
  void watch(Op op, const std::string& path, bool recursive, Handler handler);

  /// Ends the session for good; done is called when the server agreed or the connection is gone.
  void close(std::function<void()> done);

  SessionState state() const;
  std::int64_t sessionId() const;
  std::int64_t lastZxid() const;

 private:
  struct Inner;
  std::shared_ptr<Inner> inner;
};

}  // namespace polyquorum::zookeeper_client
