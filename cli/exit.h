// SPDX-License-Identifier: Apache-2.0
// How every verb of the command line ends.
#pragma once
#include <stdexcept>
#include <string>

namespace polyquorum::cli {

enum Exit : int {
  DONE = 0,
  FAILED = 1,
  USAGE = 2,
  NOT_FOUND = 3,
  CONFLICT = 4,       ///< exists already, another version, not empty
  UNAVAILABLE = 5,    ///< no server, or no leader
  UNKNOWN = 6,        ///< timed out; it may have happened
  PROBLEMS = 7,       ///< a check found problems, e.g. in a configuration
};

/// Ends a verb: one sentence with cause and next step, and the exit code.
class Refusal : public std::runtime_error {
public:
  Refusal(Exit code, const std::string& text) : std::runtime_error(text), code(code) {}
  const Exit code;
};

}  // namespace polyquorum::cli
