// SPDX-License-Identifier: Apache-2.0
// The command line of the load generator, for whichever program offers it.
#pragma once
#include "bench/bench.h"

namespace CLI {
class App;
}

namespace polyquorum::bench {

/// Adds the test's name and all flags to a CLI11 app or subcommand. options must outlive the parse.
/// Flags that are wrong in themselves end in CLI::ValidationError.
void addBenchOptions(CLI::App& verb, BenchOptions& options);

}  // namespace polyquorum::bench
