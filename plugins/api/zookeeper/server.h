// SPDX-License-Identifier: Apache-2.0
// All connections of one node's ZooKeeper door: listening, limits, the turn's batch to the desk,
// and what the desk delivers. Reads no frame: that is a connection's.
#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <kj/async.h>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "plugins/api/zookeeper/batch.h"
#include "plugins/api/zookeeper/bytes.h"
#include "plugins/api/zookeeper/connection.h"
#include "plugins/api/zookeeper/counters.h"
#include "plugins/api/zookeeper/settings.h"
#include "plugins/api/zookeeper/words.h"
#include "sdk/environment.h"
#include "sdk/later.h"

namespace polyquorum::zookeeper {

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp,
                                                    boost::asio::io_context::executor_type>;

/// The outbox of this API. Lives as long as its capability; stop() ends all it does.
class Server final : public coordination::Outbox::Server, private kj::TaskSet::ErrorHandler {
public:
  /// Listens on address ("host:port", port 0: any). Throws FAILED with the cure if it cannot.
  /// environment outlives it.
  Server(sdk::Environment& environment, const Settings& settings, std::uint32_t self,
         kj::StringPtr address, coordination::Desk::Client desk);
  ~Server() noexcept(false);
  KJ_DISALLOW_COPY(Server);

  std::uint16_t port() const { return listeningPort; }
  /// Stops listening and reading, waits at most two seconds for what is pending, closes all.
  kj::Promise<void> stop();

  kj::Promise<void> deliver(DeliverContext context) override;

  // --- for connections

  sdk::Environment& environment;
  const Settings settings;
  Traffic traffic;
  Refusals refusals;
  BytesPool pool;

  /// The loop's clock, monotonic.
  std::int64_t nowNs() const;
  /// The index of the last delivery.
  std::uint64_t lastIndex() const { return indexSeen; }
  /// A slot of this turn's batch for a request of this connection; see Batch::slot.
  coordination::Request::Builder slot(Connection& connection, std::uint64_t session);
  /// The slot is filled. Returns its token.
  std::uint64_t take();
  /// Counts a pending request against the limit, until answered().
  void asked() { outstandingCount++; }
  void answered() { outstandingCount--; }
  /// No more requests may be read.
  bool full() const { return stopping || outstandingCount >= settings.outstandingMax; }

  /// Opens or resumes a session for this connection; answered by Connection::attached.
  std::uint64_t attach(Connection& connection, std::uint64_t session, std::uint32_t timeoutMs,
                       std::string_view password);
  /// This connection now speaks for its session; another one of the same session is closed.
  void bind(Connection& connection);
  void leave(std::uint64_t session);
  void dirty(Connection& connection);
  void pause(Connection& connection);
  void closed(Connection& connection);
  void word(Connection& connection, std::string_view word, std::uint64_t argument);

private:
  /// What handlers of the acceptor hold instead of the server.
  struct Ear : public kj::Refcounted {
    explicit Ear(Server& server) : server(&server) {}
    Server* server;
  };

  boost::asio::io_context& io;
  Acceptor acceptor;
  std::uint16_t listeningPort = 0;
  const std::uint32_t self;
  kj::Maybe<coordination::Desk::Client> desk;     // null once stopped
  kj::Maybe<Batch> batch;
  std::vector<kj::Own<Connection>> connections;   // in any order; each knows its place
  std::vector<kj::Own<Connection>> closedOnes;    // until the end of the turn
  std::vector<kj::Own<Connection>> toFlush, pausedOnes;
  std::vector<Connection*> slots;                 // by token >> SLOT_SHIFT; null: free
  std::vector<std::uint32_t> freeSlots;
  std::unordered_map<std::uint64_t, Connection*> bySession;
  std::unordered_map<std::string, Peer> peers;
  std::uint64_t nextToken = 1, slotToken = 0, lastNonce = 0, indexSeen = 0, traceMask = 306;
  std::size_t outstandingCount = 0;
  bool delivering = false, stopping = false;
  std::int64_t refusalLoggedNs = 0, startedNs = 0;
  kj::Own<Ear> ear;
  kj::TaskSet tasks;
  sdk::Later turnsEnd;

  static constexpr unsigned SLOT_SHIFT = 40;

  void listen(kj::StringPtr address);
  void accept();
  void acceptAll();
  void admit(Socket&& socket);
  void schedule();
  void turn();
  void deliverOne(coordination::Delivery::Reader delivery);
  void deliverReply(std::uint64_t index, coordination::Delivery::Reply::Reader reply);
  void abandon(coordination::Delivery::Reply::Reader reply);
  void resumePaused();
  void flushAll();
  void closeAll();
  void sweep();
  kj::Promise<void> watchClock();
  kj::Promise<void> waitForAnswers(unsigned roundsLeft);
  kj::Promise<std::string> answer(std::string word);
  ServerFacts facts(std::string_view word);
  void reset(std::string_view word);
  void taskFailed(kj::Exception&& exception) override;
};

}  // namespace polyquorum::zookeeper
