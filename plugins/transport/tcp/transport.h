// SPDX-License-Identifier: Apache-2.0
// Who is linked with whom: listens, dials, decides which connection is the link, and routes
// parcels. Bytes on a link are link.h, greetings handshake.h.
#pragma once
#include <kj/async.h>
#include <map>
#include <string>
#include <vector>
#include "handshake.h"
#include "interfaces/transport.capnp.h"
#include "link.h"
#include "mailbag.h"
#include "sdk/environment.h"
#include "socket.h"

namespace polyquorum::tcp {

struct Settings {
  std::uint32_t frameMax = 64 << 20;
  kj::Duration retryMin = 20 * kj::MILLISECONDS;
  kj::Duration retryMax = 1 * kj::SECONDS;
  kj::Duration connectTimeout = 1 * kj::SECONDS;
  kj::Duration handshakeTimeout = 5 * kj::SECONDS;
  SocketSettings socket;
};

/// One per node. Both members of a pair dial while they are not linked, so a server that returns is
/// linked at once. Of two dials that meet, the lower id decides: it confirms its own unless it has
/// already answered the higher one's, and the higher id waits for that. A newer confirmed
/// connection replaces an older one, which the other side must have given up.
class TcpTransport final : public transport::Transport::Server,
                           private LinkOwner,
                           private kj::TaskSet::ErrorHandler {
 public:
  TcpTransport(sdk::Environment& environment, const Settings& settings);
  ~TcpTransport() noexcept(false);

  kj::Promise<void> start(StartContext context) override;
  kj::Promise<void> peers(PeersContext context) override;
  kj::Promise<void> send(SendContext context) override;
  kj::Promise<void> stream(StreamContext context) override;

  /// Where it listens; 0 before start, or if this member has no peer address.
  std::uint16_t port() const { return listener ? listener->port() : 0; }
  /// What a greeting says of the table of lanes.
  std::uint32_t lanesChecksum() const { return mine.lanes; }

 private:
  struct Peer {
    std::uint32_t id = 0;
    kj::String address;
    bool listed = true;
    unsigned attempt = 0;    ///< dials since the last good link
    unsigned welcoming = 0;  ///< connections of this peer that wait for its confirmation
    kj::Own<Link> link;
    kj::TimePoint linkedSince = kj::origin<kj::TimePoint>();
    kj::Own<kj::PromiseFulfiller<void>> wake, settled;
    kj::Promise<void> dialing = nullptr;
  };
  struct Place {
    std::size_t parcel;
    std::size_t begin, size;
  };

  sdk::Environment& environment;
  const Settings settings;
  Greeting mine;
  std::vector<LaneRule> lanes;
  kj::Own<Mailbag> mailbag;
  kj::Own<Listener> listener;
  bool accepting = false;
  unsigned greeting = 0;  ///< accepted connections that have not proved who they are
  std::uint64_t linksMade = 0;
  std::map<std::uint32_t, kj::Own<Peer>> byId;
  std::map<std::string, kj::TimePoint> complained;
  kj::TaskSet tasks;

  sdk::Async<void> acceptAll();
  sdk::Async<void> receiveDial(kj::Own<Socket> socket);
  sdk::Async<void> proveAndAdopt(Socket& socket, kj::Own<Socket>& own);
  sdk::Async<void> keepDialing(Peer& peer);
  sdk::Async<void> dialOnce(Peer& peer);
  kj::Promise<void> pause(Peer& peer);
  kj::String judge(const Greeting& greeting);
  void adopt(Peer& peer, kj::Own<Socket> socket, kj::Own<FrameReader> reader,
             const Greeting& greeting);

  Link* linkTo(transport::Address::Reader to);
  void push(Link& link, std::uint16_t lane, Chunk& chunk, kj::ArrayPtr<const kj::byte> frame);
  void closeIdle(Peer& peer);
  void stop(kj::StringPtr why);

  void complain(sdk::Level level, kj::StringPtr about, kj::StringPtr line);
  void linkBroken(Link& link, kj::StringPtr why) override;
  void taskFailed(kj::Exception&& exception) override;
};

}  // namespace polyquorum::tcp
