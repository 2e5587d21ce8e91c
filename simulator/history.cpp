// SPDX-License-Identifier: Apache-2.0
// The one order of entries; see history.h.
#include "simulator/history.h"
#include <capnp/serialize.h>
#include <algorithm>
#include <cstring>
#include "kernel/body.h"

namespace polyquorum::simulator {
namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);
  return hash * 0xff51afd7ed558ccd;
}

std::uint64_t hashOf(Body::Reader body) {
  auto hash = mix(body.getSession(), body.getIncarnation());
  hash = mix(hash, body.getSequence());
  hash = mix(hash, static_cast<std::uint64_t>(body.getTimeMs()));
  if (body.isSeal()) return mix(hash, body.getSeal().getId() + 1);
  auto bytes = body.getOperation();
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    memcpy(&word, bytes.begin() + at, std::min(sizeof(word), bytes.size() - at));
    hash = mix(hash, word);
  }
  return hash | 1;
}

std::string name(polyquorum::Error error) { return kj::str(error).cStr(); }

}  // namespace

/// Looks through one server's eyes, for one life.
class History::Eye final : public kernel::Witness {
 public:
  Eye(History& history, core::MemberId server) : history(history), server(server) {}
  void applied(core::Index index, kj::Maybe<Body::Reader> body, const state::Applied& applied,
               const state::State& state) override {
    history.applied(server, index, body, applied, state.digest());
  }
  void installed(const state::State& state) override {
    history.installed(server, state.index(), state.digest());
  }
  void standing(std::uint32_t segment, const core::Standing& standing) override {
    history.standing(server, segment, standing);
    history.ledger.standing(server, segment, standing);
    if (history.stood) history.stood(server, standing);
  }
  void booted(storage::Storage::OpenResults::Reader found) override {
    history.ledger.booted(server, found);
  }
  void queued(std::uint64_t number, const kernel::PendingWrite& write) override {
    history.ledger.queued(server, number, write);
  }
  void durable(std::uint64_t number) override { history.ledger.durable(server, number); }

 private:
  History& history;
  const core::MemberId server;
};

std::unique_ptr<kernel::Witness> History::witness(core::MemberId server) {
  return std::make_unique<Eye>(*this, server);
}

core::Index History::tookAt(const CommandName& command) const {
  auto found = taken.find(command);
  return found == taken.end() ? 0 : found->second;
}

void History::never(const CommandName& command) { refused.insert(command); }

void History::applied(core::MemberId server, core::Index index, kj::Maybe<Body::Reader> body,
                      const state::Applied& applied, std::uint64_t digest) {
  auto where = [&]() {
    return "index " + std::to_string(index) + " at server " + std::to_string(server);
  };
  std::uint64_t hash = 0;
  KJ_IF_MAYBE (text, body) hash = hashOf(*text);
  if (index <= entries.size()) {
    auto& known = entries[index - 1];
    if (known.body != hash)
      return story.violate("agreement", where() + " holds another entry than elsewhere");
    if (known.digest != digest)
      story.violate("state-digest", where() + " led to another state than elsewhere");
    return;
  }
  if (index != entries.size() + 1) {
    return story.violate("agreement",
                         where() + " was applied before any server applied what precedes it");
  }
  Decided entry;
  entry.body = hash;
  entry.digest = digest;
  KJ_IF_MAYBE (text, body) {
    if (!text->isSeal()) decide(index, *text, applied, entry);
    entry.seal = text->isSeal();
    if (entry.seal) story.count("seals applied");
  } else {
    story.count("no-ops");
  }
  entries.push_back(entry);
  ledger.decided(server, index);
}

void History::decide(core::Index index, Body::Reader body, const state::Applied& applied,
                     Decided& entry) {
  entry.session = body.getSession();
  entry.incarnation = body.getIncarnation();
  entry.sequence = body.getSequence();
  entry.took = !applied.stale && !applied.repeated;
  entry.error = applied.outcome.error;
  if (entry.session != 0) gate(index, body, applied);
  if (!entry.took) return story.count("repeats and gaps in the log");
  if (entry.session != 0) {
    CommandName command{entry.session, entry.incarnation, entry.sequence};
    if (!taken.emplace(command, index).second) {
      story.violate("exactly-once",
                    "a command took place twice, again at " + std::to_string(index));
    }
    if (refused.count(command) > 0) {
      story.violate("exactly-once",
                    "a command of which its client was told that it never would took place at " +
                        std::to_string(index));
    }
  }
  perform(index, body, applied);
}

/// Was it its session's next command? The answer must be the tree's.
void History::gate(core::Index index, Body::Reader body, const state::Applied& applied) {
  auto found = sessions.find(body.getSession());
  bool current = found != sessions.end() && found->second.incarnation == body.getIncarnation();
  bool next = current && body.getSequence() == found->second.sequence + 1;
  bool took = !applied.stale && !applied.repeated;
  if (next) found->second.sequence++;
  if (next == took) return;
  story.violate("session-order", "index " + std::to_string(index) +
                                     (took ? " took place out of its session's turn"
                                           : " was its session's next command and was refused"));
}

void History::perform(core::Index index, Body::Reader body, const state::Applied& applied) {
  auto bytes = body.getOperation();
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  memcpy(words.begin(), bytes.begin(), words.asBytes().size());
  capnp::FlatArrayMessageReader message(words);
  auto operation = message.getRoot<polyquorum::Operation>();
  switch (operation.which()) {
    case polyquorum::Operation::ATTACH:
      return attach(index, applied);
    case polyquorum::Operation::DETACH:
      return end(index, body.getSession());
    case polyquorum::Operation::REAP:
      return;
    case polyquorum::Operation::EXPIRE: {
      std::vector<std::pair<std::uint64_t, std::uint64_t>> ended;
      for (auto incarnation : operation.getExpire()) {
        for (auto& [id, session] : sessions) {
          if (session.incarnation == incarnation) ended.emplace_back(id, incarnation);
        }
      }
      for (auto& [session, incarnation] : ended) {
        story.count("sessions expired");
        if (expired) expired(session, incarnation);
        end(index, session);
      }
      return;
    }
    default:
      return compare(index, model.run(index, body.getSession(), operation), applied);
  }
}

void History::attach(core::Index index, const state::Applied& applied) {
  if (applied.outcome.error != polyquorum::Error::OK) return;
  auto& attached = *applied.outcome.attached;
  if (attached.incarnation != index) {
    story.violate("session-order",
                  "an attach at " + std::to_string(index) + " gave another incarnation");
  }
  sessions[attached.session] = {index, 0};
}

void History::end(core::Index index, std::uint64_t session) {
  sessions.erase(session);
  model.endSession(index, session);
}

void History::compare(core::Index index, const Expected& expected, const state::Applied& applied) {
  auto& outcome = applied.outcome;
  auto where = [&]() { return "index " + std::to_string(index); };
  if (expected.error != outcome.error) {
    return story.violate("model", where() + " gave " + name(outcome.error) + ", the model says " +
                                      name(expected.error));
  }
  if (expected.error != polyquorum::Error::OK) return;
  if (!expected.path.empty() && expected.path != outcome.path) {
    story.violate("model", where() + " made " + outcome.path + ", the model says " + expected.path);
  }
  if (expected.version && outcome.stat && *expected.version != outcome.stat->version) {
    story.violate("model", where() + " gave version " + std::to_string(outcome.stat->version) +
                               ", the model says " + std::to_string(*expected.version));
  }
}

void History::installed(core::MemberId server, core::Index index, std::uint64_t digest) {
  story.count("images installed");
  if (index == 0 || index > entries.size()) {
    return story.violate("agreement", "server " + std::to_string(server) + " holds an image of " +
                                          std::to_string(index) + ", which nobody has applied");
  }
  if (entries[index - 1].digest != digest && !entries[index - 1].seal) {
    story.violate("state-digest", "server " + std::to_string(server) + " loaded an image of " +
                                      std::to_string(index) +
                                      " that is not the state of that index");
  }
}

void History::standing(core::MemberId server, std::uint32_t segment,
                       const core::Standing& standing) {
  if (standing.phase != core::Standing::LEADING) return;
  auto [at, fresh] = leaders.emplace(std::make_pair(segment, standing.fence), server);
  if (fresh) story.count("elections");
  if (at->second != server) {
    story.violate("one-leader", "servers " + std::to_string(at->second) + " and " +
                                    std::to_string(server) + " both lead under fence " +
                                    std::to_string(standing.fence));
  }
}

}  // namespace polyquorum::simulator
