// SPDX-License-Identifier: Apache-2.0
// Typed reading of a plugin's options. Collects every problem, then throws them all at once, each
// with the place in the YAML, the reason and the cure.
#pragma once
#include <capnp/list.h>
#include <kj/string.h>
#include <kj/time.h>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>
#include "interfaces/types.capnp.h"

namespace polyquorum::sdk {

/// Reads each option once, by name; a bad value counts as absent, so that it causes no second
/// complaint. Call finish() after the last one.
class Options {
public:
  explicit Options(capnp::List<polyquorum::Option>::Reader options);

  /// A duration: "100ms", "2s", "5m", "1h". Bounds are inclusive.
  kj::Duration duration(const char* name, kj::Duration initial, kj::Duration min, kj::Duration max);
  /// A whole number.
  std::int64_t number(const char* name, std::int64_t initial, std::int64_t min, std::int64_t max);
  /// A size in bytes: "1048576", "64KiB", "64MiB", "1GiB".
  std::uint64_t bytes(const char* name, std::uint64_t initial, std::uint64_t min,
                      std::uint64_t max);
  /// true or false, nothing else.
  bool flag(const char* name, bool initial);
  /// Any text.
  std::string text(const char* name, const char* initial);
  /// One of the words given.
  std::string choice(const char* name, const char* initial,
                     std::initializer_list<const char*> accepted);
  /// Words separated by ", ".
  std::vector<std::string> list(const char* name, std::initializer_list<const char*> initial);

  /// Adds a problem of the caller's own about an option that was read.
  void refuse(const char* name, kj::StringPtr reason);

  /// Throws FAILED with one line per problem, unknown options with the nearest known name; returns
  /// if there is none.
  void finish();

private:
  struct Given {
    std::string name, value, place;
    bool used = false;
  };
  std::vector<Given> given;
  std::vector<std::string> known;
  std::vector<std::string> problems;

  Given* find(const char* name);
  void problem(const Given& option, const std::string& reason);
};

/// The word of candidates nearest to word by edit distance, or "" if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

/// Parses "100ms", "2s", "5m", "1h", "7d"; false if it is none of these.
bool parseDuration(const std::string& text, kj::Duration& out);
/// Parses "64", "64KiB", "64MiB", "1GiB"; false if it is none of these.
bool parseBytes(const std::string& text, std::uint64_t& out);

}  // namespace polyquorum::sdk
