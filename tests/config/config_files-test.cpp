// SPDX-License-Identifier: Apache-2.0
// Every file of broken/ gives exactly the problems written beside it; every file of configs/ gives
// none. POLYQUORUM_UPDATE=1 writes the expected files anew; look at the difference before commit.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>
#include "kernel/config.h"

namespace polyquorum::kernel {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> yamlFiles(const std::string& folder) {
  std::vector<fs::path> files;
  for (auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string textOf(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string problemsOf(const fs::path& file) {
  try {
    parseConfig(textOf(file), file.filename().string(), "/cluster");
  } catch (const ConfigError& error) {
    return std::string(error.what()) + "\n";
  }
  return "";
}

TEST_CASE("config: each broken file gives its problems, each with file, line, reason and cure") {
  auto files = yamlFiles(POLYQUORUM_SOURCE "/tests/config/broken");
  REQUIRE(files.size() >= 40);
  bool update = std::getenv("POLYQUORUM_UPDATE") != nullptr;
  for (auto& file : files) {
    auto expected = file;
    expected.replace_extension(".expected");
    auto problems = problemsOf(file);
    if (update) std::ofstream(expected, std::ios::binary) << problems;
    INFO(file.filename().string());
    CHECK_FALSE(problems.empty());
    CHECK(problems == textOf(expected));
  }
}

TEST_CASE("config: the sample configurations are free of problems and hints") {
  auto files = yamlFiles(POLYQUORUM_SOURCE "/configs");
  REQUIRE(files.size() >= 5);
  for (auto& file : files) {
    INFO(file.filename().string());
    auto config = readConfig(file.string());
    CHECK(config.hints.empty());
    CHECK(config.servers.size() >= 1);
  }
}

}  // namespace
}  // namespace polyquorum::kernel
