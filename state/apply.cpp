// SPDX-License-Identifier: Apache-2.0
// One entry at a time: the session's gate, the operation's message, the kept outcome. What
// operations do is in operations.cpp, multi.cpp and lifecycle.cpp.
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <cstring>
#include "state/machine.h"
#include "sdk/mutant.h"

namespace polyquorum::state {

using polyquorum::Body;
using polyquorum::Operation;

std::string_view view(capnp::Text::Reader text) { return {text.begin(), text.size()}; }

std::string_view view(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

std::unique_ptr<State> State::create() { return std::make_unique<Machine>(); }

void Machine::advance(std::uint64_t index, std::int64_t timeMs) {
  KJ_REQUIRE(index == now.index + 1, "entries are applied in order, each once", index, now.index);
  now.index = index;
  now.timeMs = std::max(now.timeMs, timeMs);
  applied.repeated = applied.stale = false;
  applied.outcome.error = Error::OK;
  applied.outcome.path.clear();
  applied.outcome.stat.reset();
  applied.outcome.parts.clear();
  applied.outcome.attached.reset();
  applied.changes.clear();
  applied.sessions.clear();
}

const Applied& Machine::apply(std::uint64_t index) {
  advance(index, now.timeMs);
  return applied;
}

const Applied& Machine::apply(std::uint64_t index, Body::Reader body) {
  advance(index, body.getTimeMs());
  if (body.isSeal()) return applied;

  auto id = body.getSession();
  Session* session = nullptr;
  if (id != 0) {
    session = sessions.find(id);
    bool ghost = MUTANT("M27") && session == nullptr;
    if (!ghost && !gate(session, body)) return applied;
    if (!ghost) {
      sessions.beginChange(*session);
      session->sequence = body.getSequence();
      session->kept.dropBelow(std::min(body.getUnanswered(), session->sequence));
      sessions.endChange(*session);
    }
  }

  try {
    run(id, body.getOperation());
  } catch (const kj::Exception&) {
    refuse(Error::BAD_ARGUMENTS);  // the message lies about its pointers
  }

  // A detached session is gone, and nobody will ask it again.
  if (session != nullptr && (session = sessions.find(id)) != nullptr) {
    sessions.beginChange(*session);
    session->kept.add(session->sequence, applied.outcome);
    sessions.endChange(*session);
  }
  return applied;
}

/// True: this command is its session's next. Otherwise applied says what it is.
bool Machine::gate(Session* session, Body::Reader body) {
  auto stale = [&](Error error) {
    applied.stale = true;
    applied.outcome.error = error;
    return false;
  };
  if (session == nullptr) return stale(Error::SESSION_EXPIRED);
  bool moved = body.getIncarnation() != session->incarnation;
  if (moved && MUTANT("M28.moved")) return true;
  if (moved) return stale(Error::SESSION_MOVED);
  auto sequence = body.getSequence();
  if (sequence == session->sequence + 1) return true;
  if (MUTANT("kernel.sequence.repeat") && sequence <= session->sequence) return true;
  if (sequence > session->sequence || sequence == 0) return stale(Error::SESSION_MOVED);
  applied.repeated = true;
  if (auto* outcome = kept(session->id, sequence)) {
    applied.outcome = *outcome;
  } else {
    // It took place; what became of it is no longer known here.
    applied.outcome.error = Error::TIMED_OUT;
  }
  return false;
}

void Machine::run(std::uint64_t session, capnp::Data::Reader bytes) {
  constexpr std::size_t WORD = sizeof(capnp::word);
  if (bytes.size() == 0 || bytes.size() % WORD != 0) return refuse(Error::BAD_ARGUMENTS);
  kj::Array<capnp::word> copy;
  kj::ArrayPtr<const capnp::word> words(reinterpret_cast<const capnp::word*>(bytes.begin()),
                                        bytes.size() / WORD);
  if (reinterpret_cast<std::uintptr_t>(bytes.begin()) % alignof(std::uint64_t) != 0) {
    copy = kj::heapArray<capnp::word>(bytes.size() / WORD);
    memcpy(copy.begin(), bytes.begin(), bytes.size());
    words = copy;
  }
  // An honest message is read two or three times over; one that points at itself again and again is
  // cut off, at the same point on every node.
  capnp::ReaderOptions options;
  options.traversalLimitInWords = words.size() * 16 + 1024;
  options.nestingLimit = 16;
  capnp::FlatArrayMessageReader message(words, options);
  auto operation = message.getRoot<Operation>();
  Request request;
  request.session = session;
  request.asker = Asker(operation.getIdentities());
  request.enforceQuota = operation.getEnforceQuota();
  auto error = perform(operation, request);
  if (error != Error::OK) applied.outcome.error = error;
}

Error Machine::perform(Operation::Reader operation, Request& request) {
  bool cluster = request.session == 0;
  switch (operation.which()) {
    case Operation::MULTI: return multi(operation.getMulti(), request);
    case Operation::ATTACH:
      return cluster ? attach(operation.getAttach()) : Error::BAD_ARGUMENTS;
    case Operation::DETACH: {
      if (cluster || (MUTANT("M27") && !sessions.find(request.session))) return Error::BAD_ARGUMENTS;
      end(*sessions.find(request.session));
      return Error::OK;
    }
    case Operation::EXPIRE:
      return cluster ? expire(operation.getExpire()) : Error::BAD_ARGUMENTS;
    case Operation::REAP: return cluster ? reap(operation.getReap()) : Error::BAD_ARGUMENTS;
    default: return single(operation, request, applied.outcome);
  }
}

/// Of something that changed nothing.
void Machine::refuse(Error error) {
  applied.outcome = Outcome();
  applied.outcome.error = error;
  applied.changes.clear();
}

// ------------------------------------------------------------------------------------------------
// what the kernel asks

std::uint64_t Machine::digest() const {
  auto hash = mix(SALT_A, now.index);
  hash = mix(hash, static_cast<std::uint64_t>(now.timeMs));
  hash = mix(hash, tree.digest());
  return mix(hash, sessions.digest());
}

std::optional<SessionView> Machine::session(std::uint64_t id) const {
  auto* session = sessions.find(id);
  if (session == nullptr) return std::nullopt;
  return SessionView{id, session->incarnation, session->sequence, session->timeoutMs};
}

void Machine::eachSession(const std::function<void(const SessionView&)>& visit) const {
  for (auto id : sessions.sortedIds()) visit(*session(id));
}

const Outcome* Machine::kept(std::uint64_t id, std::uint64_t sequence) const {
  auto* session = sessions.find(id);
  if (session == nullptr) return nullptr;
  auto encoded = session->kept.find(sequence);
  if (encoded.empty()) return nullptr;
  auto outcome = decodeOutcome(encoded);
  KJ_ASSERT(outcome != std::nullopt, "a kept outcome was damaged in memory", id, sequence);
  found = std::move(*outcome);
  return &found;
}

}  // namespace polyquorum::state
