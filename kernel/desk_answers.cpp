// SPDX-License-Identifier: Apache-2.0
// Answers, watches, events and deadlines of the sessions at home here; see desk_home.h.
#include <algorithm>
#include <capnp/serialize.h>
#include "kernel/desk_home.h"
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

/// Of one session, waiting for its API plugin (P4).
constexpr std::uint64_t EVENT_BYTES_MAX = 1 << 20, EVENT_BYTES = 64;
constexpr const char* NO_CONTACT = "no contact to a leader for a third of the session's timeout";

kj::ArrayPtr<const kj::byte> emptyMulti() {
  static const auto words = [] {
    capnp::MallocMessageBuilder message;
    message.initRoot<polyquorum::Operation>().initMulti(0);
    return capnp::messageToFlatArray(message);
  }();
  return words.asBytes();
}

bool equal(const std::vector<state::Identity>& known,
           capnp::List<polyquorum::Identity>::Reader list) {
  if (known.size() != list.size()) return false;
  for (unsigned i = 0; i < list.size(); i++) {
    if (list[i].getScheme() != kj::StringPtr(known[i].scheme.c_str()) ||
        list[i].getId() != kj::StringPtr(known[i].id.c_str())) {
      return false;
    }
  }
  return true;
}

}  // namespace

/// Nobody to hear from: a cluster of one, or a leader that is about to learn that it lost all.
bool DeskHome::alone() const {
  return now.phase == core::Standing::LEADING && post.peers().empty();
}

bool DeskHome::inTouch(const HomeSession& session) const {
  return alone() || timer.now() - lastContact <= session.timeoutMs * kj::MILLISECONDS / 3;
}

/// Whoever is answered now may count on half a timeout more. What this server hears of the leader does not
/// say that the leader hears of this session: a way may be cut in one direction only.
bool DeskHome::heardOf(HomeSession& session, kj::TimePoint since) const {
  if (session.ending) return false;
  session.heard(heardUntil);
  return session.known + session.timeoutMs * kj::MILLISECONDS / 2 >= since || MUTANT("kernel.touch.unheard");
}

bool DeskHome::ready(const Pending& pending) const {
  if (pending.answered) return true;
  if (pending.barrier && (!pending.known || pending.readAt > index)) return false;
  return pending.after <= index;
}

/// Answers what waits no longer, in order. False if the session went adrift over it.
bool DeskHome::drain(HomeSession& session) {
  while (!session.line.empty()) {
    auto& front = session.line.front();
    if (front.write() || !ready(front)) return true;
    if (front.unheard && !front.answered && !heardOf(session, front.since)) return true;
    if (!inTouch(session)) {
      dismiss(session, NO_CONTACT);
      return false;
    }
    auto pending = session.line.pop();
    finish(pending);
    if (!pending.answered) {
      act(&session, session.door, pending.request->getRoot<coordination::Request>().asReader());
    }
    if (pending.blocks()) {
      session.blockers--;
      queueUnsent(session);
    }
  }
  return true;
}

/// Does now what is not a command.
void DeskHome::act(HomeSession* session, unsigned door, Request request) {
  auto id = session == nullptr ? 0 : session->id;
  switch (request.which()) {
    case coordination::Request::QUERY: return query(session, door, request);
    case coordination::Request::WATCH: return watch(*session, request);
    case coordination::Request::UNWATCH: return unwatch(*session, request, true);
    case coordination::Request::WATCHING: return unwatch(*session, request, false);
    case coordination::Request::SYNC:
    case coordination::Request::PING:
      return outbox(door).error(id, index, request.getToken(), Error::OK);
    case coordination::Request::OPERATION:  // a command that was refused when it came
      return outbox(door).error(id, index, request.getToken(), Error::NO_ROOM);
    default: return outbox(door).error(id, index, request.getToken(), Error::UNIMPLEMENTED);
  }
}

void DeskHome::query(HomeSession* session, unsigned door, Request request) {
  auto at = request.getQuery();
  auto query = at.getQuery();
  auto& out = outbox(door);
  auto answer = out.answer(session == nullptr ? 0 : session->id, index, request.getToken());
  host.state().answer(query, answer);
  out.count(answer.getData().size() + answer.getNames().size() * sizeof(capnp::word) * 2);
  if (session == nullptr || !at.getWatch()) return;
  std::uint8_t bits = 0;
  auto error = answer.getError();
  switch (query.which()) {
    case polyquorum::Query::GET:
      if (error == Error::OK) bits = WATCH_DATA;
      break;
    case polyquorum::Query::EXISTS:
      if (error == Error::OK || error == Error::NO_NODE) bits = WATCH_DATA;
      break;
    case polyquorum::Query::CHILDREN:
    case polyquorum::Query::NAMES:
      if (error == Error::OK) bits = WATCH_CHILDREN;
      break;
    default: break;
  }
  if (bits == 0) return;
  remember(*session, query.getIdentities());
  auto path = query.getPath();
  watches.add(session->id, {path.begin(), path.size()}, bits);
}

/// As with ZooKeeper's connections, what a session has proved last holds for all its watches.
void DeskHome::remember(HomeSession& session,
                        capnp::List<polyquorum::Identity>::Reader identities) {
  if (equal(session.identities, identities)) return;
  session.identities.clear();
  for (auto identity : identities) {
    session.identities.push_back({identity.getScheme().cStr(), identity.getId().cStr()});
  }
}

void DeskHome::watch(HomeSession& session, Request request) {
  remember(session, request.getIdentities());
  for (auto watch : request.getWatch()) {
    auto bits = watchBits(watch.getKind());
    if (watch.getKind() == coordination::Watch::Kind::ANY || bits == 0) {
      outbox(session.door).error(session.id, index, request.getToken(), Error::BAD_ARGUMENTS);
      return;
    }
    if (watch.getRenewed()) {
      rewatch(session, watch, bits);
    } else {
      auto path = watch.getPath();
      watches.add(session.id, {path.begin(), path.size()}, bits);
    }
  }
  outbox(session.door).error(session.id, index, request.getToken(), Error::OK);
}

/// B3, setWatches: judged now against the tree; what happened after since is told at once. The
/// entry at since was seen by the client: strictly greater (mutant M29). Persistent watches are set
/// only. Source: ZooKeeper's DataTree.setWatches.
void DeskHome::rewatch(HomeSession& session, coordination::Watch::Reader watch,
                       std::uint8_t bits) {
  using Kind = coordination::Watch::Kind;
  using What = polyquorum::Change::What;
  auto path = watch.getPath();
  auto since = watch.getSince();
  if (MUTANT("M29")) since++;
  if (MUTANT("M29.twice") && since > 0) since--;
  std::string_view view{path.begin(), path.size()};
  kj::Maybe<What> due;
  if (bits & (WATCH_DATA | WATCH_CHILDREN)) {
    auto node = host.state().look(view);
    if (watch.getKind() == Kind::EXIST) {
      if (node) due = What::CREATED;
    } else if (!node) {
      due = What::DELETED;
    } else if (watch.getKind() == Kind::DATA && node->mzxid > since) {
      due = What::DATA_CHANGED;
    } else if (watch.getKind() == Kind::CHILDREN && node->pzxid > since) {
      due = What::CHILDREN_CHANGED;
    }
    KJ_IF_MAYBE (what, due) {
      if (!node || state::permits(*node->acl, state::READ, session.identities)) {
        tellOne(session, path, *what);
      }
      return;
    }
  }
  watches.add(session.id, view, bits);
}

void DeskHome::unwatch(HomeSession& session, Request request, bool remove) {
  bool all = true;
  auto list = remove ? request.getUnwatch() : request.getWatching();
  for (auto watch : list) {
    auto path = watch.getPath();
    std::string_view view{path.begin(), path.size()};
    auto bits = watchBits(watch.getKind());
    all &= remove ? watches.remove(session.id, view, bits)
                  : watches.has(session.id, view, bits);
  }
  outbox(session.door)
      .error(session.id, index, request.getToken(), all ? Error::OK : Error::NO_WATCHER);
}

/// Before any reply that shows the changes: the caller answers afterwards.
void DeskHome::tell(const std::vector<state::Change>& changes) {
  for (auto& change : changes) {
    watches.match(change, [&](std::uint64_t id, polyquorum::Change::What what) {
      auto* session = find(id);
      if (session == nullptr || !change.acl) return;
      // CVE-2024-23944: who may not read the node hears nothing of it.
      if (!state::permits(*change.acl, state::READ, session->identities)) return;
      tellOne(*session, change.path.c_str(), what);
    });
  }
}

void DeskHome::tellOne(HomeSession& session, kj::StringPtr path, polyquorum::Change::What what) {
  auto& out = outbox(session.door);
  if (session.eventTurn != out.turn()) {
    session.eventTurn = out.turn();
    session.eventBytes = 0;
    session.gapTold = false;
  }
  if (session.gapTold) return;
  session.eventBytes += path.size() + EVENT_BYTES;
  if (session.eventBytes > EVENT_BYTES_MAX) {
    session.gapTold = true;
    return out.gap(session.id, index, "more than 1 MiB of events wait for this session");
  }
  out.event(session.id, index, path, what);
}

void DeskHome::dismiss(HomeSession& session, const char* why) {
  outbox(session.door).adrift(session.id, index, why);
  drop(session);
  session.adrift = true;
}

std::vector<std::uint64_t> DeskHome::sortedSessions() const {
  std::vector<std::uint64_t> ids;
  ids.reserve(sessions.size());
  for (auto& entry : sessions) ids.push_back(entry.first);
  std::sort(ids.begin(), ids.end());
  return ids;
}

void DeskHome::contact() {
  // While this server catches up it hears the leader and cannot tell it which sessions live.
  if (!reachable()) return;
  // After a pause of this process the gap counts, not what lay in its sockets.
  if (!timeouts.empty() &&
      timer.now() - lastContact > timeouts.begin()->first * kj::MILLISECONDS / 3) {
    lookRound();
  }
  lastContact = timer.now();
}

void DeskHome::armLook() {
  if (timeouts.empty()) return;
  auto from = alone() ? timer.now() : lastContact;
  lookAlarm.by(from + timeouts.begin()->first * kj::MILLISECONDS / 3 + kj::MILLISECONDS);
}

void DeskHome::lookRound() {
  if (!timeouts.empty() &&
      timer.now() - lastContact > timeouts.begin()->first * kj::MILLISECONDS / 3) {
    for (auto id : sortedSessions()) {
      auto& session = *find(id);
      if (!session.adrift && !session.ghost && !inTouch(session)) dismiss(session, NO_CONTACT);
    }
  }
  armLook();
}

void DeskHome::ringDeadlines() {
  auto now = (timer.now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS;
  while (!deadlines.empty() && deadlines.top().when <= static_cast<std::uint64_t>(now)) {
    auto place = deadlines.top().place;
    deadlines.pop();
    expireOne(place);
  }
  pump();
  post.flush();
  if (!deadlines.empty()) {
    deadlineAlarm.by(kj::origin<kj::TimePoint>() +
                     static_cast<std::int64_t>(deadlines.top().when) * kj::NANOSECONDS);
  }
}

/// Its deadline is past. A command that may be in some log is unknown; one that never left is not
/// done, and a command that changes nothing takes its place in the sequence.
void DeskHome::expireOne(const Place& place) {
  auto* pending = find(place);
  if (pending == nullptr || pending->answered) return;
  bool notDone = pending->write() ? !pending->sent : pending->barrier && !pending->known;
  outbox(pending->door)
      .error(place.session, index, pending->token, notDone ? Error::NOT_SERVING : Error::TIMED_OUT);
  if (place.session == 0) {
    if (pending->write()) byTicket.erase(pending->sequence);
    finish(*pending);
    looseOnes.erase(place.number);
    return;
  }
  pending->answered = true;
  auto& session = *find(place.session);
  if (!pending->write()) {
    drain(session);
  } else if (!pending->sent) {
    CommandId id{session.id, session.incarnation, pending->sequence, pending->sequence};
    id.unanswered = std::min(id.unanswered, session.unanswered());
    pending->body = makeCommand(id, emptyMulti());
  }
}

}  // namespace polyquorum::kernel
