// SPDX-License-Identifier: Apache-2.0
// `polyquorum plugins list|info|check`: what can be loaded, what it says of itself, what is wrong.
#include <kj/string.h>
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include "cli/commands.h"
#include "kernel/loader.h"
#include "simulator/imports.h"

namespace polyquorum::cli {
namespace {

using Description = plugin::Description::Reader;

struct PluginArguments {
  std::vector<std::string> directories, files;
  std::string name;
};

std::vector<std::string> allDirectories(const PluginArguments& arguments) {
  auto all = arguments.directories;
  all.push_back(kernel::ownPluginDirectory());
  return all;
}

/// The traits of the plugin's kind as `(name = value, ...)`.
std::string traitsOf(const Description& description) {
  auto traits = description.getTraits();
  switch (traits.which()) {
    case plugin::Description::Traits::ELECTION: return kj::str(traits.getElection()).cStr();
    case plugin::Description::Traits::CONSENSUS: return kj::str(traits.getConsensus()).cStr();
    case plugin::Description::Traits::STORAGE: return kj::str(traits.getStorage()).cStr();
    case plugin::Description::Traits::TRANSPORT: return kj::str(traits.getTransport()).cStr();
    case plugin::Description::Traits::API: return kj::str(traits.getApi()).cStr();
  }
  return "";
}

std::string versionOf(const kernel::Found& found) {
  return found.plugin == nullptr ? "" : found.plugin->description().getVersion().cStr();
}

Exit list(const PluginArguments& arguments, Format format) {
  Table rows({"kind", "name", "version", "state", "file"});
  for (auto& found : kernel::findPlugins(allDirectories(arguments))) {
    rows.add({found.kind, found.name, versionOf(found),
              found.problem.empty() ? "fine" : found.problem, found.file});
  }
  if (rows.empty()) say("no plugins; looked in " + allDirectories(arguments).back());
  rows.print(format);
  return DONE;
}

void printInfo(const kernel::Found& found, Format format) {
  auto description = found.plugin->description();
  Table options({"option", "initial", "accepted", "meaning"});
  for (auto option : description.getOptions()) {
    options.add({option.getName().cStr(), option.getInitial().cStr(), option.getAccepted().cStr(),
                 option.getMeaning().cStr()});
  }
  if (format == Format::JSON) return options.print(format);
  Table facts({"", ""});
  facts.add({"plugin", found.kind + "/" + found.name});
  facts.add({"version", description.getVersion().cStr()});
  facts.add({"interface", std::to_string(description.getMajor()) + "." +
                              std::to_string(description.getMinor())});
  facts.add({"traits", traitsOf(description)});
  facts.add({"file", found.file});
  std::cout << facts.text(false) << "\n";
  if (!options.empty()) std::cout << options.text() << "\n";
  Table letters({"letter", "kind", "numbers"});
  for (auto letter : description.getLetters()) {
    std::string numbers;
    for (auto number : letter.getNumbers()) {
      numbers += (numbers.empty() ? "" : ", ") + std::string(number.cStr());
    }
    letters.add({letter.getName().cStr(), std::to_string(letter.getKind()), numbers});
  }
  if (!letters.empty()) std::cout << letters.text() << "\n";
}

/// name: "file", "storage/file" or the path of a library.
Exit info(const PluginArguments& arguments, Format format) {
  auto& name = arguments.name;
  std::vector<kernel::Found> fitting;
  if (name.size() > 3 && name.substr(name.size() - 3) == ".so") {
    fitting.push_back(kernel::checkPlugin(name));
  } else {
    for (auto& found : kernel::findPlugins(allDirectories(arguments))) {
      if (found.name == name || found.kind + "/" + found.name == name) fitting.push_back(found);
    }
  }
  if (fitting.empty()) {
    throw Refusal(NOT_FOUND, "there is no plugin " + name +
                                 "; `polyquorum plugins list` shows what there is");
  }
  for (auto& found : fitting) {
    if (!found.problem.empty()) throw Refusal(PROBLEMS, found.file + " " + found.problem);
    printInfo(found, format);
  }
  return DONE;
}

/// What the library asks of the world behind the environment's back; empty: nothing.
std::string reachOf(const kernel::Found& found) {
  std::string out;
  for (auto& one : simulator::forbiddenImports(found.kind, simulator::importsOf(found.file))) {
    out += (out.empty() ? "" : "; ") + one.why + " (" + one.symbol + ")";
  }
  return out.empty() ? out : out + "; all of that comes from sdk::Environment";
}

Exit checkAll(const PluginArguments& arguments, Format format) {
  Table rows({"file", "kind", "name", "state"});
  Exit code = DONE;
  for (auto& file : arguments.files) {
    auto found = kernel::checkPlugin(file);
    if (found.problem.empty()) found.problem = reachOf(found);
    if (!found.problem.empty()) code = PROBLEMS;
    rows.add({file, found.kind, found.name, found.problem.empty() ? "fine" : found.problem});
  }
  rows.print(format);
  return code;
}

}  // namespace

void addPlugins(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<PluginArguments>();
  auto* verb = app.add_subcommand("plugins", "List, describe or check plugins");
  verb->require_subcommand(1);
  auto add = [&](const char* name, const char* meaning,
                 Exit (*run)(const PluginArguments&, Format)) {
    auto* one = verb->add_subcommand(name, meaning);
    one->callback([arguments, run, &context]() {
      context.verb = [arguments, run, &context]() { return run(*arguments, context.format); };
    });
    return one;
  };
  auto* listing = add("list", "All plugins that can be found", list);
  auto* describing = add("info", "Options, traits and letters of one plugin", info);
  auto* checking = add(
      "check", "Whether this program can load a library, which keeps to its environment", checkAll);
  for (auto* one : {listing, describing}) {
    one->add_option("--directory", arguments->directories,
                    "Look here first; as plugins.directories in the YAML");
  }
  describing->add_option("name", arguments->name, "A name, kind/name, or the path of a .so")
      ->required();
  checking->add_option("file", arguments->files, "Libraries")->required();
}

}  // namespace polyquorum::cli
