// SPDX-License-Identifier: Apache-2.0
// See loader.h. The only file that includes Boost.DLL; what is checked after that is in
// loader_checks.cpp.
#include "kernel/loader.h"
#include <dlfcn.h>
#include <kj/debug.h>
#include <sys/stat.h>
#include <algorithm>
#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>
#include <filesystem>
#include "kernel/loader_checks.h"
#include "sdk/options.h"

namespace polyquorum::kernel {
namespace {

namespace fs = std::filesystem;

/// The library stays mapped until the process ends: exceptions, vtables and clients may point into
/// it (prototype.md section 4, "unload").
void keepForEver(boost::dll::shared_library library) {
  static auto* kept = new std::vector<boost::dll::shared_library>();
  kept->push_back(std::move(library));
}

/// What dlerror() said. Boost puts its own function in front and a stale errno behind, which would
/// mislead (prototype.md section 4).
std::string dlText(const std::string& text) {
  const std::string before = "dlerror system message: ";
  auto from = text.find(before);
  auto end = text.rfind(" [");
  if (from == std::string::npos) return text.substr(0, end);
  from += before.size();
  auto to = text.find("): ", from);
  return text.substr(from, (to == std::string::npos ? end : to) - from);
}

/// Why a stranger could have put something else there; empty if not. A sticky folder is fine: only
/// a file's owner can replace it there.
std::string checkWritable(const fs::path& file) {
  for (auto path = file;; path = path.parent_path()) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) return path.string() + " cannot be examined";
    bool open = (info.st_mode & S_IWOTH) != 0 && (info.st_mode & S_ISVTX) == 0;
    if (open) {
      return path.string() +
             " is writable for everyone, so anyone could replace the plugin; run "
             "chmod o-w " +
             path.string();
    }
    if (path == path.parent_path()) return "";
  }
}

/// Opens the library and checks its descriptor; the plugin's own code is not run.
std::string openLibrary(LoadedPlugin& plugin) {
  std::error_code error;
  auto file = fs::canonical(plugin.file, error);
  if (error) return "cannot be opened: " + error.message();
  auto open = checkWritable(file);
  if (!open.empty()) return open;
  boost::dll::shared_library library;
  try {
    library.load(file.string(),
                 boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  } catch (const std::exception& thrown) {
    return "cannot be loaded: " + dlText(thrown.what());
  }
  if (!library.has("polyquorumPlugin")) {
    keepForEver(std::move(library));
    return "exports no symbol polyquorumPlugin, so it is no plugin; see POLYQUORUM_PLUGIN in "
           "sdk/plugin.h";
  }
  plugin.descriptor = &library.get<const sdk::Descriptor>("polyquorumPlugin");
  keepForEver(std::move(library));
  return "";
}

/// What the descriptor itself says.
std::string checkDescriptor(const LoadedPlugin& plugin) {
  auto& descriptor = *plugin.descriptor;
  if (descriptor.magic != sdk::PLUGIN_MAGIC) {
    return "its symbol polyquorumPlugin is no descriptor (wrong magic number); build it with "
           "POLYQUORUM_PLUGIN of sdk/plugin.h";
  }
  if (descriptor.descriptorVersion != sdk::DESCRIPTOR_VERSION) {
    return "its descriptor has version " + std::to_string(descriptor.descriptorVersion) +
           " and this program reads version " + std::to_string(sdk::DESCRIPTOR_VERSION) +
           "; build it with this program's SDK";
  }
  if (descriptor.capnpVersion != CAPNP_VERSION) {
    return "was built with Cap'n Proto " + std::to_string(descriptor.capnpVersion) +
           " and this program with " + std::to_string(CAPNP_VERSION) + "; build both with the same";
  }
  if (std::string_view(descriptor.buildTag) != sdk::BUILD_TAG) {
    return "is of another build (" + std::string(descriptor.buildTag) + ") than this program (" +
           sdk::BUILD_TAG + "); take both from the same release, or build it with this program's SDK";
  }
  std::string actual = kindName(descriptor.kind);
  if (actual.empty()) {
    return "is of a kind that this program does not know; build it with this program's SDK";
  }
  if (actual != plugin.kind) {
    bool vowel = actual[0] == 'e' || actual[0] == 'a';
    return "is " + std::string(vowel ? "an " : "a ") + actual + " plugin; it cannot be used as " +
           plugin.kind;
  }
  if (plugin.name != descriptor.name) {
    return std::string("calls itself ") + descriptor.name + "; rename the file or the plugin";
  }
  return "";
}

struct Candidate {
  std::shared_ptr<LoadedPlugin> plugin;
  std::string problem;
};

Candidate openCandidate(const std::string& kind, const std::string& name, const std::string& file) {
  Candidate candidate{std::make_shared<LoadedPlugin>(), ""};
  candidate.plugin->kind = kind;
  candidate.plugin->name = name;
  candidate.plugin->file = file;
  candidate.problem = openLibrary(*candidate.plugin);
  if (candidate.problem.empty()) candidate.problem = checkDescriptor(*candidate.plugin);
  return candidate;
}

/// The names that the directories offer for a kind, sorted, each once; the first directory wins.
std::vector<std::pair<std::string, std::string>> listed(
    const std::string& kind, const std::vector<std::string>& directories) {
  std::vector<std::pair<std::string, std::string>> found;
  for (auto& directory : directories) {
    std::error_code error;
    for (auto& entry : fs::directory_iterator(fs::path(directory) / kind, error)) {
      if (entry.path().extension() != ".so") continue;
      auto name = entry.path().stem().string();
      auto same = [&](auto& other) { return other.first == name; };
      if (std::none_of(found.begin(), found.end(), same)) found.emplace_back(name, entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string notFound(const PluginUse& use, const std::vector<std::string>& directories) {
  std::vector<std::string> names;
  std::string all;
  for (auto& [name, file] : listed(use.kind, directories)) {
    names.push_back(name);
    all += (all.empty() ? "" : ", ") + name;
  }
  std::string text = "there is no " + use.kind + " plugin " + use.name;
  auto near = sdk::nearest(use.name, names);
  if (!near.empty()) return text + "; did you mean " + near + "?";
  if (!all.empty()) return text + "; there are: " + all;
  std::string where;
  for (auto& directory : directories) where += (where.empty() ? "" : ", ") + directory;
  return text + "; looked in " + where;
}

/// Loads everything one configuration names.
class Loading {
 public:
  explicit Loading(const Config& config) : config(config), directories(config.pluginDirectories) {
    directories.push_back(ownPluginDirectory());
  }

  Wiring run() {
    Wiring wiring;
    wiring.election = add(config.election, "plugins.election");
    wiring.consensus = add(config.consensus, "plugins.consensus");
    wiring.storage = add(config.storage, "plugins.storage");
    wiring.transport = add(config.transport, "plugins.transport");
    for (std::size_t i = 0; i < config.apis.size(); i++) {
      wiring.apis.push_back(add(config.apis[i], "plugins.api[" + std::to_string(i) + "]"));
    }
    inquire(inquiries);
    for (std::size_t i = 0; i < inquiries.size(); i++) judge(inquiries[i], keys[i]);
    if (problems.empty()) checkTraits(config, wiring, problems);
    if (!problems.empty()) throw ConfigError(std::move(problems));
    return wiring;
  }

 private:
  const Config& config;
  std::vector<std::string> directories;
  std::vector<Inquiry> inquiries;
  std::vector<std::string> keys;  ///< parallel to inquiries
  std::vector<Problem> problems;

  std::shared_ptr<LoadedPlugin> add(const PluginUse& use, const std::string& key) {
    for (auto& directory : directories) {
      auto file = fs::path(directory) / use.kind / (use.name + ".so");
      std::error_code error;
      if (!fs::exists(file, error)) continue;
      auto candidate = openCandidate(use.kind, use.name, file.string());
      if (!candidate.problem.empty()) {
        problems.push_back({use.place, key + ".use", file.string() + " " + candidate.problem});
        return nullptr;
      }
      inquiries.push_back({candidate.plugin.get(), &use, &config, "", {}});
      keys.push_back(key);
      return candidate.plugin;
    }
    problems.push_back({use.place, key + ".use", notFound(use, directories)});
    return nullptr;
  }

  void judge(Inquiry& inquiry, const std::string& key) {
    auto& use = *inquiry.options;
    auto problem = inquiry.problem;
    if (problem.empty()) problem = checkInterface(inquiry.plugin->description());
    if (!problem.empty()) {
      problems.push_back({use.place, key + ".use", inquiry.plugin->file + " " + problem});
      return;
    }
    auto complete = completed(config, use, *inquiry.plugin);
    for (auto& line : inquiry.optionProblems) problems.push_back(toProblem(line, complete, key));
  }

  /// sdk::Options writes "place: name: reason"; put together again as our own.
  static Problem toProblem(const std::string& line, const PluginUse& use, const std::string& key) {
    for (auto& option : use.options) {
      auto front = option.place.text() + ": " + option.name + ": ";
      if (line.rfind(front, 0) != 0) continue;
      return {option.place, key + "." + option.name, line.substr(front.size())};
    }
    return {use.place, key, line};
  }
};

Found judgeFound(Candidate& candidate) {
  Found found{candidate.plugin->kind, candidate.plugin->name, candidate.plugin->file,
              candidate.problem, nullptr};
  if (!found.problem.empty()) return found;
  std::vector<Inquiry> inquiries{{candidate.plugin.get(), nullptr, nullptr, "", {}}};
  inquire(inquiries);
  found.problem = inquiries[0].problem;
  if (found.problem.empty()) found.problem = checkInterface(candidate.plugin->description());
  if (found.problem.empty()) found.plugin = candidate.plugin;
  return found;
}

}  // namespace

plugin::Description::Reader LoadedPlugin::description() const {
  KJ_REQUIRE(message != nullptr, "the plugin was not asked for its description");
  return message->getRoot<plugin::Description>().asReader();
}

plugin::Plugin::Client LoadedPlugin::open(sdk::Environment& environment) const {
  return descriptor->open(environment);
}

std::string ownPluginDirectory() {
  auto program = boost::dll::program_location();
  auto path = fs::path(program.string()).parent_path() / ".." / "lib" / "polyquorum" / "plugins";
  return path.lexically_normal().string();
}

Wiring load(const Config& config) { return Loading(config).run(); }

std::vector<Found> findPlugins(const std::vector<std::string>& directories) {
  std::vector<Found> all;
  for (auto& kind : kindNames()) {
    for (auto& [name, file] : listed(kind, directories)) {
      auto candidate = openCandidate(kind, name, file);
      all.push_back(judgeFound(candidate));
    }
  }
  return all;
}

Found checkPlugin(const std::string& file) {
  auto path = fs::absolute(file).lexically_normal();
  auto kind = path.parent_path().filename().string();
  auto candidate = openCandidate(kind, path.stem().string(), path.string());
  // A file outside of a folder of its kind is judged by what it says of itself.
  if (kindId(kind) == 0 && candidate.plugin->descriptor != nullptr &&
      candidate.plugin->descriptor->magic == sdk::PLUGIN_MAGIC) {
    candidate.plugin->kind = kindName(candidate.plugin->descriptor->kind);
    candidate.problem = checkDescriptor(*candidate.plugin);
  }
  return judgeFound(candidate);
}

void writeOptions(const PluginUse& use, capnp::List<polyquorum::Option>::Builder out) {
  KJ_REQUIRE(out.size() == use.options.size());
  unsigned i = 0;
  for (auto& option : use.options) {
    auto target = out[i++];
    target.setName(option.name);
    target.setValue(option.value);
    target.setPlace(option.place.text());
  }
}

PluginUse completed(const Config& config, const PluginUse& use, const LoadedPlugin& plugin) {
  struct Source {
    const char* option;
    const char* key;
    std::string value;
    bool storageOnly;
  };
  const Source sources[] = {
      {"tickTime", "sessions.tickTime", std::to_string(config.sessions.tickMs) + "ms", false},
      {"snapshotsKept", "snapshots.retain", std::to_string(config.snapshots.retain), true},
      {"purgeInterval", "snapshots.purgeInterval",
       std::to_string(config.snapshots.purgeIntervalMs) + "ms", true},
  };
  auto complete = use;
  for (auto& source : sources) {
    if (source.storageOnly && use.kind != "storage") continue;
    auto named = [&](auto& option) { return option.name == source.option; };
    if (std::any_of(use.options.begin(), use.options.end(), named)) continue;
    bool known = false;
    for (auto option : plugin.description().getOptions()) {
      known = known || option.getName() == source.option;
    }
    if (!known) continue;
    Place place{config.file, 0, 0};
    for (auto& key : config.given) {
      if (key.key == source.key) place = key.place;
    }
    complete.options.push_back({source.option, source.value, place});
  }
  return complete;
}

Config completed(const Config& config, const Wiring& wiring) {
  auto complete = config;
  complete.election = completed(config, config.election, *wiring.election);
  complete.consensus = completed(config, config.consensus, *wiring.consensus);
  complete.storage = completed(config, config.storage, *wiring.storage);
  complete.transport = completed(config, config.transport, *wiring.transport);
  for (std::size_t i = 0; i < wiring.apis.size(); i++) {
    complete.apis[i] = completed(config, config.apis[i], *wiring.apis[i]);
  }
  return complete;
}

}  // namespace polyquorum::kernel
