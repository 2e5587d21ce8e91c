// SPDX-License-Identifier: Apache-2.0
// Scenario files of a core's tests: a step a line, and under it what came of it, each line after "> ".
// With UPDATE=1 in the environment they are written anew; read the difference before you keep it.
#pragma once
#include <catch2/catch.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>
#include "sdk/core.h"

namespace polyquorum::sdk::test {

/// Plays one file. A core's test says what its steps do.
class ScenarioPlay {
public:
  virtual ~ScenarioPlay() noexcept(false) {}
  /// The file as it is, with what came of each step.
  std::string run(std::istream& file) {
    std::string line;
    while (std::getline(file, line)) {
      if (line.rfind("> ", 0) == 0) continue;
      out += line + "\n";
      if (line.empty() || line[0] == '#') continue;
      words = std::istringstream(line);
      step(word(), line);
    }
    return out;
  }

protected:
  /// verb is the line's first word, word() gives the others. Throws std::runtime_error for a line that
  /// it does not understand.
  virtual void step(const std::string& verb, const std::string& line) = 0;
  /// What came of the step.
  void tell(const std::string& what) { out += "> " + what + "\n"; }

  std::string word() {
    std::string word;
    words >> word;
    return word;
  }
  std::uint64_t number() { return std::stoull(word()); }
  core::MemberId id() { return static_cast<core::MemberId>(number()); }

private:
  std::istringstream words;
  std::string out;
};

/// Where two texts part, for a person; empty if they do not.
inline std::string difference(const std::string& wanted, const std::string& got) {
  std::istringstream a(wanted), b(got);
  std::string left, right, step;
  for (unsigned number = 1;; number++) {
    bool more = static_cast<bool>(std::getline(a, left));
    bool others = static_cast<bool>(std::getline(b, right));
    if (!more && !others) return "";
    if (more != others || left != right) {
      return "line " + std::to_string(number) + ", step `" + step + "`:\n  file: " +
             (more ? left : "(its end)") + "\n  now:  " + (others ? right : "(its end)");
    }
    if (left.rfind("> ", 0) != 0) step = left;
  }
}

/// Checks every *.txt of the folder, each with a new Play. A line that begins with never is a mistake
/// in the scenario, not an expectation.
template <typename Play>
void checkScenarios(const std::string& folder, const std::string& never) {
  std::vector<std::filesystem::path> paths;
  for (auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  REQUIRE(!paths.empty());
  std::sort(paths.begin(), paths.end());
  for (auto& path : paths) {
    INFO(path.string());
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    std::istringstream file(text.str());
    auto now = Play().run(file);
    CHECK(now.find("> " + never) == now.npos);
    if (std::getenv("UPDATE") != nullptr) {
      std::ofstream(path) << now;
    } else {
      auto parts = difference(text.str(), now);
      INFO(parts);
      CHECK(parts.empty());
    }
  }
}

}  // namespace polyquorum::sdk::test
