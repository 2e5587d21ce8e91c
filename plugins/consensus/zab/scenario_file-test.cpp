// SPDX-License-Identifier: Apache-2.0
// Scenario files: scenarios/*.txt. A step a line, and under it what came of it, each line after "> ".
// UPDATE=1 zab_test "zab: scenario files*" writes them anew; read the difference before you keep it.
#include <catch2/catch.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "plugins/consensus/zab/test_cluster.h"

namespace polyquorum::zab {
namespace {

constexpr core::Nanos PATIENCE = 5000 * MS;

/// Plays one file; throws std::runtime_error for a line that it does not understand.
class Play {
public:
  /// The file as it is with what came of each step.
  std::string run(std::istream& file) {
    std::string line;
    while (std::getline(file, line)) {
      if (line.rfind("> ", 0) == 0) continue;
      out += line + "\n";
      if (line.empty() || line[0] == '#') continue;
      words = std::istringstream(line);
      step(word(), line);
      flush();
    }
    return out;
  }

private:
  std::unique_ptr<Cluster> cluster;
  Settings settings;
  Weather weather;
  std::istringstream words;
  std::string out;
  std::vector<std::string> lines;
  std::string lost;   ///< the kind of letter that is lost next
  core::MemberId lostFrom = 0;

  std::string word() {
    std::string word;
    words >> word;
    return word;
  }
  std::uint64_t number() { return std::stoull(word()); }
  core::MemberId id() { return static_cast<core::MemberId>(number()); }
  Cluster& it() {
    if (!cluster) throw std::runtime_error("the first step is `servers VOTERS LEARNERS`");
    return *cluster;
  }

  void make() {
    auto voters = static_cast<unsigned>(number());
    auto rest = word();
    cluster = std::make_unique<Cluster>(voters, rest.empty() ? 0 : std::stoul(rest), 1, settings);
    // Time passes evenly: only the steps say what happens when.
    weather.letterMin = weather.letterMax = MS / 10;
    weather.diskMax = 1;
    weather.snapshotMax = 1;
    cluster->weather = weather;
    cluster->onEvent = [this](const std::string& line) { event(line); };
    cluster->onSend = [this](core::MemberId from, const core::Letter& letter) {
      auto* kind = wellFormed(letter);
      if (lost.empty() || from != lostFrom || kind == nullptr || lost != kind) return true;
      lines.push_back("  (lost)");
      lost.clear();
      return false;
    };
  }

  /// Heartbeats say nothing new.
  void event(const std::string& line) {
    if (line.find(": ping") != line.npos || line.find(": pong") != line.npos) return;
    lines.push_back(line);
  }

  void flush() {
    for (auto& line : lines) out += "> " + line + "\n";
    lines.clear();
  }

  void until() {
    auto what = word();
    auto condition = [&]() -> std::function<bool()> {
      if (what == "converged") return [this]() { return it().converged(); };
      auto who = id();
      if (what == "leads") return [this, who]() { return it().leads(who); };
      if (what == "follows") return [this, who]() { return it().follows(who); };
      if (what == "idle") {
        return [this, who]() { return it().at(who).standing.phase == core::Standing::IDLE; };
      }
      throw std::runtime_error("until what? " + what);
    }();
    if (!it().runUntil(PATIENCE, condition)) lines.push_back("NEVER");
  }

  void show(core::MemberId who) {
    auto& server = it().at(who);
    std::string line = std::to_string(who) + " holds: base=" +
                       std::to_string(server.memory.base.index);
    for (auto& [index, entry] : server.memory.log) {
      line += " " + std::to_string(index) + "/" + std::to_string(entry.stamp) + "=" +
              std::to_string(it().body(who, index));
    }
    lines.push_back(line + "; decided " + std::to_string(server.committed));
  }

  void step(const std::string& verb, const std::string& line) {
    if (verb == "option") return option();
    if (verb == "servers") return make();
    if (verb == "start") {
      for (auto who = word(); !who.empty(); who = word()) it().start(std::stoul(who));
    } else if (verb == "nominate") {   // nominate LEADER at SERVER...
      auto leader = id();
      word();
      for (auto who = word(); !who.empty(); who = word()) it().nominate(std::stoul(who), leader);
    } else if (verb == "propose") {    // propose COUNT at SERVER
      auto count = static_cast<unsigned>(number());
      word();
      it().propose(id(), count);
    } else if (verb == "run") {
      it().run(static_cast<core::Nanos>(number()) * MS);
    } else if (verb == "until") {
      until();
    } else if (verb == "hold") {       // its disk makes nothing durable
      it().holdDisk(id());
    } else if (verb == "durable") {    // durable COUNT at SERVER: of a held disk
      auto count = number();
      word();
      it().makeDurable(id(), count);
      it().run(MS);
    } else if (verb == "release") {
      it().releaseDisk(id());
    } else if (verb == "crash") {      // crash SERVER keeping COUNT: of the writes under way
      auto who = id();
      word();
      auto kept = word();
      it().crash(who, kept.empty() ? 0 : std::stoul(kept));
    } else if (verb == "isolate") {
      it().isolate(id());
    } else if (verb == "cut") {
      auto a = id();
      it().cut(a, id());
    } else if (verb == "heal") {
      it().heal();
    } else if (verb == "stall") {      // stall FROM TO: letters stay on their way
      auto from = id();
      it().stall(from, id());
    } else if (verb == "deliver") {
      it().release();
    } else if (verb == "lose") {       // lose KIND from SERVER: the next one
      lost = word();
      word();
      lostFrom = id();
    } else if (verb == "snapshot") {
      it().ownSnapshot(id());
      it().run(MS);
    } else if (verb == "show") {
      for (auto who = word(); !who.empty(); who = word()) show(std::stoul(who));
    } else {
      throw std::runtime_error("no such step: " + line);
    }
  }

  void option() {
    auto name = word();
    if (name == "chunkBytes") {
      settings.chunkBytes = number();
    } else if (name == "snapshotKeeps") {
      weather.snapshotKeeps = static_cast<unsigned>(number());
    } else {
      throw std::runtime_error("no such option: " + name);
    }
  }
};

std::string text(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream whole;
  whole << file.rdbuf();
  return whole.str();
}

/// Where two texts part, for a person.
std::string difference(const std::string& wanted, const std::string& got) {
  std::istringstream a(wanted), b(got);
  std::string left, right, step;
  for (unsigned number = 1; ; number++) {
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

}  // namespace

TEST_CASE("zab: scenario files come out as they are written") {
  std::vector<std::filesystem::path> paths;
  for (auto& entry : std::filesystem::directory_iterator(ZAB_SCENARIOS)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  REQUIRE(!paths.empty());
  std::sort(paths.begin(), paths.end());
  for (auto& path : paths) {
    INFO(path.string());
    std::ifstream file(path);
    auto played = Play().run(file);
    // A step that waits for ever is a mistake in the scenario, never an expectation.
    CHECK(played.find("> NEVER") == played.npos);
    if (std::getenv("UPDATE") != nullptr) {
      std::ofstream(path) << played;
    } else {
      auto parts = difference(text(path), played);
      INFO(parts);
      CHECK(parts.empty());
    }
  }
}

}  // namespace polyquorum::zab
