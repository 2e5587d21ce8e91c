// SPDX-License-Identifier: Apache-2.0
// What the loader checks once a library's descriptor is known: description, schemas, options, and
// whether the plugins of one configuration can work together.
#pragma once
#include <string>
#include <vector>
#include "kernel/loader.h"

namespace polyquorum::kernel {

/// The five kinds, by folder name and by id of the interface.
const char* kindName(std::uint64_t kind);
std::uint64_t kindId(const std::string& kind);   ///< 0 if there is no such kind
const std::vector<std::string>& kindNames();

/// One plugin that is to be asked for its description and, if options is given, for an instance.
struct Inquiry {
  LoadedPlugin* plugin = nullptr;
  const PluginUse* options = nullptr;
  const Config* config = nullptr;
  std::string problem;                    ///< out: describe() failed or says what it must not
  std::vector<std::string> optionProblems;  ///< out: one line each, from create()
};

/// Asks all in a thread and an event loop of their own, with an environment in which nothing is
/// real: no file is written and no socket opened. Sets message of the plugins that answer.
void inquire(std::vector<Inquiry>& inquiries);

/// Why this plugin's interface cannot be used by this kernel; empty if it can. Both versions are
/// named (prototype.md section 4: incompatible plugins load, run, and read defaults in silence).
std::string checkInterface(const plugin::Description::Reader& description);

/// Pairs of plugins that cannot work together, by their traits.
void checkTraits(const Config& config, const Wiring& wiring, std::vector<Problem>& problems);

}  // namespace polyquorum::kernel
