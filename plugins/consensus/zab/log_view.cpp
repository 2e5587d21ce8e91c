// SPDX-License-Identifier: Apache-2.0
// Runs and their arithmetic; see log_view.h.
#include "plugins/consensus/zab/log_view.h"
#include <algorithm>
#include <stdexcept>
#include "sdk/mutant.h"

namespace polyquorum::zab {
namespace {

constexpr std::size_t RUNS_TOLD = 256;

core::Index end(const core::Run& run) { return run.first + run.count - 1; }

}  // namespace

std::optional<core::Index> LogView::open(core::Position newBase,
                                         const std::vector<core::Run>& found) {
  base = newBase;
  runs.clear();
  std::optional<core::Index> hole;
  for (auto& run : found) {  // an empty run is where a damaged end would have ended
    bool gap = runs.empty() ? run.first > base.index + 1 : run.first != end(runs.back()) + 1;
    if (gap && (runs.empty() || end(runs.back()) >= base.index)) {
      hole = runs.empty() ? base.index + 1 : end(runs.back()) + 1;
      break;
    }
    if (gap) {
      // The hole is below the base: nothing above it is missing, unless this run begins too late.
      runs.clear();
      if (run.first > base.index + 1) {
        hole = base.index + 1;
        break;
      }
    }
    if (run.count == 0) continue;
    if (!runs.empty() && (runs.back().stamp == run.stamp || MUTANT("zab.stamp.disk"))) {
      runs.back().count += run.count;
    } else {
      if (!runs.empty() && runs.back().stamp > run.stamp) {
        throw std::logic_error("stamps of the log on the disk go back; it is not a log of zab");
      }
      runs.push_back(run);
    }
  }
  if (!runs.empty() && end(runs.back()) < base.index) runs.clear();
  auto stamp = stampAt(base.index);
  if (!runs.empty() && runs.front().first <= base.index && stamp != base.stamp) {
    throw std::logic_error("log and snapshot on the disk disagree; restore one of them");
  }
  return hole;
}

core::Position LogView::last() const {
  if (runs.empty()) return base;
  return {runs.back().stamp, end(runs.back())};
}

std::optional<core::Fence> LogView::stampAt(core::Index index) const {
  auto after = std::upper_bound(
      runs.begin(), runs.end(), index,
      [](core::Index at, const core::Run& run) { return at < run.first; });
  if (after != runs.begin() && index <= end(*(after - 1))) return (after - 1)->stamp;
  if (index == base.index) return base.stamp;
  return std::nullopt;
}

void LogView::append(core::Index index, core::Fence stamp) {
  auto end = last();
  if (index != end.index + 1 || stamp < end.stamp) {
    throw std::logic_error("an entry does not continue the log");
  }
  if (!runs.empty() && (runs.back().stamp == stamp || MUTANT("zab.stamp.run"))) {
    runs.back().count++;
  } else {
    runs.push_back({index, 1, stamp});
  }
}

void LogView::cut(core::Index from) {
  if (from <= base.index) throw std::logic_error("a cut below what is decided");
  while (!runs.empty() && runs.back().first >= from) runs.pop_back();
  if (!runs.empty()) {
    runs.back().count = std::min(runs.back().count, from - runs.back().first);
  }
}

bool LogView::adopt(core::Position at) {
  bool same = stampAt(at.index) == at.stamp;
  if (MUTANT("zab.stamp.adopted")) same = stampAt(at.index).has_value();
  if (MUTANT("zab.stamp.suffix")) same = false;
  if (same) {
    trim(at.index + 1);
  } else {
    runs.clear();
  }
  base = at;
  return same;
}

void LogView::trim(core::Index first) {
  first = std::min(first, last().index + 1);
  if (auto stamp = stampAt(first - 1); stamp && first - 1 > base.index) base = {*stamp, first - 1};
  auto kept = runs.begin();
  while (kept != runs.end() && end(*kept) < first) ++kept;
  runs.erase(runs.begin(), kept);
  if (!runs.empty() && runs.front().first < first) {
    runs.front().count -= first - runs.front().first;
    runs.front().first = first;
  }
}

core::Index LogView::common(const Report& report, core::Index floor) const {
  for (auto& theirs : report.runs) {
    auto ours = std::lower_bound(
        runs.begin(), runs.end(), theirs.stamp,
        [](const core::Run& run, core::Fence stamp) { return run.stamp < stamp; });
    if (ours != runs.end() && (ours->stamp == theirs.stamp || MUTANT("zab.stamp.common"))) {
      return std::max(floor, std::min(end(*ours), end(theirs)));
    }
    if (base.stamp == theirs.stamp || MUTANT("zab.stamp.base")) {
      return std::max(floor, std::min(base.index, end(theirs)));
    }
  }
  return floor;
}

Report LogView::report(core::Fence view, core::Index committed) const {
  Report report{view, committed, first(), last(), {}};
  for (auto run = runs.rbegin(); run != runs.rend() && report.runs.size() < RUNS_TOLD; ++run) {
    report.runs.push_back(*run);
  }
  bool told = !runs.empty() && runs.front().first <= base.index;
  if (!told && report.runs.size() < RUNS_TOLD) {
    if (!runs.empty() && runs.front().stamp == base.stamp && !MUTANT("zab.stamp.report")) {
      report.runs.back() = {base.index, report.runs.back().count + 1, base.stamp};
    } else {
      report.runs.push_back({base.index, 1, base.stamp});
    }
  }
  return report;
}

}  // namespace polyquorum::zab
