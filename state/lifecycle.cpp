// SPDX-License-Identifier: Apache-2.0
// How sessions begin, move and end, and what the cluster itself asks for: expiry and reaping.
#include <kj/debug.h>
#include <algorithm>
#include "state/machine.h"
#include "sdk/mutant.h"

namespace polyquorum::state {
namespace {

constexpr unsigned HOME_SHIFT = 56;  // as in ZooKeeper: the server's id is the top byte

}  // namespace

Error Machine::attach(polyquorum::Attach::Reader attach) {
  auto password = view(attach.getPassword());
  if (attach.getSession() == 0) return open(attach);
  auto* session = sessions.find(attach.getSession());
  // The password comes before all else: a wrong one must not disturb the owner (B8).
  if (session == nullptr || password != session->password()) return Error::SESSION_EXPIRED;
  if (attach.getNonce() != 0 && attach.getHome() == session->home) {
    if (attach.getNonce() == session->nonce) {
      applied.repeated = true;
      answerAttached(*session);
      return Error::OK;
    }
    if (attach.getNonce() < session->nonce) {
      applied.stale = true;
      return Error::SESSION_MOVED;
    }
  }
  sessions.beginChange(*session);
  if (session->sequence > 0) {
    session->before = session->incarnation;
    session->beforeSequence = session->sequence;
  }
  sessions.setIncarnation(*session, now.index);
  session->sequence = 0;
  session->kept.clear();
  session->nonce = attach.getNonce();
  session->home = attach.getHome();
  if (attach.getTimeoutMs() != 0) session->timeoutMs = attach.getTimeoutMs();
  sessions.endChange(*session);
  answerAttached(*session);
  applied.sessions.push_back(
      {SessionChange::RESUMED, session->id, session->incarnation, session->timeoutMs});
  return Error::OK;
}

/// A repeat of an open makes a second session, which expires unused: the nonces of two askers that
/// do not know each other may be equal, so they cannot tell whose session it is.
Error Machine::open(polyquorum::Attach::Reader attach) {
  Session fresh;
  fresh.id = static_cast<std::uint64_t>(attach.getHome()) << HOME_SHIFT | now.index;
  fresh.incarnation = now.index;
  fresh.nonce = attach.getNonce();
  fresh.home = attach.getHome();
  fresh.timeoutMs = attach.getTimeoutMs();
  // The asker's random bytes make it unguessable; the digest keeps two equal askers apart.
  fresh.secret = mix(hashBytes(view(attach.getPassword()), digest()), fresh.id);
  if (sessions.find(fresh.id) != nullptr) return Error::BAD_ARGUMENTS;
  auto& session = sessions.add(std::move(fresh));
  answerAttached(session);
  applied.sessions.push_back(
      {SessionChange::OPENED, session.id, session.incarnation, session.timeoutMs});
  return Error::OK;
}

void Machine::answerAttached(const Session& session) {
  auto& attached = applied.outcome.attached.emplace();
  attached.session = session.id;
  attached.incarnation = session.incarnation;
  attached.timeoutMs = session.timeoutMs;
  attached.password = session.password();
  attached.before = session.before;
  attached.sequence = session.beforeSequence;
}

Error Machine::expire(capnp::List<std::uint64_t>::Reader list) {
  for (auto incarnation : list) {
    if (auto* session = sessions.attachedUnder(incarnation)) end(*session);
  }
  return Error::OK;
}

/// All of its ephemerals go in this entry, in the order of their paths (DataTree.killSession).
void Machine::end(Session& session) {
  auto id = session.id;
  applied.sessions.push_back(
      {SessionChange::ENDED, id, session.incarnation, session.timeoutMs});
  sessions.remove(session);
  if (MUTANT("state.end.ephemerals")) return;
  for (auto& path : ephemerals(id)) removeNode(tree.find(path), path);
}

std::vector<std::string> Machine::ephemerals(std::uint64_t session) const {
  std::vector<std::string> paths;
  for (auto slot : tree.ephemerals(session)) paths.push_back(tree.path(slot));
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Source: ContainerManager.getCandidates.
bool Machine::due(Slot slot, std::int64_t nowMs) const {
  auto& node = tree.at(slot);
  if (node.childCount > 0) return false;
  if (node.kind() == Kind::CONTAINER) return node.creates != 0;
  return node.kind() == Kind::TTL && nowMs > node.mtimeMs &&
         static_cast<std::uint64_t>(nowMs) - static_cast<std::uint64_t>(node.mtimeMs) >
             node.owned().owner;
}

Error Machine::reap(capnp::List<capnp::Text>::Reader list) {
  // All of the message is read before anything changes.
  std::vector<std::string_view> paths;
  for (auto path : list) paths.push_back(view(path));
  for (auto path : paths) {
    auto slot = tree.find(path);
    if (slot != NONE && due(slot, now.timeMs)) removeNode(slot, path);
  }
  return Error::OK;
}

std::vector<std::string> Machine::reapable(std::int64_t nowMs, std::size_t countMax) const {
  std::vector<std::string> paths;
  for (auto slot = tree.firstReapable(); slot != NONE; slot = tree.at(slot).owned().next) {
    if (due(slot, nowMs)) paths.push_back(tree.path(slot));
  }
  // The list's order differs between a node that lived through it and one that loaded it.
  auto end = paths.begin() + std::min(countMax, paths.size());
  std::partial_sort(paths.begin(), end, paths.end());
  paths.erase(end, paths.end());
  return paths;
}

}  // namespace polyquorum::state
