// SPDX-License-Identifier: Apache-2.0
// What happened in one run; see story.h.
#include "simulator/story.h"
#include <cstdio>

namespace polyquorum::simulator {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20) {
      char hex[8];
      snprintf(hex, sizeof(hex), "\\u%04x", c);
      out += hex;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

}  // namespace

void Story::tell(const std::string& line) {
  char stamp[32];
  snprintf(stamp, sizeof(stamp), "%12.3f", now ? now() : 0.0);
  if (trace != nullptr) {
    *trace << "{\"ms\":" << stamp << ",\"event\":\"" << escaped(line) << "\"}\n";
  }
  lines.push_back(std::string(stamp) + " ms  " + line);
  if (lines.size() > LINES_KEPT) lines.pop_front();
}

void Story::violate(const std::string& checker, const std::string& what) {
  tell("VIOLATION " + checker + ": " + what);
  if (first) return;
  first = Violation{checker, what};
  if (broken) broken();
}

}  // namespace polyquorum::simulator
