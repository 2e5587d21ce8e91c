// SPDX-License-Identifier: Apache-2.0
// Commands on their way to the leader's desk, and what came back decided; see desk_home.h.
#include <algorithm>
#include <capnp/serialize.h>
#include "kernel/desk_home.h"
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

/// Commands on their way to another member: more would only wait in the lane.
constexpr std::size_t BYTES_OUT_MAX = 8 << 20;
constexpr std::uint32_t TOUCH_INTERVAL_MS_MAX = 250, TOUCHES_PER_TICK = 8;

}  // namespace

bool DeskHome::reachable() const {
  if (now.leader == 0) return false;
  return now.leader == settings.self ? leader.leading() : post.linked(now.leader);
}

void DeskHome::forward(const Place& place, Pending& pending) {
  auto here = now.leader == settings.self;
  pending.sent = pending.onItsWay = true;
  if (!here) {
    pending.counted = true;
    bytesOut += pending.body->bytes().size();
    post.command(now.leader, pending.body->share());
    return;
  }
  // What this node's log may hold must not be stamped a second time.
  if (pending.proposedHere) pending.body = copyBody(pending.body->bytes());
  pending.proposedHere = true;
  leader.take(pending.body->share(),
              {place.session, pending.incarnation, pending.sequence, pending.sequence}, settings.self);
}

/// Now if it may, else when it is its turn.
void DeskHome::send(const Place& place, Pending& pending) {
  if (unsent.empty() && reachable() && bytesOut < BYTES_OUT_MAX) {
    forward(place, pending);
  } else {
    unsent.push_back(place);
  }
}

void DeskHome::pump() {
  if (unsent.empty() || !reachable()) return;
  while (!unsent.empty() && bytesOut < BYTES_OUT_MAX) {
    auto place = unsent.front();
    unsent.pop_front();
    auto* pending = find(place);
    if (pending == nullptr || !pending->write() || pending->onItsWay) continue;
    forward(place, *pending);
  }
}

/// Its writes up to the next request that must be answered before them.
void DeskHome::queueUnsent(HomeSession& session) {
  for (auto& pending : session.line) {
    if (pending.blocks() && !pending.answered) return;
    if (pending.write() && !pending.onItsWay) unsent.push_back({session.id, pending.number});
  }
}

/// A new leader, or a new way to it: everything pending goes there, per session in order. What it
/// has already is dropped there by its sequence or ticket.
void DeskHome::sendAgain() {
  unsent.clear();
  bytesOut = 0;
  auto reset = [](Pending& pending) { pending.onItsWay = pending.counted = false; };
  for (auto id : sortedSessions()) {
    auto& session = *find(id);
    session.ending = false;
    for (auto& pending : session.line) reset(pending);
    queueUnsent(session);
    if (!session.adrift && !session.ghost && !session.touchWaits) {
      session.touchWaits = true;
      touched.push_back(id);
    }
  }
  std::vector<std::uint64_t> numbers;
  for (auto& [number, pending] : looseOnes) {
    if (pending.write()) numbers.push_back(number);
    reset(pending);
  }
  std::sort(numbers.begin(), numbers.end());
  for (auto number : numbers) unsent.push_back({0, number});
  if (!barriers.empty() && !barrierOpen) {
    // A late answer to the question before this one says nothing to newer reads.
    if (!MUTANT("kernel.barrier.late")) barrier++;
    barrierOpen = true;
  }
  pump();
  askBarrier();
  sendTouches();
}

void DeskHome::standing(const core::Standing& standing) {
  if (standing == now) return;
  if (alone()) lastContact = timer.now();
  now = standing;
  sendAgain();
}

void DeskHome::linkUp(core::MemberId peer) {
  if (peer == now.leader) sendAgain();
}

void DeskHome::ready(core::MemberId peer) {
  if (peer == now.leader) sendAgain();
}

/// One question for all barriers of this turn; its answer holds for the older ones too.
void DeskHome::askBarrier() {
  if (!barrierOpen || !reachable()) return;
  barrierOpen = false;
  if (now.leader == settings.self) {
    leader.read(settings.self, barrier);
  } else {
    post.read(now.leader, barrier);
  }
}

void DeskHome::readable(std::uint64_t answered, core::Index at) {
  while (!barriers.empty() && barriers.front().barrier <= answered) {
    auto place = barriers.front().place;
    barriers.pop_front();
    auto* pending = find(place);
    if (pending == nullptr || pending->answered) continue;
    pending->readAt = at;
    pending->known = true;
    // Also if at is applied: answered in settle() or just below, never from inside this loop.
    atIndex.push({at, place});
  }
  settle();
}

void DeskHome::settle() {
  while (!atIndex.empty() && atIndex.top().when <= index) {
    auto place = atIndex.top().place;
    atIndex.pop();
    auto* pending = find(place);
    if (pending == nullptr) continue;
    if (place.session != 0) {
      drain(*find(place.session));
    } else if (ready(*pending)) {
      auto done = kj::mv(*pending);
      looseOnes.erase(place.number);
      finish(done);
      act(nullptr, done.door, done.request->getRoot<coordination::Request>().asReader());
    }
  }
  pump();
}

void DeskHome::touch(HomeSession& session) {
  session.touched = timer.now();
  if (session.touchWaits) return;
  session.touchWaits = true;
  touched.push_back(session.id);
  if (touched.size() > 1) return;  // the alarm is set
  auto interval = std::min(TOUCH_INTERVAL_MS_MAX, settings.sessions.tickMs / TOUCHES_PER_TICK);
  touchAlarm.by(touchesSent + interval * kj::MILLISECONDS);
}

/// Soft state: gathered per node, told to the leader with their age.
void DeskHome::sendTouches() {
  if (!reachable()) return;  // sent when it is
  touchesSent = timer.now();
  for (auto id : touched) {
    auto* session = find(id);
    if (session == nullptr || !session->touchWaits) continue;
    session->touchWaits = false;
    session->heard(heardUntil);
    session->tell(touchesSent);
    if (now.leader == settings.self) {
      session->ending = !leader.touch(id, session->incarnation, session->touched);
    } else {
      auto age = (timer.now() - session->touched + kj::MILLISECONDS - kj::NANOSECONDS) /
                 kj::MILLISECONDS;
      auto told = std::min<std::int64_t>(age, UINT32_MAX);
      post.touch(now.leader, id, session->incarnation, static_cast<std::uint32_t>(told));
    }
  }
  if (!touched.empty() && now.leader != settings.self) {
    post.told(now.leader, (touchesSent - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS);
  }
  touched.clear();
  if (now.leader == settings.self) heardAll(touchesSent);
}

void DeskHome::heard(core::Nanos told) {
  auto until = kj::origin<kj::TimePoint>() + told * kj::NANOSECONDS;
  if (until >= heardUntil && until <= touchesSent) heardAll(until);
}

void DeskHome::ending(std::uint64_t id, std::uint64_t incarnation) {
  auto* session = find(id);
  if (session != nullptr && session->incarnation == incarnation) session->ending = true;
}

/// Who waited for that is answered.
void DeskHome::heardAll(kj::TimePoint until) {
  heardUntil = until;
  auto waiting = std::exchange(unheard, {});
  for (auto id : waiting) {
    auto* session = find(id);
    if (session == nullptr || !session->unheard) continue;
    session->unheard = false;
    if (!drain(*session)) continue;
    session->unheard = std::any_of(session->line.begin(), session->line.end(),
                                   [](const Pending& pending) { return pending.unheard; });
    if (session->unheard) unheard.push_back(id);
  }
  if (!waiting.empty()) pump();
}

void DeskHome::applied(core::Index at, kj::Maybe<polyquorum::Body::Reader> maybeBody,
                       const state::Applied& applied) {
  index = at;
  if (watches.count() > 0 && !applied.changes.empty()) tell(applied.changes);
  std::uint64_t asker = 0;
  KJ_IF_MAYBE (body, maybeBody) {
    if (body->isOperation()) {
      asker = body->getSession();
      if (asker == 0) {
        settleTicket(*body, applied);
      } else if (auto* session = find(asker)) {
        settleWrite(*session, *body, applied);
      }
    }
  }
  for (auto& change : applied.sessions) sessionOver(change, change.session == asker);
}

void DeskHome::settleWrite(HomeSession& session, polyquorum::Body::Reader body,
                           const state::Applied& applied) {
  if (session.incarnation != body.getIncarnation() || session.line.empty()) return;
  auto& front = session.line.front();
  if (!front.write() || front.sequence != body.getSequence()) return;
  if (applied.stale) return;  // never took place: it is still pending, and sent again
  auto pending = session.line.pop();
  finish(pending);
  session.knows(pending.since);  // a command is a sign of life
  if (!pending.answered && !session.ghost) {
    outbox(session.door).reply(session.id, index, pending.token, applied.outcome);
  }
  drain(session);
}

void DeskHome::settleTicket(polyquorum::Body::Reader body, const state::Applied& applied) {
  auto ticket = body.getSequence();
  if (!tickets.mine(ticket)) return;
  auto at = byTicket.find(ticket);
  auto& attached = applied.outcome.attached;
  if (at == byTicket.end()) {
    // Nobody waits any longer. A session that this opened would only live until it expires.
    bool opened = !applied.sessions.empty() &&
                  applied.sessions.front().what == state::SessionChange::OPENED;
    if (opened && attached && find(attached->session) == nullptr) haunt(*attached);
    return;
  }
  auto found = looseOnes.find(at->second);
  byTicket.erase(at);
  auto pending = kj::mv(found->second);
  looseOnes.erase(found);
  finish(pending);
  if (pending.attach && attached && applied.outcome.error == Error::OK) {
    take(pending.door, *attached, pending.since);
  }
  auto session = attached ? attached->session : 0;
  outbox(pending.door).reply(session, index, pending.token, applied.outcome);
}

/// The session's connection is here from now on.
void DeskHome::take(unsigned door, const state::Attached& attached, kj::TimePoint since) {
  if (auto* old = find(attached.session)) {
    if (!old->adrift && !old->ghost) {
      outbox(old->door).ended(old->id, index, Error::SESSION_MOVED);
    }
    forget(*old);
  }
  auto session = kj::heap<HomeSession>();
  session->id = attached.session;
  session->incarnation = attached.incarnation;
  session->timeoutMs = attached.timeoutMs;
  session->door = door;
  session->knows(since);
  auto view = host.state().session(attached.session);
  if (view && view->incarnation == attached.incarnation) session->lastSequence = view->sequence;
  timeouts[session->timeoutMs]++;
  auto& held = *session;
  sessions[held.id] = kj::mv(session);
  touch(held);
  armLook();
}

/// Ends a session that nobody asked for.
void DeskHome::haunt(const state::Attached& attached) {
  capnp::MallocMessageBuilder message;
  message.initRoot<polyquorum::Operation>().setDetach();
  auto operation = capnp::messageToFlatArray(message);
  auto session = kj::heap<HomeSession>();
  session->id = attached.session;
  session->incarnation = attached.incarnation;
  session->timeoutMs = attached.timeoutMs;
  session->ghost = true;
  session->lastSequence = 1;
  Pending pending;
  pending.number = ++lastNumber;
  pending.incarnation = session->incarnation;
  pending.sequence = 1;
  pending.body = makeCommand({session->id, session->incarnation, 1, 1}, operation.asBytes());
  auto& held = session->line.push(kj::mv(pending));
  wait({session->id, held.number}, held, 0);
  unsent.push_back({session->id, held.number});
  sessions[attached.session] = kj::mv(session);
}

/// asked: by the session's own detach, which is answered already.
void DeskHome::sessionOver(const state::SessionChange& change, bool asked) {
  auto* session = find(change.session);
  if (session == nullptr) return;
  if (change.what == state::SessionChange::ENDED) {
    auto& out = outbox(session->door);
    if (!session->adrift && !session->ghost) {
      for (auto& pending : session->line) {
        if (!pending.answered) {
          out.error(session->id, index, pending.token, Error::SESSION_EXPIRED);
        }
      }
      if (!asked) out.ended(session->id, index, Error::SESSION_EXPIRED);
    }
    forget(*session);
  } else if (change.incarnation > session->incarnation) {  // it is at home elsewhere now
    if (!session->adrift && !session->ghost) {
      outbox(session->door).ended(session->id, index, Error::SESSION_MOVED);
    }
    forget(*session);
  }
}

/// A snapshot jumped over entries: events and outcomes may have been missed.
void DeskHome::stateReplaced() {
  index = host.state().index();
  for (auto id : sortedSessions()) {
    auto& session = *find(id);
    if (session.ghost) {
      forget(session);
    } else if (!session.adrift) {
      dismiss(session, "the state was replaced by a snapshot");
    }
  }
  std::vector<std::uint64_t> numbers;
  for (auto& [number, pending] : looseOnes) {
    if (pending.write() && pending.sent) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  for (auto number : numbers) expireOne({0, number});
  settle();
}

}  // namespace polyquorum::kernel
