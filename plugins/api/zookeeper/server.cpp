// SPDX-License-Identifier: Apache-2.0
// Towards the desk: batches out, deliveries in, sessions and who speaks for them. Listening is in
// server_listen.cpp, four-letter words in server_words.cpp.
#include "plugins/api/zookeeper/server.h"
#include <kj/debug.h>

namespace polyquorum::zookeeper {

Server::Server(sdk::Environment& environment, const Settings& settings, std::uint32_t self,
               kj::StringPtr address, coordination::Desk::Client desk)
    : environment(environment), settings(settings), io(environment.io()), acceptor(io), self(self),
      desk(desk), batch(Batch(kj::mv(desk))), ear(kj::refcounted<Ear>(*this)), tasks(*this),
      turnsEnd(*this, [this]() { turn(); }) {
  startedNs = nowNs();
  listen(address);
  if (settings.rules.skipAcl) {
    environment.log(sdk::Level::WARNING, "zookeeper.acl_skipped every client passes every ACL; "
                                         "remove the option skipAcl when the repair is done");
  }
  accept();
  tasks.add(watchClock());
}

Server::~Server() noexcept(false) {
  ear->server = nullptr;
  stopping = true;
  closeAll();
}

std::int64_t Server::nowNs() const {
  return (environment.timer().now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS;
}

coordination::Request::Builder Server::slot(Connection& connection, std::uint64_t session) {
  slotToken = static_cast<std::uint64_t>(connection.slot) << SLOT_SHIFT |
              (nextToken & ((std::uint64_t{1} << SLOT_SHIFT) - 1));
  return KJ_ASSERT_NONNULL(batch).slot(slotToken, session);
}

std::uint64_t Server::take() {
  KJ_ASSERT_NONNULL(batch).take();
  nextToken++;
  schedule();
  return slotToken;
}

void Server::schedule() { turnsEnd.last(); }

/// The end of a turn of the loop: one call of the desk, one send for each connection with something
/// to say.
void Server::turn() {
  KJ_IF_MAYBE(open, batch) {
    tasks.add(open->submit());
  }
  flushAll();
  closedOnes.clear();
}

void Server::dirty(Connection& connection) {
  connection.dirty = true;
  toFlush.push_back(kj::addRef(connection));
  if (!delivering) schedule();
}

void Server::flushAll() {
  for (std::size_t i = 0; i < toFlush.size(); i++) toFlush[i]->flush();
  toFlush.clear();
}

void Server::pause(Connection& connection) {
  connection.paused = true;
  pausedOnes.push_back(kj::addRef(connection));
}

void Server::resumePaused() {
  if (pausedOnes.empty() || full()) return;
  std::vector<kj::Own<Connection>> ready;
  ready.swap(pausedOnes);
  for (auto& connection : ready) connection->resume();
}

std::uint64_t Server::attach(Connection& connection, std::uint64_t session, std::uint32_t timeoutMs,
                             std::string_view password) {
  // Grows over restarts and over the servers that a session visits, as far as clocks allow; a nonce
  // that is not the newest only makes the client try again.
  auto byClock = static_cast<std::uint64_t>(environment.wallTimeMs()) << 20;
  lastNonce = std::max(lastNonce + 1, byClock);
  std::uint64_t fresh[2] = {environment.random(), environment.random()};
  if (session == 0) password = {reinterpret_cast<const char*>(fresh), sizeof(fresh)};
  auto request = slot(connection, 0);
  buildAttach({session, lastNonce, timeoutMs, password, static_cast<std::uint8_t>(self)}, request);
  request.setDeadlineMs(std::max(timeoutMs / 3, 1u));
  return take();
}

void Server::bind(Connection& connection) {
  auto& bound = bySession[connection.session];
  auto* before = bound;
  bound = &connection;
  if (before != nullptr && before != &connection) {
    before->disown();
    before->close();
  }
}

void Server::leave(std::uint64_t session) {
  KJ_IF_MAYBE(open, batch) {
    auto request = open->slot(0, session);
    request.setLeave();
    open->take();
    schedule();
  }
}

void Server::closed(Connection& connection) {
  auto bound = bySession.find(connection.session);
  if (bound != bySession.end() && bound->second == &connection) bySession.erase(bound);
  slots[connection.slot] = nullptr;
  freeSlots.push_back(connection.slot);
  connection.peer.connections--;
  auto place = connection.place;
  closedOnes.push_back(std::move(connections[place]));
  if (place + 1 != connections.size()) {
    connections[place] = std::move(connections.back());
    connections[place]->place = place;
  }
  connections.pop_back();
  if (!stopping) schedule();
}

kj::Promise<void> Server::deliver(DeliverContext context) {
  auto deliveries = context.getParams().getDeliveries();
  delivering = true;
  for (auto delivery : deliveries) deliverOne(delivery);
  delivering = false;
  flushAll();
  resumePaused();
  return kj::READY_NOW;
}

void Server::deliverOne(coordination::Delivery::Reader delivery) {
  auto index = delivery.getIndex();
  indexSeen = std::max(indexSeen, index);
  if (delivery.isReply()) return deliverReply(index, delivery.getReply());
  auto bound = bySession.find(delivery.getSession());
  if (bound == bySession.end()) return;
  auto& connection = *bound->second;
  switch (delivery.which()) {
    case coordination::Delivery::EVENT: return connection.event(index, delivery.getEvent());
    case coordination::Delivery::ENDED: return connection.ended(index);
    // ZooKeeper has no word for a gap: a client that connects again sets its watches anew and hears
    // of what it missed.
    case coordination::Delivery::GAP: case coordination::Delivery::ADRIFT: default:
      return connection.close();
  }
}

void Server::deliverReply(std::uint64_t index, coordination::Delivery::Reply::Reader reply) {
  auto token = reply.getToken();
  auto at = token >> SLOT_SHIFT;
  auto* connection = at < slots.size() ? slots[at] : nullptr;
  if (connection == nullptr) return abandon(reply);
  KJ_IF_MAYBE(fault, kj::runCatchingExceptions([&]() {
    if (connection->state == Connection::State::ATTACHING && connection->attachToken == token) {
      connection->attached(index, reply);
    } else if (!connection->reply(token, index, reply)) {
      abandon(reply);
    }
  })) {
    connection->failed(*fault);
  }
}

/// The reply to a connection that is gone. A session that was opened for it is nobody's: it is left
/// to expire.
void Server::abandon(coordination::Delivery::Reply::Reader reply) {
  auto session = reply.getOutcome().getAttached().getSession();
  if (session != 0 && bySession.find(session) == bySession.end()) leave(session);
}

kj::Promise<void> Server::waitForAnswers(unsigned roundsLeft) {
  if (outstandingCount == 0 || roundsLeft == 0) return kj::READY_NOW;
  return environment.timer().afterDelay(20 * kj::MILLISECONDS).then([this, roundsLeft]() {
    return waitForAnswers(roundsLeft - 1);
  });
}

kj::Promise<void> Server::stop() {
  stopping = true;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  return waitForAnswers(100).then([this]() {
    flushAll();
    closeAll();
    desk = nullptr;
    batch = nullptr;
  });
}

void Server::closeAll() {
  while (!connections.empty()) {
    connections.back()->disown();
    connections.back()->close();
  }
  closedOnes.clear();
  toFlush.clear();
  pausedOnes.clear();
}

void Server::taskFailed(kj::Exception&& exception) {
  if (stopping) return;
  environment.log(sdk::Level::ERROR, kj::str("zookeeper.desk_failed all connections are closed; ",
                                             exception.getDescription()));
  closeAll();
}

}  // namespace polyquorum::zookeeper
