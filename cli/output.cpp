// SPDX-License-Identifier: Apache-2.0
// See output.h.
#include "cli/output.h"
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace polyquorum::cli {
namespace {

bool hasColour(int stream) {
  const char* off = std::getenv("NO_COLOR");
  return (off == nullptr || *off == 0) && isatty(stream) == 1;
}

/// Width on a terminal: bytes that begin a character, without escape sequences.
std::size_t widthOf(const std::string& text) {
  std::size_t width = 0;
  bool escape = false;
  for (unsigned char c : text) {
    if (c == 0x1b) escape = true;
    if (!escape && (c & 0xc0) != 0x80) width++;
    if (escape && c == 'm') escape = false;
  }
  return width;
}

long long nowMs() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// Length of the well-formed UTF-8 character at text[i]; 0 if there is none.
std::size_t characterAt(const std::string& text, std::size_t i) {
  unsigned char c = text[i];
  std::size_t length = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3
                       : c >= 0xf0 && c < 0xf5 ? 4 : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (std::size_t k = 1; k < length; k++) {
    if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string paint(Colour colour, const std::string& text, int stream) {
  if (colour == Colour::NONE || !hasColour(stream)) return text;
  const char* code = colour == Colour::RED      ? "31"
                     : colour == Colour::GREEN  ? "32"
                     : colour == Colour::YELLOW ? "33"
                     : colour == Colour::BOLD   ? "1"
                                                : "2";
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

std::string jsonText(const std::string& text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size();) {
    unsigned char c = text[i];
    auto length = characterAt(text, i);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < ' ' || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", c);
      out += escaped;
    } else if (length == 0) {
      out += "\\ufffd";
    } else {
      out.append(text, i, length);
    }
    i += length == 0 ? 1 : length;
  }
  return out + "\"";
}

std::string Table::text(bool header) const {
  std::vector<std::string> names = columns;
  for (auto& name : names) {
    if (name.back() == '#') name.pop_back();
  }
  std::vector<std::size_t> widths;
  for (auto& name : names) widths.push_back(header ? widthOf(name) : 0);
  for (auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], widthOf(row[i]));
  }
  std::string out;
  auto line = [&](const std::vector<std::string>& values, Colour colour) {
    std::string text;
    for (std::size_t i = 0; i < values.size(); i++) {
      text += paint(colour, values[i]);
      if (i + 1 < values.size()) text.append(widths[i] - widthOf(values[i]) + 2, ' ');
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    out += text + "\n";
  };
  if (header) line(names, Colour::BOLD);
  for (auto& row : rows) line(row, Colour::NONE);
  return out;
}

void Table::print(Format format) const {
  if (format == Format::TABLE) {
    std::cout << text() << std::flush;
    return;
  }
  std::cout << "[";
  for (std::size_t r = 0; r < rows.size(); r++) {
    std::cout << (r == 0 ? "\n  {" : ",\n  {");
    for (std::size_t i = 0; i < columns.size(); i++) {
      bool bare = columns[i].back() == '#';
      auto name = bare ? columns[i].substr(0, columns[i].size() - 1) : columns[i];
      auto value = bare ? (rows[r][i].empty() ? "null" : rows[r][i]) : jsonText(rows[r][i]);
      std::cout << (i == 0 ? "" : ", ") << jsonText(name) << ": " << value;
    }
    std::cout << "}";
  }
  std::cout << (rows.empty() ? "]\n" : "\n]\n") << std::flush;
}

std::string plainly(const std::string& description) {
  auto begin = description.find("expected ");
  if (begin == std::string::npos) return description;
  bool atStart = begin == 0 || (begin >= 2 && description.compare(begin - 2, 2, ": ") == 0);
  if (!atStart) return description;
  auto end = description.find("; ", begin);
  if (end == std::string::npos) return description;
  return description.substr(0, begin) + description.substr(end + 2);
}

void say(const std::string& line) { std::cerr << line << "\n" << std::flush; }

Progress::Progress() : terminal(isatty(2) == 1) {}
Progress::~Progress() { clear(); }

void Progress::show(const std::string& line) {
  if (terminal) {
    std::cerr << "\r\x1b[K" << line << std::flush;
    shown = true;
  } else if (lastMs == 0 || nowMs() - lastMs >= 5000) {
    say(line);
    lastMs = nowMs();
  }
}

void Progress::clear() {
  if (shown) std::cerr << "\r\x1b[K" << std::flush;
  shown = false;
}

}  // namespace polyquorum::cli
