// SPDX-License-Identifier: Apache-2.0
// Finds, checks and opens plugins. Boost.DLL is included by loader.cpp only. Libraries are never
// unloaded: exceptions and clients may point into them for as long as the process lives.
#pragma once
#include <capnp/message.h>
#include <kj/memory.h>
#include <memory>
#include <string>
#include <vector>
#include "interfaces/plugin.capnp.h"
#include "kernel/config.h"
#include "sdk/plugin.h"

namespace polyquorum::kernel {

/// One loaded library, checked: magic, descriptor version, CAPNP_VERSION, build, kind, interface
/// version, schemas.
struct LoadedPlugin {
  std::string kind, name, file;
  const sdk::Descriptor* descriptor = nullptr;
  std::unique_ptr<capnp::MallocMessageBuilder> message;   ///< holds the Description
  plugin::Description::Reader description() const;
  /// One plugin object for one node.
  plugin::Plugin::Client open(sdk::Environment& environment) const;
};

/// All that one configuration names.
struct Wiring {
  std::shared_ptr<LoadedPlugin> election, consensus, storage, transport;
  std::vector<std::shared_ptr<LoadedPlugin>> apis;   ///< parallel to Config::apis
};

/// Loads what config names, checks it against this kernel and against each other (traits). Throws
/// ConfigError with every problem at once. Nothing is started.
Wiring load(const Config& config);

/// All plugins to be found in these directories, with what is wrong with each, for `plugins list`.
struct Found {
  std::string kind, name, file, problem;    ///< problem empty: fine
  std::shared_ptr<LoadedPlugin> plugin;
};
std::vector<Found> findPlugins(const std::vector<std::string>& directories);
/// Checks one file, for `plugins check`.
Found checkPlugin(const std::string& file);

/// Sets a List(Option) from what the YAML gave.
void writeOptions(const PluginUse& use, capnp::List<polyquorum::Option>::Builder out);

/// use as it is, and what the kernel's own sections say about options that the plugin knows and the
/// YAML does not give there: tickTime (any plugin), snapshotsKept and purgeInterval (storage). So
/// each has one source.
PluginUse completed(const Config& config, const PluginUse& use, const LoadedPlugin& plugin);

/// The same for all plugins of a configuration: what a node is to be started with.
Config completed(const Config& config, const Wiring& wiring);

/// The folder of plugins that comes with the program: `<its folder>/../lib/polyquorum/plugins`.
std::string ownPluginDirectory();

}  // namespace polyquorum::kernel
