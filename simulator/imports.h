// SPDX-License-Identifier: Apache-2.0
// What a plugin's library asks of others, read from its file, and which of that a plugin of its kind
// must not ask: time, chance, disk and network come from sdk::Environment. Runs nothing.
#pragma once
#include <string>
#include <vector>

namespace polyquorum::simulator {

/// The dynamic symbols that the library leaves to others, without their versions, sorted. Throws
/// kj::Exception if the file is no ELF library of 64 bits.
std::vector<std::string> importsOf(const std::string& file);

struct ForbiddenImport {
  std::string symbol, why;
};

/// kind: election, consensus, storage, transport or api.
std::vector<ForbiddenImport> forbiddenImports(const std::string& kind,
                                              const std::vector<std::string>& imports);

}  // namespace polyquorum::simulator
