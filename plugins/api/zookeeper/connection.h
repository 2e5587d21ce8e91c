// SPDX-License-Identifier: Apache-2.0
// One client's TCP connection: frames in, frames out, and what is pending between. It asks and is
// told through the server, which alone knows the desk and the other connections.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <kj/refcount.h>
#include <cstdint>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "plugins/api/zookeeper/auth.h"
#include "plugins/api/zookeeper/bytes.h"
#include "plugins/api/zookeeper/counters.h"
#include "plugins/api/zookeeper/decode.h"
#include "plugins/api/zookeeper/pending.h"

namespace polyquorum::zookeeper {

class Server;

using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// All connections of one address share one.
struct Peer {
  std::string address;
  bool loopback = false;
  unsigned connections = 0;
  unsigned words = 0;             ///< four-letter words in the present second
  std::int64_t wordsSecond = 0;
};

/// Refcounted: handlers in flight hold a reference, the server holds one while it is open.
class Connection : public kj::Refcounted {
public:
  Connection(Server& server, Socket&& socket, Peer& peer, std::uint16_t remotePort);

  // --- for the server

  /// Begins to read.
  void start() { read(); }

  /// The reply to the attach of this connection.
  void attached(std::uint64_t index, coordination::Delivery::Reply::Reader reply);
  /// The reply to the first pending request. False: token is not that request's.
  bool reply(std::uint64_t token, std::uint64_t index, coordination::Delivery::Reply::Reader reply);
  void event(std::uint64_t index, Change::Reader change);
  /// The session is over here: closes at once; a closeSession that waits is answered first.
  void ended(std::uint64_t index);

  /// Sends what is in the outgoing bytes: one system call.
  void flush();
  /// Parses and reads on if limits had stopped it.
  void resume();
  /// Closes the socket; nothing more is sent or read. Tells the server, and the desk unless the
  /// session is over or has another connection.
  void close();
  /// Answers a four-letter word with this and closes.
  void finish(std::string_view text);
  /// A fault in this connection's code: logs it and closes.
  void failed(const kj::Exception& fault);
  /// The session belongs to another connection now, or is over: close() will not say "leave".
  void disown() { owner = false; }

  enum class State : std::uint8_t { FRESH, WORD, ATTACHING, OPEN, DRAINING, CLOSED };

  State state = State::FRESH;
  bool dirty = false;             ///< in the server's list of those to flush
  bool paused = false;            ///< in the server's list of those that stopped reading
  std::uint32_t place = 0;        ///< in the server's table
  std::uint32_t slot = 0;         ///< upper part of this connection's tokens
  std::uint64_t session = 0;      ///< 0 until attached
  std::uint64_t attachToken = 0;  ///< ATTACHING only.
  std::uint32_t timeoutMs = 0;
  std::int64_t sinceNs = 0;       ///< of FRESH and DRAINING, for their limits in time
  std::int64_t openedMs = 0;      ///< wall clock, for eyes
  Peer& peer;
  Traffic traffic;
  std::int32_t lastType = 0, lastCxid = -1;
  std::uint64_t lastZxid = 0;
  std::int64_t lastResponseNs = 0;
  const std::uint16_t remotePort;

  std::size_t outstanding() const { return pending.size(); }

private:
  static constexpr std::size_t INLINE_BYTES = 192, BUSY_BYTES = 8192;

  Server* server;                 // null once closed
  Socket socket;
  bool reading = false, writing = false, parsing = false;
  bool readOnlySent = false;
  bool last = false;              // a request that ends the connection is pending
  bool owner = false;             // of the session
  std::uint32_t filled = 0;       // bytes of input not yet parsed
  std::uint32_t sent = 0;         // of out
  std::uint8_t small[INLINE_BYTES];
  Bytes large;                    // the input buffer instead of small, if it has room
  Bytes out;
  PendingQueue pending;
  std::vector<Proof> proofs;
  std::int64_t zxidSeen = 0;

  std::uint8_t* input() { return large.capacity() != 0 ? large.data() : small; }
  std::size_t inputRoom() const { return large.capacity() != 0 ? large.capacity() : INLINE_BYTES; }
  std::size_t unsent() const { return out.size() - sent; }

  template <typename Work>
  void guarded(Work&& work);
  Bytes& outgoing();
  void read();
  void received(std::size_t bytes);
  void fitInput(std::size_t lastBytes);
  void moveInput(std::size_t roomMin);
  void parse();
  bool parseOne(std::size_t& from);
  std::size_t word(const std::uint8_t* at, std::size_t size);
  bool mayParse() const;
  void readOn();
  void connect(Reader frame);
  void frame(Reader frame);
  void request(std::int32_t xid, std::int32_t type, Reader body);
  void authenticate(std::int32_t xid, Reader body);
  bool passUnansweredPings(std::uint64_t token, std::uint64_t index);
  void answerLocals();
  void count(const Pending& answered, std::uint64_t zxid);
  void markDirty();
  void drain();
  void waitWritable();
  Asker asker() const;
};

}  // namespace polyquorum::zookeeper
