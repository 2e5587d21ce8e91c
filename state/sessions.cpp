// SPDX-License-Identifier: Apache-2.0
// The session table; see sessions.h.
#include "state/sessions.h"
#include <algorithm>
#include "state/bytes.h"
#include "state/hash.h"

namespace polyquorum::state {

std::string Session::password() const {
  std::uint64_t halves[2] = {mix(mix(SALT_A, id), secret), mix(mix(SALT_B, secret), id)};
  return std::string(reinterpret_cast<const char*>(halves), sizeof(halves));
}

std::uint64_t Session::coreHash() const {
  auto hash = mix(SALT_E, id);
  hash = mix(hash, incarnation);
  hash = mix(hash, sequence);
  hash = mix(hash, before);
  hash = mix(hash, beforeSequence);
  hash = mix(hash, nonce);
  hash = mix(hash, secret);
  return mix(hash, static_cast<std::uint64_t>(timeoutMs) << 8 | home);
}

namespace {

/// What the session adds to the digest. Kept outcomes count with their session's id.
std::uint64_t hashOf(const Session& session) {
  return session.coreHash() + mix(session.id, session.kept.digest());
}

}  // namespace

Session* Sessions::find(std::uint64_t id) {
  auto found = byId.find(id);
  return found == byId.end() ? nullptr : &found->second;
}

const Session* Sessions::find(std::uint64_t id) const {
  return const_cast<Sessions*>(this)->find(id);
}

Session* Sessions::attachedUnder(std::uint64_t incarnation) {
  auto found = byIncarnation.find(incarnation);
  return found == byIncarnation.end() ? nullptr : find(found->second);
}

Session& Sessions::add(Session&& session) {
  auto id = session.id;
  auto& added = byId.emplace(id, std::move(session)).first->second;
  byIncarnation.emplace(added.incarnation, id);
  sum += hashOf(added);
  return added;
}

void Sessions::remove(Session& session) {
  beginChange(session);
  byIncarnation.erase(session.incarnation);
  auto id = session.id;
  byId.erase(id);
}

void Sessions::setIncarnation(Session& session, std::uint64_t incarnation) {
  byIncarnation.erase(session.incarnation);
  session.incarnation = incarnation;
  byIncarnation.emplace(incarnation, session.id);
}

void Sessions::beginChange(const Session& session) {
  if (frozen) {
    auto at = std::lower_bound(frozen->ids.begin(), frozen->ids.end(), session.id);
    if (at != frozen->ids.end() && *at == session.id) {
      auto place = static_cast<std::uint32_t>(at - frozen->ids.begin());
      if (frozen->waiting.wants(place)) record(session, frozen->waiting.kept[place]);
    }
  }
  sum -= hashOf(session);
}

void Sessions::endChange(const Session& session) {
  sum += hashOf(session);
}

std::vector<std::uint64_t> Sessions::sortedIds() const {
  std::vector<std::uint64_t> ids;
  ids.reserve(byId.size());
  // layering: allow(unordered): sorted below
  for (auto& [id, session] : byId) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

void Sessions::record(const Session& session, std::string& out) {
  for (auto number : {session.id, session.incarnation, session.sequence, session.before,
                      session.beforeSequence, session.nonce, session.secret}) {
    append(out, number);
  }
  append(out, session.timeoutMs);
  append(out, session.home);
  append(out, session.kept.first());
  append(out, session.kept.size());
  out.append(session.kept.encoded());
}

Session Sessions::fromRecord(std::string_view bytes) {
  ByteReader in(bytes);
  Session session;
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  bool whole = in.number(session.id) && in.number(session.incarnation) &&
               in.number(session.sequence) && in.number(session.before) &&
               in.number(session.beforeSequence) && in.number(session.nonce) &&
               in.number(session.secret) && in.number(session.timeoutMs) &&
               in.number(session.home) && in.number(first) && in.number(count) &&
               count <= Kept::COUNT_MAX && (count == 0 || first + count == session.sequence + 1);
  for (std::uint32_t i = 0; whole && i < count; i++) {
    std::string_view one;
    whole = in.sized(one) && decodeOutcome(one).has_value();
    if (whole) session.kept.addEncoded(first + i, one);
  }
  if (!whole || in.left() > 0 || session.kept.size() != count) return {};
  return session;
}

}  // namespace polyquorum::state
