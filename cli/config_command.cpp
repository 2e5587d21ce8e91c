// SPDX-License-Identifier: Apache-2.0
// `polyquorum config check|explain`: what is wrong with a configuration, and what it means.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <regex>
#include "cli/commands.h"
#include "kernel/config.h"
#include "kernel/loader.h"

namespace polyquorum::cli {
namespace {

namespace fs = std::filesystem;

/// Files as given; a folder stands for its YAML files.
std::vector<std::string> expand(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (auto& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (auto& entry : fs::directory_iterator(path, error)) {
      auto extension = entry.path().extension();
      if (extension == ".yaml" || extension == ".yml") inside.push_back(entry.path().string());
    }
    if (inside.empty()) throw Refusal(NOT_FOUND, path + " has no file that ends in .yaml");
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

void addRow(Table& table, const char* severity, const kernel::Problem& problem) {
  table.add({severity, problem.place.file, std::to_string(problem.place.line),
             std::to_string(problem.place.column), problem.key, problem.reason});
}

Exit check(const std::vector<std::string>& paths, Format format) {
  Table rows({"severity", "file", "line#", "column#", "key", "reason"});
  std::size_t problems = 0, broken = 0;
  auto files = expand(paths);
  for (auto& file : files) {
    try {
      auto config = kernel::readConfig(file);
      kernel::load(config);
      for (auto& hint : config.hints) {
        addRow(rows, "hint", hint);
        if (format == Format::TABLE)
          std::cout << paint(Colour::YELLOW, "hint ") << hint.text() << "\n";
      }
    } catch (const kernel::ConfigError& error) {
      broken++;
      problems += error.problems.size();
      for (auto& problem : error.problems) {
        addRow(rows, "problem", problem);
        if (format == Format::TABLE) std::cout << problem.text() << "\n";
      }
    }
  }
  if (format == Format::JSON) rows.print(format);
  std::cout << std::flush;
  if (problems == 0) {
    say(std::to_string(files.size()) + (files.size() == 1 ? " file is fine" : " files are fine"));
    return DONE;
  }
  say(std::to_string(problems) + (problems == 1 ? " problem" : " problems") + " in " +
      std::to_string(broken) + " of " + std::to_string(files.size()) +
      (files.size() == 1 ? " file" : " files"));
  return PROBLEMS;
}

/// "cluster.servers[2].zookeeper" to "cluster.servers[].<api>", as the table of keys has it.
std::string general(const std::string& key) {
  static const std::regex NUMBER("\\[[0-9]+\\]");
  auto text = std::regex_replace(key, NUMBER, "[]");
  const std::string row = "cluster.servers[].";
  if (text.rfind(row, 0) != 0) return text;
  for (auto& known : kernel::kernelKeys()) {
    if (known.key == text) return text;
  }
  return row + "<api>";
}

void explainKernel(const kernel::Config& config, Table& rows) {
  for (auto& key : kernel::kernelKeys()) {
    bool given = false;
    for (auto& one : config.given) {
      if (general(one.key) != key.key) continue;
      given = true;
      rows.add({one.key, one.value, one.place.text(), key.accepted, key.meaning});
    }
    if (given) continue;
    if (key.key == "plugins.directories") {
      std::string all;
      for (auto& directory : config.pluginDirectories) all += (all.empty() ? "" : ", ") + directory;
      rows.add({key.key, all, all.empty() ? "initial" : config.file, key.accepted, key.meaning});
    } else {
      rows.add({key.key, key.initial, "initial", key.accepted, key.meaning});
    }
  }
  rows.add({"(program's plugins)", kernel::ownPluginDirectory(), "beside the program", "",
            "Looked in after plugins.directories."});
}

void explainPlugin(const kernel::Config& config, const kernel::PluginUse& use,
                   const kernel::LoadedPlugin& plugin, const std::string& key, Table& rows) {
  auto complete = kernel::completed(config, use, plugin);
  for (auto option : plugin.description().getOptions()) {
    std::string value = option.getInitial().cStr(), origin = "initial";
    for (auto& given : complete.options) {
      if (given.name != option.getName().cStr()) continue;
      value = given.value;
      origin = given.place.line == 0 ? "as the kernel's" : given.place.text();
    }
    rows.add({key + "." + option.getName().cStr(), value, origin, option.getAccepted().cStr(),
              option.getMeaning().cStr()});
  }
}

Exit explain(const std::string& file, Format format) {
  auto config = kernel::readConfig(file);
  Table rows({"key", "value", "origin", "accepted", "meaning"});
  explainKernel(config, rows);
  Exit code = DONE;
  try {
    auto wiring = kernel::load(config);
    explainPlugin(config, config.election, *wiring.election, "plugins.election", rows);
    explainPlugin(config, config.consensus, *wiring.consensus, "plugins.consensus", rows);
    explainPlugin(config, config.storage, *wiring.storage, "plugins.storage", rows);
    explainPlugin(config, config.transport, *wiring.transport, "plugins.transport", rows);
    for (std::size_t i = 0; i < wiring.apis.size(); i++) {
      explainPlugin(config, config.apis[i], *wiring.apis[i],
                    "plugins.api[" + std::to_string(i) + "]", rows);
    }
  } catch (const kernel::ConfigError& error) {
    say(error.what());
    say("the plugins' own options are left out, because of the problems above");
    code = PROBLEMS;
  }
  rows.print(format);
  return code;
}

}  // namespace

void addConfig(CLI::App& app, Context& context) {
  auto* verb = app.add_subcommand("config", "Check or explain a configuration; starts nothing");
  verb->require_subcommand(1);
  auto paths = std::make_shared<std::vector<std::string>>();
  auto* checking = verb->add_subcommand("check", "Tell everything that is wrong, with places");
  checking->add_option("file", *paths, "YAML files, or folders of them")->required();
  checking->callback([paths, &context]() {
    context.verb = [paths, &context]() { return check(*paths, context.format); };
  });
  auto file = std::make_shared<std::string>();
  auto* explaining = verb->add_subcommand(
      "explain", "Show every key: its value, where that comes from, what it means");
  explaining->add_option("file", *file, "A YAML file")->required();
  explaining->callback([file, &context]() {
    context.verb = [file, &context]() { return explain(*file, context.format); };
  });
}

}  // namespace polyquorum::cli
