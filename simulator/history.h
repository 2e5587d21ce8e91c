// SPDX-License-Identifier: Apache-2.0
// The one order in which all servers must apply the same entries, as the first server that applied
// each showed it. Checkers: agreement, state-digest, exactly-once, session-order, model,
// one-leader.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>
#include "kernel/witness.h"
#include "simulator/ledger.h"
#include "simulator/model.h"
#include "simulator/story.h"

namespace polyquorum::simulator {

/// One entry as it was applied.
struct Decided {
  std::uint64_t body = 0;    ///< hash of what it says; 0: a no-op
  std::uint64_t digest = 0;  ///< of the state after it
  std::uint64_t session = 0, incarnation = 0, sequence = 0;
  bool seal = false;  ///< then an image of it shows the next segment already
  bool took = false;  ///< neither stale nor a repeat
  polyquorum::Error error = polyquorum::Error::OK;
};

/// A session's command: session, incarnation, sequence.
using CommandName = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;

class History {
 public:
  explicit History(Story& story) : ledger(story), story(story) {}

  std::unique_ptr<kernel::Witness> witness(core::MemberId server);

  /// Index 1 first.
  const Decided& at(core::Index index) const { return entries.at(index - 1); }
  core::Index last() const { return entries.size(); }
  /// Where this command took place; 0: nowhere, so far.
  core::Index tookAt(const CommandName& command) const;
  /// A client was told that this command will never take place.
  void never(const CommandName& command);

  /// The highest index of which a client was told.
  core::Index acknowledged = 0;
  /// A session ended by expiry at this index. Set by whoever watches sessions.
  std::function<void(std::uint64_t session, std::uint64_t incarnation)> expired;

  Ledger ledger;

  /// A server's standing changed. Set by whoever aims at that.
  std::function<void(core::MemberId, const core::Standing&)> stood;

  const Model& tree() const { return model; }
  bool attached(std::uint64_t session) const { return sessions.count(session) > 0; }
  std::size_t sessionCount() const { return sessions.size(); }

 private:
  class Eye;
  struct Attachment {
    std::uint64_t incarnation = 0, sequence = 0;
  };
  Story& story;
  Model model;
  std::vector<Decided> entries;
  std::map<std::uint64_t, Attachment> sessions;
  std::map<CommandName, core::Index> taken;
  std::set<CommandName> refused;
  std::map<std::pair<std::uint32_t, core::Fence>, core::MemberId> leaders;

  void applied(core::MemberId server, core::Index index, kj::Maybe<Body::Reader> body,
               const state::Applied& applied, std::uint64_t digest);
  void installed(core::MemberId server, core::Index index, std::uint64_t digest);
  void standing(core::MemberId server, std::uint32_t segment, const core::Standing& standing);
  void decide(core::Index index, Body::Reader body, const state::Applied& applied, Decided& entry);
  void gate(core::Index index, Body::Reader body, const state::Applied& applied);
  void perform(core::Index index, Body::Reader body, const state::Applied& applied);
  void attach(core::Index index, const state::Applied& applied);
  void end(core::Index index, std::uint64_t session);
  void compare(core::Index index, const Expected& expected, const state::Applied& applied);
};

}  // namespace polyquorum::simulator
