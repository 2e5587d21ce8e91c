// SPDX-License-Identifier: Apache-2.0
// Typed reading of a plugin's options; see options.h.
#include "sdk/options.h"
#include <kj/debug.h>
#include <algorithm>
#include <charconv>
#include <limits>

namespace polyquorum::sdk {
namespace {

bool parseWhole(const std::string& text, std::int64_t& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

/// Splits "12unit" into number and unit; false without a number in front.
bool split(const std::string& text, std::uint64_t& number, std::string& unit) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  unit.assign(end, text.data() + text.size());
  return true;
}

std::string show(kj::Duration duration) {
  auto ms = duration / kj::MILLISECONDS;
  if (ms % 3600000 == 0 && ms != 0) return std::to_string(ms / 3600000) + "h";
  if (ms % 1000 == 0 && ms != 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

}  // namespace

bool parseDuration(const std::string& text, kj::Duration& out) {
  std::uint64_t number;
  std::string word;
  if (!split(text, number, word)) return false;
  kj::Duration unit = kj::MILLISECONDS;
  if (word == "s") unit = kj::SECONDS;
  else if (word == "m") unit = kj::MINUTES;
  else if (word == "h") unit = kj::HOURS;
  else if (word == "d") unit = kj::DAYS;
  else if (word != "ms") return false;
  auto most = std::numeric_limits<std::int64_t>::max() / (unit / kj::NANOSECONDS);
  if (number > static_cast<std::uint64_t>(most)) return false;
  out = number * unit;
  return true;
}

bool parseBytes(const std::string& text, std::uint64_t& out) {
  std::uint64_t number;
  std::string unit;
  if (!split(text, number, unit)) return false;
  unsigned shift = 0;
  if (unit == "KiB") shift = 10;
  else if (unit == "MiB") shift = 20;
  else if (unit == "GiB") shift = 30;
  else if (!unit.empty()) return false;
  if (number > (~std::uint64_t{0} >> shift)) return false;
  out = number << shift;
  return true;
}

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t bestDistance = word.size() / 2 + 2;
  for (auto& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); j++) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); i++) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j < row.size(); j++) {
        std::size_t changed = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
      }
    }
    if (row.back() < bestDistance) {
      bestDistance = row.back();
      best = candidate;
    }
  }
  return best;
}

Options::Options(capnp::List<polyquorum::Option>::Reader options) {
  for (auto option : options) {
    given.push_back({option.getName().cStr(), option.getValue().cStr(), option.getPlace().cStr()});
  }
}

Options::Given* Options::find(const char* name) {
  known.push_back(name);
  Given* found = nullptr;
  for (auto& option : given) {
    if (option.name != name) continue;
    option.used = true;
    if (found == nullptr) found = &option;
    else problem(option, "written twice; keep one (the other is at " + found->place + ")");
  }
  return found;
}

void Options::problem(const Given& option, const std::string& reason) {
  problems.push_back(option.place + ": " + option.name + ": " + reason);
}

void Options::refuse(const char* name, kj::StringPtr reason) {
  for (auto& option : given) {
    if (option.name == name) return problem(option, reason.cStr());
  }
  problems.push_back(std::string(name) + ": " + reason.cStr());
}

kj::Duration Options::duration(const char* name, kj::Duration initial, kj::Duration min,
                               kj::Duration max) {
  auto* option = find(name);
  if (option == nullptr) return initial;
  kj::Duration value = initial;
  if (!parseDuration(option->value, value)) {
    problem(*option, "\"" + option->value + "\" is not a duration; write e.g. 100ms, 2s or 5m");
  } else if (value < min || value > max) {
    problem(*option, option->value + " is out of range; write " + show(min) + " to " + show(max));
  } else {
    return value;
  }
  return initial;
}

std::int64_t Options::number(const char* name, std::int64_t initial, std::int64_t min,
                             std::int64_t max) {
  auto* option = find(name);
  if (option == nullptr) return initial;
  std::int64_t value = initial;
  if (!parseWhole(option->value, value)) {
    problem(*option, "\"" + option->value + "\" is not a whole number; write e.g. " +
                         std::to_string(initial));
  } else if (value < min || value > max) {
    problem(*option, option->value + " is out of range; write " + std::to_string(min) + " to " +
                         std::to_string(max));
  } else {
    return value;
  }
  return initial;
}

std::uint64_t Options::bytes(const char* name, std::uint64_t initial, std::uint64_t min,
                             std::uint64_t max) {
  auto* option = find(name);
  if (option == nullptr) return initial;
  std::uint64_t value = initial;
  if (!parseBytes(option->value, value)) {
    problem(*option, "\"" + option->value + "\" is not a size; write e.g. 1048576, 64KiB or 1GiB");
  } else if (value < min || value > max) {
    problem(*option, option->value + " is out of range; write " + std::to_string(min) + " to " +
                         std::to_string(max) + " bytes");
  } else {
    return value;
  }
  return initial;
}

bool Options::flag(const char* name, bool initial) {
  auto* option = find(name);
  if (option == nullptr) return initial;
  if (option->value != "true" && option->value != "false") {
    problem(*option, "\"" + option->value + "\" is neither true nor false; write true or false");
  }
  return option->value == "true";
}

std::string Options::text(const char* name, const char* initial) {
  auto* option = find(name);
  return option == nullptr ? initial : option->value;
}

std::string Options::choice(const char* name, const char* initial,
                            std::initializer_list<const char*> accepted) {
  auto* option = find(name);
  if (option == nullptr) return initial;
  std::vector<std::string> words(accepted.begin(), accepted.end());
  if (std::find(words.begin(), words.end(), option->value) == words.end()) {
    std::string all;
    for (auto& word : words) all += (all.empty() ? "" : " or ") + word;
    problem(*option, "\"" + option->value + "\" is not known; write " + all);
    return initial;
  }
  return option->value;
}

std::vector<std::string> Options::list(const char* name,
                                       std::initializer_list<const char*> initial) {
  auto* option = find(name);
  if (option == nullptr) return {initial.begin(), initial.end()};
  std::vector<std::string> words;
  std::size_t from = 0;
  while (from < option->value.size()) {
    auto comma = option->value.find(", ", from);
    if (comma == std::string::npos) comma = option->value.size();
    words.push_back(option->value.substr(from, comma - from));
    from = comma + 2;
  }
  return words;
}

void Options::finish() {
  for (auto& option : given) {
    if (option.used) continue;
    auto near = nearest(option.name, known);
    problem(option, near.empty() ? "there is no such option"
                                 : "there is no such option; did you mean " + near + "?");
  }
  if (problems.empty()) return;
  std::string all;
  for (auto& line : problems) all += (all.empty() ? "" : "\n") + line;
  kj::throwFatalException(
      kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__, kj::heapString(all.c_str())));
}

}  // namespace polyquorum::sdk
