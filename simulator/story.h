// SPDX-License-Identifier: Apache-2.0
// What happened in one run, event by event: the last of it for a person, all of it for a trace file
// or for whoever asks for it. The first thing that went wrong ends the run. Judges nothing itself.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>
#include "simulator/event.h"

namespace polyquorum::simulator {

/// One promise that was broken, by the checker that saw it.
struct Violation {
  std::string checker, what;
};

class Story {
 public:
  static constexpr std::size_t LINES_KEPT = 50;

  /// Simulated milliseconds, for the lines.
  std::function<double()> now;
  /// Called once, when the first violation is known.
  std::function<void()> broken;
  std::ostream* trace = nullptr;         ///< each event as one NDJSON object; null: none
  std::vector<Event>* events = nullptr;  ///< gets each event; null: nobody does
  /// Whether parcels, requests and the like are to be told too.
  bool detailed() const { return trace != nullptr || events != nullptr; }

  /// Sets the event's time.
  void tell(Event&& event);
  void tell(Event::Kind kind, core::MemberId server, const std::string& text);
  void tell(const std::string& text) { tell(Event::PHASE, 0, text); }
  void violate(const std::string& checker, const std::string& what);
  const std::optional<Violation>& violation() const { return first; }
  /// Without parcels, requests and the like.
  const std::deque<std::string>& last() const { return lines; }

  /// How often something happened; a run in which nothing did proves nothing.
  std::map<std::string, std::uint64_t> counters;
  void count(const std::string& what, std::uint64_t times = 1) { counters[what] += times; }

 private:
  std::deque<std::string> lines;
  std::optional<Violation> first;
};

}  // namespace polyquorum::simulator
