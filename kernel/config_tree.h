// SPDX-License-Identifier: Apache-2.0
// The YAML subset that a configuration may use, as a plain tree in which every word knows its
// place. Knows no key: what the words mean is config_rules.cpp.
#pragma once
#include <string>
#include <vector>
#include "kernel/config.h"

namespace polyquorum::kernel {

/// One value: nothing, a scalar, a list or a map.
struct Tree {
  enum Kind { NOTHING, SCALAR, LIST, MAP } kind = NOTHING;
  Place place;
  std::string text;      ///< SCALAR only, as written without quotes
  bool quoted = false;   ///< SCALAR only
  bool refused = false;  ///< a problem was noted already; what is missing here is no second one
  std::string key;       ///< member of a map: its name; place is then the value's
  Place keyPlace;
  std::vector<Tree> members;  ///< LIST: the items; MAP: the members, each key once

  const Tree* find(const std::string& name) const;
};

/// Reads text strictly: one document of at most 1 MiB and depth 16, in UTF-8, without anchors,
/// aliases, tags, merge keys and tabs in front of a line; no key twice in a map. Adds what is wrong
/// to problems and returns what could be read.
Tree readTree(const std::string& text, const std::string& file, std::vector<Problem>& problems);

/// The settings that a tree states, with all that is wrong with it added to problems.
Config readRules(const Tree& root, const std::string& file, const std::string& folder,
                 std::vector<Problem>& problems);

constexpr std::size_t CONFIG_BYTES_MAX = 1 << 20;

}  // namespace polyquorum::kernel
