// SPDX-License-Identifier: Apache-2.0
// Requests of API plugins, taken in; see desk_home.h.
#include "kernel/desk_home.h"
#include <capnp/serialize.h>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

/// An operation is at most this long; APIs have tighter limits of their own.
constexpr std::size_t OPERATION_BYTES_MAX = 32 << 20;
/// Answers waiting in one outbox, as a share of the node's memory.
constexpr std::uint64_t OUTBOX_SHARE = 8;
/// Places of requests that are gone are dropped when they outnumber the others this often.
constexpr std::size_t PLACES_PER_REQUEST = 8, PLACES_MIN = 16384;

struct Kind {
  polyquorum::Operation::Which which;
  bool grows;  ///< may make the state larger
};

bool grows(polyquorum::Operation::Reader operation) {
  if (operation.isCreate() || operation.isSetData()) return true;
  if (!operation.isMulti()) return false;
  for (auto part : operation.getMulti()) {
    if (part.isCreate() || part.isSetData()) return true;
  }
  return false;
}

/// What an operation is; nothing if the bytes are not one.
kj::Maybe<Kind> kindOf(capnp::Data::Reader bytes) {
  auto aligned = reinterpret_cast<std::uintptr_t>(bytes.begin()) % sizeof(capnp::word) == 0;
  if (bytes.size() < sizeof(capnp::word) || bytes.size() % sizeof(capnp::word) != 0 || !aligned ||
      bytes.size() > OPERATION_BYTES_MAX) {
    return nullptr;
  }
  kj::Maybe<Kind> kind;
  auto fault = kj::runCatchingExceptions([&] {
    capnp::FlatArrayMessageReader reader(
        kj::arrayPtr(reinterpret_cast<const capnp::word*>(bytes.begin()),
                     bytes.size() / sizeof(capnp::word)));
    auto operation = reader.getRoot<polyquorum::Operation>();
    kind = Kind{operation.which(), grows(operation)};
  });
  if (fault != nullptr) return nullptr;
  return kind;
}

}  // namespace

DeskHome::DeskHome(const DeskSettings& settings, DeskHost& host, sdk::Environment& environment,
                   kj::TaskSet::ErrorHandler& failures, Tickets& tickets, DeskLeader& leader,
                   DeskPost& post)
    : settings(settings),
      host(host),
      timer(environment.timer()),
      failures(failures),
      tickets(tickets),
      leader(leader),
      post(post),
      index(host.state().index()),
      lastContact(timer.now()),
      touchesSent(timer.now()),
      touchAlarm(timer, failures,
                 [this] {
                   sendTouches();
                   this->post.flush();
                 }),
      lookAlarm(timer, failures, [this] { lookRound(); }),
      deadlineAlarm(timer, failures, [this] { ringDeadlines(); }) {}

DeskOutbox& DeskHome::outbox(unsigned door) {
  auto& place = outboxes[door];
  if (place.get() == nullptr) place = kj::heap<DeskOutbox>(failures);
  return *place;
}

kj::Promise<void> DeskHome::drained() {
  auto all = kj::heapArrayBuilder<kj::Promise<void>>(outboxes.size());
  for (auto& [door, outbox] : outboxes) all.add(outbox->drained());
  return kj::joinPromises(all.finish());
}

void DeskHome::submit(unsigned door, capnp::List<coordination::Request>::Reader requests) {
  for (auto request : requests) one(door, request);
  askBarrier();
  pump();
}

HomeSession* DeskHome::find(std::uint64_t id) {
  auto at = sessions.find(id);
  return at == sessions.end() ? nullptr : at->second.get();
}

Pending* DeskHome::find(const Place& place) {
  if (place.session == 0) {
    auto at = looseOnes.find(place.number);
    return at == looseOnes.end() ? nullptr : &at->second;
  }
  auto* session = find(place.session);
  return session == nullptr ? nullptr : session->line.find(place.number);
}

void DeskHome::one(unsigned door, Request request) {
  if (closed) {
    if (!request.isLeave()) {
      outbox(door).error(request.getSession(), index, request.getToken(), Error::NOT_SERVING);
    }
    return;
  }
  if (request.getSession() == 0) return loose(door, request);
  auto* session = find(request.getSession());
  if (session == nullptr || session->door != door || session->ghost) {
    return stranger(door, request);
  }
  if (request.isLeave()) {
    pump();  // what it asked before it went may still take place
    return forget(*session);
  }
  if (session->adrift) return;
  if (!inTouch(*session)) {
    return dismiss(*session, "no contact to a leader for a third of the session's timeout");
  }
  touch(*session);
  if (request.isOperation()) return write(*session, request);
  later(*session, request);
}

/// Its connection came here without an attach, or is of the past.
void DeskHome::stranger(unsigned door, Request request) {
  if (request.isLeave()) return;
  auto known = host.state().session(request.getSession()).has_value();
  outbox(door).error(request.getSession(), index, request.getToken(),
                     known ? Error::SESSION_MOVED : Error::SESSION_EXPIRED);
}

bool DeskHome::full(unsigned door, Request request) {
  if (pendingCount < settings.limits.pendingRequests &&
      outbox(door).bytes() < settings.limits.memoryBytes / OUTBOX_SHARE) {
    return false;
  }
  outbox(door).error(request.getSession(), index, request.getToken(), Error::OVERLOADED);
  return true;
}

void DeskHome::write(HomeSession& session, Request request) {
  auto operation = request.getOperation();
  bool good = false, grows = false;
  KJ_IF_MAYBE (kind, kindOf(operation)) {
    auto which = kind->which;
    good = which != polyquorum::Operation::ATTACH && which != polyquorum::Operation::EXPIRE &&
           which != polyquorum::Operation::REAP;
    grows = kind->grows;
  }
  if (!good) {
    return outbox(session.door)
        .error(session.id, index, request.getToken(), Error::BAD_ARGUMENTS);
  }
  if (full(session.door, request)) return;
  if (grows && !host.refuses().empty()) return later(session, request);  // to be refused, in its order
  CommandId id;
  id.session = session.id;
  id.incarnation = session.incarnation;
  id.unanswered = session.unanswered();
  id.sequence = ++session.lastSequence;
  Pending pending;
  pending.number = ++lastNumber;
  pending.token = request.getToken();
  pending.since = timer.now();
  pending.incarnation = id.incarnation;
  pending.sequence = id.sequence;
  pending.body = makeCommand(id, operation);
  pending.door = session.door;
  auto& held = session.line.push(kj::mv(pending));
  wait({session.id, held.number}, held, request.getDeadlineMs());
  if (session.blockers == 0) send({session.id, held.number}, held);
}

void DeskHome::loose(unsigned door, Request request) {
  switch (request.which()) {
    case coordination::Request::OPERATION: return looseWrite(door, request);
    case coordination::Request::QUERY:
    case coordination::Request::SYNC: break;
    case coordination::Request::LEAVE: return;
    default:  // only a session has watches and can be kept alive
      return outbox(door).error(0, index, request.getToken(), Error::BAD_ARGUMENTS);
  }
  if (readyNow(request)) {
    act(nullptr, door, request);
    return;
  }
  if (full(door, request)) return;
  auto pending = hold(door, request);
  auto number = pending.number;
  auto& held = looseOnes.emplace(number, kj::mv(pending)).first->second;
  wait({0, number}, held, request.getDeadlineMs());
}

void DeskHome::looseWrite(unsigned door, Request request) {
  auto operation = request.getOperation();
  bool good = false, attach = false, grows = false;
  KJ_IF_MAYBE (kind, kindOf(operation)) {
    auto which = kind->which;
    good = which != polyquorum::Operation::DETACH && which != polyquorum::Operation::EXPIRE &&
           which != polyquorum::Operation::REAP;
    attach = which == polyquorum::Operation::ATTACH;
    grows = kind->grows;
  }
  if (!good) return outbox(door).error(0, index, request.getToken(), Error::BAD_ARGUMENTS);
  if (full(door, request)) return;
  if (grows && !host.refuses().empty()) return act(nullptr, door, request);
  CommandId id;
  id.sequence = tickets.next();
  Pending pending;
  pending.number = ++lastNumber;
  pending.token = request.getToken();
  pending.since = timer.now();
  pending.sequence = id.sequence;
  pending.body = makeCommand(id, operation);
  pending.door = door;
  pending.attach = attach;
  byTicket[id.sequence] = pending.number;
  Place place{0, pending.number};
  auto& held = looseOnes.emplace(place.number, kj::mv(pending)).first->second;
  wait(place, held, request.getDeadlineMs());
  send(place, held);
}

/// Everything but commands: in its session's order, now if nothing is before it.
void DeskHome::later(HomeSession& session, Request request) {
  if (!heardOf(session, timer.now())) sendTouches();
  bool unheard = !heardOf(session, timer.now());
  if (session.line.empty() && readyNow(request) && !unheard) {
    act(&session, session.door, request);
    return;
  }
  if (request.isPing()) {
    if (pendingCount >= settings.limits.pendingRequests) return;  // the reply of the next will do
  } else if (full(session.door, request)) {
    return;
  }
  auto& held = session.line.push(hold(session.door, request));
  held.unheard = unheard;
  if (held.blocks()) session.blockers++;
  if (unheard && !session.unheard) {
    session.unheard = true;
    this->unheard.push_back(session.id);
  }
  wait({session.id, held.number}, held, request.getDeadlineMs());
}

bool DeskHome::readyNow(Request request) const {
  if (request.isSync()) return false;
  if (!request.isQuery()) return true;
  auto query = request.getQuery();
  switch (query.getLevel()) {
    case coordination::Level::LOCAL: return true;
    case coordination::Level::SESSION: return query.getAfter() <= index || MUTANT("M28");
    default: return false;  // linearizable, and levels of a later version
  }
}

Pending DeskHome::hold(unsigned door, Request request) {
  Pending pending;
  pending.number = ++lastNumber;
  pending.token = request.getToken();
  pending.since = timer.now();
  pending.door = door;
  pending.request = kj::heap<capnp::MallocMessageBuilder>(request.totalSize().wordCount + 8);
  pending.request->setRoot(request);
  if (request.isSync()) {
    pending.barrier = true;
  } else if (request.isQuery()) {
    auto query = request.getQuery();
    auto level = query.getLevel();
    pending.barrier =
        level != coordination::Level::LOCAL && level != coordination::Level::SESSION;
    if (level != coordination::Level::LOCAL && query.getAfter() > index && !MUTANT("M28")) {
      pending.after = query.getAfter();
    }
  }
  return pending;
}

/// Files a pending request under what it waits for.
void DeskHome::wait(const Place& place, Pending& pending, std::uint32_t deadlineMs) {
  pendingCount++;
  if (pending.barrier) {
    if (!barrierOpen) {
      barrier++;
      barrierOpen = true;
    }
    barriers.push_back({barrier, place});
  }
  if (pending.after > index) atIndex.push({pending.after, place});
  if (deadlineMs > 0) {
    auto moment = timer.now() + deadlineMs * kj::MILLISECONDS;
    auto nanos = (moment - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS;
    deadlines.push({static_cast<std::uint64_t>(nanos), place});
    deadlineAlarm.by(moment);
  }
  auto places = barriers.size() + unsent.size() + deadlines.size() + atIndex.size();
  if (places > PLACES_MIN + PLACES_PER_REQUEST * pendingCount) tidy();
}

void DeskHome::tidy() {
  auto gone = [this](const Place& place) { return find(place) == nullptr; };
  std::erase_if(barriers, [&](const Waiting& waiting) { return gone(waiting.place); });
  std::erase_if(unsent, gone);
  deadlines.forget(gone);
  atIndex.forget(gone);
}

/// Counts a request out that was taken out of its place.
void DeskHome::finish(Pending& pending) {
  pendingCount--;
  if (pending.counted) {
    bytesOut -= std::min(bytesOut, pending.body->bytes().size());
  }
}

/// What it waited for dies unanswered; its watches go.
void DeskHome::drop(HomeSession& session) {
  watches.drop(session.id);
  while (!session.line.empty()) {
    auto pending = session.line.pop();
    finish(pending);
  }
  session.blockers = 0;
  session.unheard = false;
  session.identities.clear();
  if (!session.adrift && !session.ghost) {
    auto at = timeouts.find(session.timeoutMs);
    if (--at->second == 0) timeouts.erase(at);
  }
}

void DeskHome::forget(HomeSession& session) {
  drop(session);
  sessions.erase(session.id);
}

}  // namespace polyquorum::kernel
