// SPDX-License-Identifier: Apache-2.0
// What the tree must be after each decided entry, worked out a second time and differently from
// state/: every path keeps all of its past, so that a read or a watch of any index can be judged.
// Knows only what the workload does: no ACLs, quotas, containers or TTLs.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include "interfaces/operation.capnp.h"
#include "sdk/core.h"

namespace polyquorum::simulator {

using What = polyquorum::Change::What;

/// A node from one index on, until the next moment of its path.
struct Moment {
  core::Index index = 0;
  bool exists = false;
  core::Index czxid = 0, mzxid = 0;
  std::int32_t version = 0;
  std::uint64_t owner = 0, data = 0;
  std::int32_t creates = 0;
};

struct Expected {
  polyquorum::Error error = polyquorum::Error::OK;
  std::string path;  ///< as created
  std::optional<std::int32_t> version;
};

class Model {
 public:
  Model();

  /// The next entry's operation, which took place.
  Expected run(core::Index index, std::uint64_t session, polyquorum::Operation::Reader operation);
  void endSession(core::Index index, std::uint64_t session);

  /// The node as it was at index; a moment that does not exist if there was none.
  Moment at(const std::string& path, core::Index index) const;
  std::vector<std::string> children(const std::string& path, core::Index index) const;
  /// The first change after since that a watch of these kinds on path hears of, up to `until`.
  std::optional<std::pair<core::Index, What>> firstChange(const std::string& path, bool data,
                                                          bool children, core::Index since,
                                                          core::Index until) const;

 private:
  struct Record {
    Moment now;
    std::vector<Moment> moments;
    std::vector<std::pair<core::Index, What>> changes;
  };
  std::map<std::string, Record> records;
  std::map<std::uint64_t, std::vector<std::string>>
      ephemerals;  ///< by session; may be gone already
  // Of the entry that runs now.
  std::vector<std::pair<std::string, What>> told;
  std::vector<std::pair<std::string, Moment>> undo;

  Expected single(core::Index index, std::uint64_t session,
                  polyquorum::Operation::Reader operation);
  Expected create(core::Index index, std::uint64_t session, polyquorum::Create::Reader create);
  Expected remove(core::Index index, polyquorum::Guard::Reader guard);
  Expected set(core::Index index, polyquorum::SetData::Reader set);
  Expected check(polyquorum::Guard::Reader guard);
  void erase(core::Index index, const std::string& path);
  bool hasChildren(const std::string& path) const;
  Moment* find(const std::string& path);
  Moment& change(const std::string& path);
  void commit(core::Index index);
};

}  // namespace polyquorum::simulator
