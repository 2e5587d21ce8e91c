// SPDX-License-Identifier: Apache-2.0
// What the rooms of the configuration reader share: reading one typed key, and noting a problem.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>
#include "kernel/config.h"
#include "kernel/config_tree.h"

namespace polyquorum::kernel {

/// Notes problems and reads scalars for one file. Every read of a bad value notes one problem and
/// returns the initial value, so that the rest of the file is checked too.
class RuleReader {
 public:
  RuleReader(Config& config, std::vector<Problem>& problems) : config(config), problems(problems) {}

  Config& config;
  std::vector<Problem>& problems;

  void problem(const Place& place, const std::string& key, const std::string& reason);
  void hint(const Place& place, const std::string& key, const std::string& reason);

  /// True if tree is a map; else notes that it should be. Null is taken as a map without members.
  bool isMap(const Tree& tree, const std::string& key, const std::string& example);
  /// Notes each member that is not among known, with the nearest that is.
  void refuseUnknown(const Tree& map, const std::string& key, std::vector<std::string> known);

  /// The text of a scalar member; noted as a problem if it is missing (and required) or no scalar.
  const Tree* scalar(const Tree& map, const std::string& key, const std::string& name);

  std::uint64_t number(const Tree& map, const std::string& key, const std::string& name,
                       std::uint64_t initial, std::uint64_t min, std::uint64_t max);
  std::uint64_t durationMs(const Tree& map, const std::string& key, const std::string& name,
                           std::uint64_t initial, std::uint64_t minMs, std::uint64_t maxMs);
  std::uint64_t bytes(const Tree& map, const std::string& key, const std::string& name,
                      std::uint64_t initial, std::uint64_t min, std::uint64_t max);
  bool flag(const Tree& map, const std::string& key, const std::string& name, bool initial);

 private:
  void given(const std::string& key, const Tree& tree);
};

/// The word of known that key was meant to be: at most one slip in three letters; "" if none is so
/// near. Stricter than sdk::nearest(), which answers for single options.
std::string nearestKey(const std::string& key, const std::vector<std::string>& known);

/// text for a message: in quotes, cut where it gets long.
std::string quote(const std::string& text);

/// "a.b", or "b" at the top.
std::string dotted(const std::string& key, const std::string& name);

/// Reads a whole number without sign, point, exponent or leading zero.
bool parseNumber(const std::string& text, std::uint64_t& out);

/// Reads cluster.servers and checks the rows against each other. config.apis is filled already;
/// apisKnown: completely, so that other keys of a row are wrong.
void readServers(RuleReader& reader, const Tree& list, const std::string& folder, bool apisKnown);

}  // namespace polyquorum::kernel
