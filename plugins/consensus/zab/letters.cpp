// SPDX-License-Identifier: Apache-2.0
// Writing and checking letters; see letters.h.
#include "plugins/consensus/zab/letters.h"

namespace polyquorum::zab {
namespace {

constexpr std::size_t REPORT_AT = 3;    // numbers before a report
constexpr std::size_t RUNS_AT = REPORT_AT + 4;

struct Shape {
  const char* name;
  std::size_t numbers;
  bool entries = false;
};

const Shape SHAPES[] = {
    {"nothing", 0},      {"follower_info", 4}, {"leader_info", 2}, {"ack_epoch", RUNS_AT + 2},
    {"sync", 5},         {"position", RUNS_AT + 2}, {"entries", 4, true}, {"new_leader", 3},
    {"ack_leader", 3},   {"up_to_date", 3},    {"ack", 3},         {"commit", 3},
    {"ping", 5},         {"pong", 3},          {"bye", 3},         {"refuse", 2},
    {"pull", 3},         {"pulled", 2, true},  {"inform", 3, true},
    {"held", 3},         {"durable", 3}};

}  // namespace

core::Letter letter(core::MemberId to, core::Link link, Kind kind,
                    std::initializer_list<std::uint64_t> numbers) {
  core::Letter letter;
  letter.peer = to;
  letter.link = link;
  letter.kind = kind;
  letter.numbers = numbers;
  return letter;
}

const char* wellFormed(const core::Letter& letter) {
  if (letter.kind == 0 || letter.kind >= std::size(SHAPES)) return nullptr;
  auto& shape = SHAPES[letter.kind];
  if (letter.numbers.size() < shape.numbers) return nullptr;
  if (!shape.entries && !letter.entries.empty()) return nullptr;
  return shape.name;
}

void write(core::Letter& letter, const Report& report) {
  auto& numbers = letter.numbers;
  numbers.insert(numbers.end(), {report.view, report.committed, report.first, report.last.index});
  for (auto& run : report.runs) {
    numbers.push_back(run.first);
    numbers.push_back(run.stamp);
  }
}

std::optional<Report> readReport(const core::Letter& letter) {
  auto& numbers = letter.numbers;
  Report report{numbers[REPORT_AT], numbers[REPORT_AT + 1], numbers[REPORT_AT + 2], {}, {}};
  auto lastIndex = numbers[REPORT_AT + 3];
  report.last = {numbers[RUNS_AT + 1], lastIndex};
  if (report.committed > lastIndex || report.first > lastIndex + 1) return std::nullopt;
  if ((numbers.size() - RUNS_AT) % 2 != 0) return std::nullopt;
  auto above = lastIndex + 1;
  for (std::size_t i = RUNS_AT; i + 1 < numbers.size(); i += 2) {
    auto first = numbers[i], stamp = numbers[i + 1];
    bool descends = first < above && (report.runs.empty() || stamp < report.runs.back().stamp);
    if (!descends) return std::nullopt;
    report.runs.push_back({first, above - first, stamp});
    above = first;
  }
  return report;
}

}  // namespace polyquorum::zab
