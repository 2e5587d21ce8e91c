// SPDX-License-Identifier: Apache-2.0
// What a person should read of a run; see telling.h. Every event gets a weight; neighbours that say
// the same are one line; the heaviest lines are kept.
#include "simulator/telling.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <tuple>

namespace polyquorum::simulator {
namespace {

constexpr double SAME_LETTER_MS = 60;  ///< to several receivers: one line
constexpr double FRESH_MS = 1500;      ///< before the violation: what fades with it is heavier
constexpr double FRESH = 45;
constexpr double WORTH = 28;  ///< what is lighter is told by nobody: the picture shows it

constexpr unsigned ROUTINE = 40;  ///< letters of one kind in a run

struct Line {
  double ms = 0, weight = 0;
  std::string text;
};

/// What the violation's own words point at.
struct Clues {
  double ms = 0;
  std::set<std::uint64_t> numbers;  ///< indexes, above all
  std::set<int> clients;
  std::set<core::MemberId> servers;
};

/// The numbers that follow this word in text; of an empty word all.
std::set<std::uint64_t> numbersAfter(const std::string& text, const std::string& word) {
  std::set<std::uint64_t> out;
  for (std::size_t at = 0; at < text.size(); at++) {
    if (text[at] < '0' || text[at] > '9') continue;
    auto end = text.find_first_not_of("0123456789", at);
    if (end == std::string::npos) end = text.size();
    bool fits = at >= word.size() && text.compare(at - word.size(), word.size(), word) == 0;
    if (fits && end - at < 19) out.insert(std::stoull(text.substr(at, end - at)));
    at = end;
  }
  return out;
}

class Telling {
 public:
  explicit Telling(const std::vector<Event>& events) : events(events) {
    for (auto& event : events) {
      if (event.kind == Event::SEND) letters[{event.lane, event.what}]++;
      if (event.kind == Event::RECEIVE || event.kind == Event::LOSE) fates[event.id] = &event;
      if (event.kind == Event::VIOLATION && clues.ms == 0) {
        clues.ms = event.ms;
        clues.numbers = numbersAfter(event.text, "");
        for (auto word : {"server ", "client ", "session ", "fence "}) {
          for (auto number : numbersAfter(event.text, word)) clues.numbers.erase(number);
        }
        for (auto number : numbersAfter(event.text, "client ")) {
          clues.clients.insert(static_cast<int>(number));
        }
        for (auto number : numbersAfter(event.text, "server ")) {
          clues.servers.insert(static_cast<core::MemberId>(number));
        }
      }
    }
    if (clues.ms == 0 && !events.empty()) clues.ms = events.back().ms;
  }

  std::vector<Line> lines() {
    for (auto& event : events) {
      look(event);
      if (event.kind == Event::VIOLATION) break;
    }
    endRun();
    return std::move(out);
  }

 private:
  const std::vector<Event>& events;
  std::map<std::pair<std::string, std::string>, unsigned> letters;
  std::map<std::uint64_t, const Event*> fates;
  Clues clues;
  std::vector<Line> out;
  std::map<core::MemberId, std::pair<std::string, std::uint64_t>> standings;
  // Letters of one text, by what is equal in them: the line that tells of them.
  std::map<std::tuple<core::MemberId, std::string, std::string>, std::pair<std::size_t, double>> told;
  // A run of decided indexes that nothing interrupted.
  std::uint64_t runFirst = 0, runLast = 0;
  std::size_t runLine = 0;

  double fresh(double ms) const { return FRESH * std::exp((ms - clues.ms) / FRESH_MS); }
  bool named(const Event& event) const {
    for (auto name : {"index", "lastIndex", "commit"}) {
      if (auto value = event.number(name); value > 0 && clues.numbers.count(value)) return true;
    }
    return false;
  }

  void add(const Event& event, double weight, const std::string& text, bool routine = false) {
    weight += fresh(event.ms) * (routine ? 0.5 : 1) + (named(event) ? 30 : 0);
    out.push_back({event.ms, weight, text});
  }

  void endRun() {
    if (runLast > runFirst) {
      out[runLine].text = "indexes " + std::to_string(runFirst) + " to " + std::to_string(runLast) +
                          " are decided";
    }
    runFirst = runLast = 0;
  }

  void look(const Event& event) {
    switch (event.kind) {
      case Event::VIOLATION:
        out.push_back({event.ms, 1000, plain(event)});
        return;
      case Event::FAULT:
        endRun();
        return add(event, 120, plain(event));
      case Event::PHASE:
        return add(event, 90, plain(event));
      case Event::STOP:
      case Event::START:
      case Event::CURE:
        endRun();
        return add(event, 85, plain(event));
      case Event::STANDING:
        return standing(event);
      case Event::SEND:
        return letter(event);
      case Event::DECIDE:
        return decide(event);
      case Event::APPLY:
        if (named(event) && clues.servers.count(event.server)) add(event, 25, plain(event));
        return;
      case Event::IMAGE:
        return add(event, 60, plain(event));
      case Event::REQUEST:
        if (clues.clients.count(event.client)) add(event, 5, plain(event));
        return;
      case Event::REPLY:
      case Event::NOTICE:
        return add(event, clues.clients.count(event.client) ? 30 : 10, plain(event));
      default:
        return;
    }
  }

  void standing(const Event& event) {
    auto& last = standings[event.server];
    auto now = std::make_pair(event.what, event.number("fence"));
    if (last == now) return;
    bool led = last.first == "leading";
    last = now;
    endRun();
    auto name = "server " + std::to_string(event.server);
    auto fence = " epoch " + std::to_string(event.number("fence"));
    if (event.what == "leading") return add(event, 110, name + " leads" + fence);
    if (led) return add(event, 100, name + " no longer leads");
    if (event.what == "following") {
      return add(event, 60,
                 name + " follows " + std::to_string(event.number("leader")) + " in" + fence);
    }
    add(event, 30, name + " is " + event.what + (event.number("fence") ? "," + fence : ""));
  }

  void decide(const Event& event) {
    auto index = event.number("index");
    auto text = "index " + std::to_string(index) + " is decided, first seen at server " +
                std::to_string(event.server) + ": " + event.what +
                (event.text.empty() ? "" : " " + event.text) +
                (event.client >= 0 ? " of client " + std::to_string(event.client) : "");
    if (named(event)) {
      endRun();
      return add(event, 50, text);
    }
    if (runFirst != 0 && runLast + 1 == index) {
      runLast = index;
      out[runLine].weight = std::max(out[runLine].weight, 20 + fresh(event.ms));
      return;
    }
    endRun();
    runFirst = runLast = index;
    runLine = out.size();
    add(event, 20, text);
  }

  /// Rare letters matter: they begin and end things. What is said all the time is in the picture.
  void letter(const Event& event) {
    if (event.lane != "consensus" && event.lane != "election") return;
    auto often = letters[{event.lane, event.what}];
    auto fate = fates.find(event.id);
    bool lost = fate == fates.end() || fate->second->kind == Event::LOSE;
    auto weight = 55 - 7 * std::log2(1.0 + often) + (lost ? 8 : 0);
    auto said = plain(event);
    said = said.substr(said.find(": ") + 2);
    auto outcome = fate == fates.end() ? " (still on its way)"
                   : lost              ? " (lost: " + fate->second->text + ")"
                                       : "";
    auto key = std::make_tuple(event.server, said, std::string(outcome));
    auto known = told.find(key);
    if (known != told.end() && event.ms - known->second.second < SAME_LETTER_MS) {
      auto& text = out[known->second.first].text;
      auto colon = text.find(": ");
      auto peer = " " + std::to_string(event.peer);
      bool twice = (text.substr(0, colon) + ",").find(peer + ",") != std::string::npos;
      if (!twice) text.insert(colon, "," + peer);
      return;
    }
    told[key] = {out.size(), event.ms};
    add(event, weight,
        std::to_string(event.server) + " -> " + std::to_string(event.peer) + ": " + said + outcome,
        often > ROUTINE && !lost);
  }
};

}  // namespace

std::vector<std::string> retell(const std::vector<Event>& events, std::size_t linesMax) {
  auto lines = Telling(events).lines();
  lines.erase(std::remove_if(lines.begin(), lines.end(),
                             [](const Line& line) { return line.weight < WORTH; }),
              lines.end());
  if (lines.size() > linesMax) {
    std::vector<double> weights;
    for (auto& line : lines) weights.push_back(line.weight);
    std::nth_element(weights.begin(), weights.begin() + static_cast<std::ptrdiff_t>(linesMax - 1),
                     weights.end(), std::greater<>());
    auto least = weights[linesMax - 1];
    std::size_t equal = linesMax;
    for (auto& line : lines) equal -= line.weight > least;
    std::vector<Line> kept;
    for (auto& line : lines) {
      bool heavy = line.weight > least || (line.weight == least && equal > 0);
      if (!heavy) continue;
      if (line.weight == least) equal--;
      kept.push_back(std::move(line));
    }
    lines = std::move(kept);
  }
  std::vector<std::string> out;
  for (auto& line : lines) {
    char stamp[32];
    snprintf(stamp, sizeof(stamp), "%11.3f ms  ", line.ms);
    out.push_back(stamp + line.text);
  }
  return out;
}

}  // namespace polyquorum::simulator
