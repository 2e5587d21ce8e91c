// SPDX-License-Identifier: Apache-2.0
// The loader against plugins that are broken on purpose; tests/config builds them.
#include "kernel/loader.h"
#include <kj/async.h>
#include <sys/stat.h>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include "interfaces/storage.capnp.h"
#include "tests/support/folder.h"

namespace polyquorum::kernel {
namespace {

namespace fs = std::filesystem;

std::string fakes() {
  return fs::path(ownPluginDirectory()).parent_path().string() + "/test-plugins";
}

PluginUse use(const std::string& kind, const std::string& name, int line) {
  return {kind, name, {"c.yaml", line, 13}, {}};
}

Config good() {
  Config config;
  config.file = "c.yaml";
  config.election = use("election", "good", 1);
  config.consensus = use("consensus", "good", 2);
  config.storage = use("storage", "good", 3);
  config.transport = use("transport", "good", 4);
  config.apis.push_back(use("api", "good", 5));
  config.pluginDirectories = {fakes()};
  return config;
}

std::vector<std::string> refusals(const Config& config) {
  std::vector<std::string> lines;
  try {
    load(config);
  } catch (const ConfigError& error) {
    for (auto& problem : error.problems) lines.push_back(problem.text());
  }
  return lines;
}

std::string refusalOfStorage(const std::string& name) {
  auto config = good();
  config.storage.name = name;
  auto lines = refusals(config);
  INFO(name);
  REQUIRE(lines.size() == 1);
  REQUIRE(lines[0].rfind("c.yaml:3:13: plugins.storage", 0) == 0);
  return lines[0];
}

TEST_CASE("loader: five good plugins are loaded and described") {
  auto wiring = load(good());

  REQUIRE(wiring.apis.size() == 1);
  REQUIRE(wiring.storage->description().getTraits().getStorage().getDurable());
  REQUIRE(wiring.storage->description().getKind() == capnp::typeId<storage::Storage>());
}

TEST_CASE("loader: a plugin's fault is one clear sentence (issue 2, checks)") {
  std::pair<const char*, const char*> cases[] = {
      {"magic", "wrong magic number"},
      {"descriptor", "its descriptor has version 9 and this program reads version 2"},
      {"capnp", "was built with Cap'n Proto"},
      {"stranger", "is of another build (0.0.9 sdk 0123456789ab libstdc++) than this program ("},
      {"alien", "is of a kind that this program does not know"},
      {"elsewhere", "is an election plugin; it cannot be used as storage"},
      {"misnamed", "calls itself somebody_else"},
      {"major", "speaks version 7.1 of its interface and this program speaks 0.1"},
      {"minor", "speaks version 0.2 of its interface"},
      {"silent", "failed when asked for its description: std::exception: no description today"},
      {"altered", "has another interfaces/storage.capnp:Range than this program"},
      {"smaller", "lacks parts of interfaces/storage.capnp:Range"},
      {"bare", "does not export the schema of its interface"},
      {"traitless", "does not state its traits"},
      {"undefined", "undefined symbol: polyquorumNowhereDefined"},
      {"nosymbol", "exports no symbol polyquorumPlugin"},
  };
  for (auto& [name, text] : cases) {
    auto line = refusalOfStorage(name);
    CAPTURE(line);
    REQUIRE(line.find(text) != std::string::npos);
    REQUIRE(line.find('\n') == std::string::npos);
    REQUIRE(line.find("errno") == std::string::npos);
    REQUIRE(line.find("Illegal seek") == std::string::npos);
  }
}

TEST_CASE("loader: a missing plugin names the nearest one") {
  REQUIRE(refusalOfStorage("goood").find("did you mean good?") != std::string::npos);
  REQUIRE(refusalOfStorage("xyzxyzxyzxyz").find("there are: ") != std::string::npos);
}

TEST_CASE("loader: all problems of all plugins come together, and nothing is started") {
  auto config = good();
  config.storage.name = "magic";
  config.election.name = "goot";
  config.consensus.options.push_back({"colour", "green", {"c.yaml", 2, 30}});
  config.consensus.options.push_back({"color", "red", {"c.yaml", 2, 45}});
  config.apis[0].options.push_back({"tickTime", "5", {"c.yaml", 5, 30}});

  auto lines = refusals(config);

  REQUIRE(lines.size() == 5);
  REQUIRE(lines[2] == "c.yaml:2:30: plugins.consensus.colour: \"green\" is not known; write red or "
                      "blue");
  REQUIRE(lines[3] == "c.yaml:2:45: plugins.consensus.color: there is no such option; did you mean "
                      "colour?");
  REQUIRE(lines[4].rfind("c.yaml:5:30: plugins.api[0].tickTime: \"5\" is not a duration", 0) == 0);
}

TEST_CASE("loader: what create() throws is a problem of that plugin") {
  for (auto [temper, text] : {std::pair{"angry", "create is angry"}, std::pair{"furious", "int"}}) {
    auto config = good();
    config.transport.options.push_back({"temper", temper, {"c.yaml", 4, 30}});
    auto lines = refusals(config);
    REQUIRE(lines.size() == 1);
    REQUIRE(lines[0].rfind("c.yaml:4:13: plugins.transport: ", 0) == 0);
    REQUIRE(lines[0].find(text) != std::string::npos);
  }
}

TEST_CASE("loader: sessions.tickTime reaches plugins that know it, once, with its place") {
  auto config = good();
  config.sessions.tickMs = 77;
  config.given.push_back({"sessions.tickTime", "77ms", {"c.yaml", 9, 3}});

  auto lines = refusals(config);
  REQUIRE(lines.size() == 5);
  REQUIRE(lines[0] == "c.yaml:9:3: plugins.election.tickTime: 77ms is unlucky");

  config.sessions.tickMs = 500;
  auto wiring = load(config);
  auto complete = completed(config, config.storage, *wiring.storage);
  REQUIRE(complete.options.size() == 1);
  REQUIRE(complete.options[0].value == "500ms");
  REQUIRE(complete.options[0].place.text() == "c.yaml:9:3");
  config.storage.options.push_back({"tickTime", "3s", {"c.yaml", 3, 30}});
  REQUIRE(completed(config, config.storage, *wiring.storage).options.size() == 1);

  auto whole = completed(config, wiring);
  REQUIRE(whole.storage.options[0].value == "3s");
  REQUIRE(whole.apis[0].options[0].value == "500ms");
}

TEST_CASE("loader: an impossible pair is refused with one sentence (architecture, section 4)") {
  auto config = good();
  config.consensus.name = "fussy";
  auto lines = refusals(config);
  REQUIRE(lines.size() == 2);
  REQUIRE(lines[0].find("good needs one order of all writes, and fussy gives none") !=
          std::string::npos);
  REQUIRE(lines[1].find("has no read barrier") != std::string::npos);

  config.election.name = "plain";
  config.transport.name = "loose";
  config.apis.clear();
  lines = refusals(config);
  REQUIRE(lines.size() == 2);
  REQUIRE(lines[0].find("fussy needs an election that nominates only the best log") !=
          std::string::npos);
  REQUIRE(lines[1].find("fussy needs letters in order, and loose does not keep it") !=
          std::string::npos);
}

TEST_CASE("loader: a plugin that everyone may replace is refused (promises.md P5)") {
  test::Folder folder;
  fs::create_directories(folder / "storage");
  fs::copy(fakes() + "/storage/good.so", folder / "storage/good.so");
  auto config = good();
  config.pluginDirectories = {folder.path, fakes()};

  chmod((folder / "storage").c_str(), 0777);
  auto lines = refusals(config);
  REQUIRE(lines.size() == 1);
  REQUIRE(lines[0].find("is writable for everyone") != std::string::npos);
  chmod((folder / "storage").c_str(), 0755);
  chmod((folder / "storage/good.so").c_str(), 0666);
  REQUIRE(refusals(config).size() == 1);
  chmod((folder / "storage/good.so").c_str(), 0644);
  REQUIRE(refusals(config).empty());
}

TEST_CASE("loader: a file that is no library is refused") {
  test::Folder folder;
  fs::create_directories(folder / "storage");
  std::ofstream(folder / "storage/text.so") << "hello";
  fs::create_symlink("/nonexistent", folder / "storage/gone.so");

  auto text = checkPlugin(folder / "storage/text.so");
  auto gone = checkPlugin(folder / "storage/gone.so");

  REQUIRE(text.problem.find("cannot be loaded: ") == 0);
  REQUIRE(gone.problem.find("cannot be opened: ") == 0);
}

TEST_CASE("loader: all plugins of a folder are listed with what is wrong with each") {
  auto found = findPlugins({fakes()});

  auto good = std::count_if(found.begin(), found.end(), [](auto& f) { return f.problem.empty(); });
  REQUIRE(found.size() >= 22);
  // The traitless one is found out at wiring only.
  REQUIRE(good == 9);
  for (auto& one : found) REQUIRE((one.plugin != nullptr) == one.problem.empty());
}

}  // namespace
}  // namespace polyquorum::kernel
