// SPDX-License-Identifier: Apache-2.0
// What a Client is made of. Shared with its pending callbacks, so that it outlives them.
#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <set>
#include "clients/zookeeper/client.h"

namespace polyquorum::zookeeper_client {

struct Client::Inner : std::enable_shared_from_this<Client::Inner> {
  struct Pending {
    std::int32_t xid;
    Op op;
    std::string body;
    Handler handler;
  };
  using Clock = std::chrono::steady_clock;

  Inner(boost::asio::io_context& io, ClientSettings settings);

  void start();
  void stop();
  void enqueue(Op op, std::string body, Handler handler);
  void remember(Op op, const std::string& path, bool recursive, Error error);

  boost::asio::io_context& io;
  ClientSettings settings;
  std::function<void(SessionState)> onState;
  std::function<void(const Notice&)> onNotice;
  std::function<void()> onClosed;
  SessionState state = SessionState::CONNECTING;
  std::int64_t sessionId = 0, lastZxid = 0;

 private:
  boost::asio::ip::tcp::socket socket;
  boost::asio::ip::tcp::resolver resolver;
  boost::asio::steady_timer tick, retry;
  std::string password;
  std::int32_t timeoutMs;
  std::uint64_t connection = 0;  ///< a callback of an older one is stale
  std::size_t endpoint = 0;
  unsigned attempts = 0;
  bool greeted = false, writing = false, stopped = false;
  std::int32_t nextXid = 1;
  Clock::time_point heard, spoke;

  std::deque<Pending> waiting;   ///< not sent yet
  std::deque<Pending> underWay;  ///< sent, in order
  std::string out, outNow, in;
  std::vector<char> chunk;

  std::set<std::string> dataWatches, existWatches, childWatches, persistent, recursives;

  void connect();
  void greet();
  void broken();
  void expire();
  void setState(SessionState next);
  void read();
  bool readFrames();
  bool frame(std::string_view bytes);
  void welcomed(std::string_view bytes);
  void flush();
  void sendWaiting();
  void onTick();
  void fired(const Notice& notice);
  void restoreWatches();
  void failAll(std::deque<Pending>& requests, Error error);
};

}  // namespace polyquorum::zookeeper_client
