// SPDX-License-Identifier: Apache-2.0
// Folds the wishes of one step into the one core::Batch it may return. For cores: standard library
// and core.h only. Nothing is written here.
#pragma once
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include "sdk/core.h"

namespace polyquorum::core {

/// Takes wishes in the order in which a core has them and gives the batch that ends in the same
/// log. A batch is performed in the order base, cut, put (contract, hole 24), so a put that a later
/// wish undoes is left out. Entries come out ascending, one for each index.
class BatchBuilder {
public:
  /// Adopts the snapshot that arrived at base: all entries up to base.index go, none above.
  void adopt(Position base) {
    if (batch.base && base.index < batch.base->index) {
      throw std::logic_error("a step adopts an older snapshot after a newer one");
    }
    batch.base = base;
    auto& entries = batch.entries;
    entries.erase(entries.begin(), from(base.index + 1));
    if (batch.truncateFrom) batch.truncateFrom = std::max(*batch.truncateFrom, base.index + 1);
  }

  /// Forgets index first and all above.
  void cut(Index first) {
    if (batch.base && first <= batch.base->index) {
      throw std::logic_error("a step cuts into the snapshot it adopts");
    }
    batch.truncateFrom = std::min(first, batch.truncateFrom.value_or(first));
    batch.entries.erase(from(first), batch.entries.end());
  }

  /// Puts an entry; the last put for an index wins.
  void put(Entry entry) {
    auto& entries = batch.entries;
    if (entries.empty() || entries.back().index < entry.index) {
      entries.push_back(std::move(entry));
      return;
    }
    auto place = from(entry.index);
    if (place->index == entry.index) *place = std::move(entry);
    else entries.insert(place, std::move(entry));
  }

  /// Sets a fact; the last value for a name wins.
  void fact(std::string_view name, std::uint64_t value) {
    for (auto& [known, old] : batch.facts) {
      if (known != name) continue;
      old = value;
      return;
    }
    batch.facts.emplace_back(name, value);
  }

  void reserve(std::size_t entries) { batch.entries.reserve(entries); }

  bool empty() const {
    return !batch.base && !batch.truncateFrom && batch.entries.empty() && batch.facts.empty();
  }

  /// The batch of all wishes, or none if there was none. The builder is empty afterwards.
  std::optional<Batch> take() {
    if (empty()) return std::nullopt;
    return std::exchange(batch, {});
  }

private:
  Batch batch;

  /// The first entry at or above index.
  std::vector<Entry>::iterator from(Index index) {
    return std::lower_bound(batch.entries.begin(), batch.entries.end(), index,
                            [](const Entry& entry, Index at) { return entry.index < at; });
  }
};

}  // namespace polyquorum::core
