// SPDX-License-Identifier: Apache-2.0
// What the user sees: tables or JSON on stdout, progress and errors on stderr. Colour only on a
// terminal and without NO_COLOR.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace polyquorum::cli {

enum class Format { TABLE, JSON };

enum class Colour { NONE, RED, GREEN, YELLOW, BOLD, FAINT };

/// text in colour if stream (1 or 2) may have colours, else as it is.
std::string paint(Colour colour, const std::string& text, int stream = 1);

/// Rows with the same columns. A value is printed as it is in a table, and in JSON as a string, or
/// bare if its column's name ends in '#'.
class Table {
public:
  explicit Table(std::vector<std::string> columns) : columns(std::move(columns)) {}
  void add(std::vector<std::string> values) { rows.push_back(std::move(values)); }
  bool empty() const { return rows.empty(); }
  /// On stdout: aligned columns, or a JSON list of objects.
  void print(Format format) const;
  std::string text(bool header = true) const;

private:
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

/// A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string jsonText(const std::string& text);

/// What a kj::Exception says, without the condition of KJ_REQUIRE in front: "expected x == y [1 == 2]; why".
std::string plainly(const std::string& description);

/// One line on stderr.
void say(const std::string& line);

/// A line on stderr that the next one replaces on a terminal; elsewhere a plain line, at most every
/// five seconds.
class Progress {
public:
  Progress();
  ~Progress();
  void show(const std::string& line);
  void clear();

private:
  bool terminal;
  bool shown = false;
  long long lastMs = 0;
};

}  // namespace polyquorum::cli
