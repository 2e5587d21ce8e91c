// SPDX-License-Identifier: Apache-2.0
// Makes a failing run small; see shrink.h.
#include "simulator/shrink.h"
#include <algorithm>
#include <cmath>

namespace polyquorum::simulator {
namespace {

/// A candidate that has not failed this long after the run it stems from never will.
constexpr double PATIENCE_MS = 5000;

class Search {
 public:
  Search(const CampaignSettings& failing, const CampaignResult& result,
         const std::function<bool()>& enough)
      : best(failing), result(result), checker(result.violation->checker), enough(enough) {
    best.trace = nullptr;
    best.record = false;
    keep(failing, result);
  }

  void faults() {
    smallest(*best.onlyFaults, [this](const std::set<unsigned>& faults) {
      auto candidate = best;
      candidate.onlyFaults = faults;
      return fails(candidate);
    });
  }

  void clients() {
    std::set<unsigned> all;
    for (unsigned number = 0; number < best.clients; number++) {
      if (takesPart(best.onlyClients, number)) all.insert(number);
    }
    smallest(all, [this](const std::set<unsigned>& clients) {
      auto candidate = best;
      candidate.onlyClients = clients;
      return fails(candidate);
    });
  }

  /// Of a run that fails after its faults: how long it waits for that.
  void length() {
    if (result.simulatedSeconds <= static_cast<double>(best.faultySeconds)) return;
    double last = 0;
    for (auto& fault : result.faults) last = std::max(last, fault.ms / 1000);
    for (auto seconds : {last + 1, last + 5, (last + static_cast<double>(best.faultySeconds)) / 2}) {
      auto candidate = best;
      candidate.faultySeconds = static_cast<std::uint64_t>(std::ceil(seconds));
      if (candidate.faultySeconds < best.faultySeconds && fails(candidate)) return;
    }
  }

  CampaignSettings best;
  CampaignResult result;  ///< of best
  unsigned runs = 0;

 private:
  const std::string checker;
  const std::function<bool()>& enough;

  bool fails(const CampaignSettings& candidate) {
    if (enough()) return false;
    runs++;
    auto tried = runCampaign(candidate);
    if (!tried.violation || tried.violation->checker != checker) return false;
    keep(candidate, tried);
    return true;
  }

  /// Faults that did not come to pass need not be named.
  void keep(const CampaignSettings& settings, const CampaignResult& failed) {
    best = settings;
    result = failed;
    best.onlyFaults.emplace();
    for (auto& fault : failed.faults) best.onlyFaults->insert(fault.number);
    if (failed.simulatedSeconds < static_cast<double>(settings.faultySeconds)) {
      best.cutAtMs = failed.simulatedSeconds * 1000 + PATIENCE_MS;
    }
  }
};

}  // namespace

std::set<unsigned> smallest(std::set<unsigned> all,
                            const std::function<bool(const std::set<unsigned>&)>& fails) {
  if (all.empty() || fails({})) return {};
  std::vector<unsigned> kept(all.begin(), all.end());
  for (std::size_t pieces = 2; kept.size() > 1;) {
    pieces = std::min(pieces, kept.size());
    bool smaller = false;
    for (std::size_t piece = 0; piece < pieces && !smaller; piece++) {
      auto from = kept.begin() + static_cast<std::ptrdiff_t>(kept.size() * piece / pieces);
      auto to = kept.begin() + static_cast<std::ptrdiff_t>(kept.size() * (piece + 1) / pieces);
      std::set<unsigned> rest(kept.begin(), from);
      rest.insert(to, kept.end());
      if (!fails(rest)) continue;
      kept.assign(rest.begin(), rest.end());
      smaller = true;
    }
    if (smaller) {
      pieces = std::max<std::size_t>(2, pieces - 1);
    } else if (pieces == kept.size()) {
      break;
    } else {
      pieces *= 2;
    }
  }
  return {kept.begin(), kept.end()};
}

Shrunk shrink(const CampaignSettings& failing, const CampaignResult& result,
              const std::function<bool()>& enough) {
  Search search(failing, result, enough);
  search.faults();
  search.clients();
  search.length();
  search.faults();  // fewer may do now
  Shrunk out;
  out.settings = search.best;
  out.settings.record = true;
  out.result = runCampaign(out.settings);
  out.runs = search.runs + 1;
  out.faultsBefore = result.faults.size();
  out.secondsBefore = result.simulatedSeconds;
  return out;
}

}  // namespace polyquorum::simulator
