// SPDX-License-Identifier: Apache-2.0
// Who is attached: sessions with their incarnations, sequences and kept outcomes. Their ephemerals
// are in the tree; their connections and timers are the kernel's.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>
#include "state/freeze.h"
#include "state/outcomes.h"
#include "state/state.h"

namespace polyquorum::state {

struct Session {
  std::uint64_t id = 0;
  std::uint64_t incarnation = 0;      ///< index of the entry that attached it last
  std::uint64_t sequence = 0;         ///< of the last command accepted under it
  std::uint64_t before = 0;           ///< the last earlier incarnation that did anything
  std::uint64_t beforeSequence = 0;   ///< and how far it got
  std::uint64_t nonce = 0;            ///< of the attach that made the incarnation
  std::uint64_t secret = 0;           ///< the password is made of it
  std::uint32_t timeoutMs = 0;
  std::uint8_t home = 0;              ///< asker of the last attach
  Kept kept;

  std::string password() const;
  /// All fields but the kept outcomes.
  std::uint64_t coreHash() const;
};

class Sessions {
public:
  Session* find(std::uint64_t id);
  const Session* find(std::uint64_t id) const;
  /// The session attached under this incarnation now.
  Session* attachedUnder(std::uint64_t incarnation);

  /// The session is new; its id and incarnation are set.
  Session& add(Session&& session);
  void remove(Session& session);
  /// Around every change to a session found here, but for its incarnation.
  void beginChange(const Session& session);
  void endChange(const Session& session);
  /// Inside a change.
  void setIncarnation(Session& session, std::uint64_t incarnation);

  std::uint64_t count() const { return byId.size(); }
  std::uint64_t digest() const { return sum; }
  std::vector<std::uint64_t> sortedIds() const;

  // --- images: ids in ascending order, fixed when the capture began

  struct Frozen {
    std::vector<std::uint64_t> ids;
    Freeze waiting;  // places in ids
  };
  void freeze(Frozen* point) { frozen = point; }
  static void record(const Session& session, std::string& out);
  /// Empty id 0: these bytes are no session.
  static Session fromRecord(std::string_view bytes);

private:
  std::unordered_map<std::uint64_t, Session> byId;               // iterated for sorting only
  std::unordered_map<std::uint64_t, std::uint64_t> byIncarnation;  // never iterated
  std::uint64_t sum = 0;
  Frozen* frozen = nullptr;
};

}  // namespace polyquorum::state
