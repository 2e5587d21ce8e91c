// SPDX-License-Identifier: Apache-2.0
// How links come about: dialing with back-off, accepting, and which of two connections is taken.
#include <kj/debug.h>
#include "transport.h"

namespace polyquorum::tcp {
namespace {

/// Accepted connections that have proved nothing yet; more are closed at once.
constexpr unsigned GREETING_MAX = 64;
constexpr kj::Duration COMPLAINT_INTERVAL = 1 * kj::MINUTES;
constexpr std::size_t COMPLAINTS_MAX = 256;

}  // namespace

void TcpTransport::complain(sdk::Level level, kj::StringPtr about, kj::StringPtr line) {
  auto now = environment.timer().now();
  std::string key(about.begin(), about.size());
  auto found = complained.find(key);
  if (found != complained.end() && now - found->second < COMPLAINT_INTERVAL) return;
  if (complained.size() >= COMPLAINTS_MAX) complained.clear();
  complained.insert_or_assign(key, now);
  environment.log(level, line);
}

sdk::Async<void> TcpTransport::acceptAll() {
  for (;;) {
    kj::String problem;
    try {
      auto socket = co_await listener->accept();
      if (greeting >= GREETING_MAX) {
        complain(sdk::Level::WARNING, "strangers",
                 "link.refused: too many connections that do not say who they are");
      } else {
        tasks.add(receiveDial(kj::mv(socket)));
      }
    } catch (const kj::Exception& exception) {
      problem = kj::str(exception.getDescription());
    }
    if (problem.size() > 0) {
      if (!listener) co_return;
      complain(sdk::Level::ERROR, "accept", kj::str("transport.accept_failed: ", problem));
      co_await environment.timer().afterDelay(settings.retryMax);
    }
  }
}

kj::String TcpTransport::judge(const Greeting& greeting) {
  auto found = byId.find(greeting.from);
  if (found == byId.end() || !found->second->listed) {
    return kj::str("member ", greeting.from, " is not in this server's list of members");
  }
  auto* link = found->second->link.get();
  if (link != nullptr && greeting.incarnation < link->incarnation()) {
    return kj::str("a newer life of member ", greeting.from, " is linked already");
  }
  return kj::String();
}

sdk::Async<void> TcpTransport::receiveDial(kj::Own<Socket> socket) {
  auto from = kj::str(socket->peer());
  greeting++;
  KJ_DEFER(greeting--);
  kj::String problem;
  bool serious = false;
  try {
    auto& borrowed = *socket;
    auto proving = proveAndAdopt(borrowed, socket).promise();
    co_await environment.timer().timeoutAfter(settings.handshakeTimeout, kj::mv(proving));
  } catch (const kj::Exception& exception) {
    problem = kj::str(exception.getDescription());
    serious = exception.getType() == kj::Exception::Type::FAILED;
  }
  if (problem.size() == 0) co_return;
  // The port of a dialer changes with each try; its address does not.
  auto host = kj::heapString(from.slice(0, from.findLast(':').orDefault(from.size())));
  if (serious) {
    complain(sdk::Level::WARNING, kj::str(host, problem),
             kj::str("link.refused from=", from, ": ", problem));
  } else {
    environment.log(sdk::Level::DEBUG, kj::str("link.dropped from=", from, ": ", problem));
  }
}

sdk::Async<void> TcpTransport::proveAndAdopt(Socket& socket, kj::Own<Socket>& own) {
  auto reader = kj::heap<FrameReader>(HANDSHAKE_BYTES_MAX);
  auto hello = mine;
  Judge judging = [this](const Greeting& greeting) { return judge(greeting); };
  auto theirs = co_await welcome(socket, *reader, hello, judging);
  auto found = byId.find(theirs.from);
  if (found == byId.end()) co_return;
  // Counted, so that the peer stays and our own dial leaves this one its turn.
  auto& peer = *found->second;
  peer.welcoming++;
  KJ_DEFER({
    peer.welcoming--;
    if (peer.settled) peer.settled->fulfill();
  });
  co_await awaitConfirm(socket, *reader);
  auto problem = judge(theirs);
  if (problem.size() > 0) kj::throwFatalException(KJ_EXCEPTION(FAILED, kj::str(problem)));
  adopt(peer, kj::mv(own), kj::mv(reader), theirs);
}

kj::Promise<void> TcpTransport::pause(Peer& peer) {
  auto pair = kj::newPromiseAndFulfiller<void>();
  peer.wake = kj::mv(pair.fulfiller);
  auto woken = kj::mv(pair.promise);
  bool mayDial = peer.listed && peer.link.get() == nullptr && peer.address.size() > 0;
  if (!mayDial) return woken;
  auto wait = settings.retryMin;
  for (unsigned i = 1; i < peer.attempt && wait < settings.retryMax; i++) wait = wait * 2;
  wait = kj::min(wait, settings.retryMax);
  // Between half of it and all of it, so that two that failed together do not try together.
  auto jitter = static_cast<std::int64_t>(environment.random() >> 32) % 500;
  wait = wait * (500 + jitter) / 1000;
  return environment.timer().afterDelay(wait).exclusiveJoin(kj::mv(woken));
}

sdk::Async<void> TcpTransport::keepDialing(Peer& peer) {
  for (;;) {
    bool mayDial = peer.listed && peer.link.get() == nullptr && peer.address.size() > 0;
    if (!mayDial || peer.attempt > 0) co_await pause(peer);
    peer.wake = nullptr;
    mayDial = peer.listed && peer.link.get() == nullptr && peer.address.size() > 0;
    if (!mayDial) continue;
    peer.attempt++;
    kj::String problem;
    bool serious = false;
    try {
      co_await dialOnce(peer);
    } catch (const kj::Exception& exception) {
      problem = kj::str(exception.getDescription());
      serious = exception.getType() == kj::Exception::Type::FAILED;
    }
    if (problem.size() == 0 || peer.link.get() != nullptr) continue;
    complain(serious ? sdk::Level::WARNING : sdk::Level::INFO, kj::str(peer.id, " ", problem),
             kj::str("link.failed peer=", peer.id, " at=", peer.address, ": ", problem));
  }
}

sdk::Async<void> TcpTransport::dialOnce(Peer& peer) {
  auto& timer = environment.timer();
  auto connecting = dial(environment.io(), peer.address, settings.socket);
  auto socket = co_await timer.timeoutAfter(settings.connectTimeout, kj::mv(connecting));
  auto reader = kj::heap<FrameReader>(HANDSHAKE_BYTES_MAX);
  auto hello = mine;
  hello.to = peer.id;
  auto greeting = greet(*socket, *reader, hello).promise();
  auto theirs = co_await timer.timeoutAfter(settings.handshakeTimeout, kj::mv(greeting));
  // The other side may have dialed too. The lower id never waits: it gives its own connection up if
  // the higher one's is under way, and confirms it otherwise. The higher one waits for that answer.
  if (peer.welcoming > 0 && peer.id > mine.from) co_return;
  while (peer.welcoming > 0 && peer.link.get() == nullptr) {
    auto pair = kj::newPromiseAndFulfiller<void>();
    peer.settled = kj::mv(pair.fulfiller);
    co_await timer.timeoutAfter(settings.handshakeTimeout, kj::mv(pair.promise));
  }
  if (peer.link.get() != nullptr || !peer.listed) co_return;
  co_await confirm(*socket);
  adopt(peer, kj::mv(socket), kj::mv(reader), theirs);
}

void TcpTransport::adopt(Peer& peer, kj::Own<Socket> socket, kj::Own<FrameReader> reader,
                         const Greeting& greeting) {
  if (peer.link.get() != nullptr) peer.link->fail("replaced by a newer connection of the peer");
  reader->setPayloadMax(settings.frameMax);
  LinkSettings link;
  link.peer = peer.id;
  link.number = ++linksMade;
  link.incarnation = greeting.incarnation;
  link.peerFrameMax = greeting.frameMax;
  link.lanes = kj::arrayPtr(lanes.data(), lanes.size());
  environment.log(sdk::Level::INFO,
                  kj::str("link.up peer=", peer.id, " link=", link.number,
                          " incarnation=", link.incarnation, " at=", socket->peer()));
  peer.linkedSince = environment.timer().now();
  mailbag->up(peer.id, link.number, link.incarnation);
  LinkOwner& owner = *this;
  peer.link = kj::heap<Link>(owner, *mailbag, kj::mv(socket), kj::mv(reader), link);
  peer.link->start();
}

}  // namespace polyquorum::tcp
