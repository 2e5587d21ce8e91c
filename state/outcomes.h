// SPDX-License-Identifier: Apache-2.0
// Outcomes as a few bytes, kept per session so that a repeated command is answered and not redone.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include "state/state.h"

namespace polyquorum::state {

/// Appends an outcome. attached is left out: attaching is answered by the session itself.
void encode(const Outcome& outcome, std::string& out);
/// Empty: these bytes are no outcome.
std::optional<Outcome> decodeOutcome(std::string_view bytes);

/// The outcomes of a session's last commands, oldest first, without a gap. Bounded; what was
/// dropped can no longer be repeated, only attached anew.
class Kept {
public:
  static constexpr std::uint32_t COUNT_MAX = 4096;
  static constexpr std::size_t BYTES_MAX = 1 << 20;  ///< but the last one always stays

  /// The sum of the hashes of what is kept, for the digest.
  std::uint64_t digest() const { return sum; }
  std::uint32_t size() const { return count; }
  std::uint64_t first() const { return count == 0 ? 0 : firstSequence; }

  /// sequence is the one after the last.
  void add(std::uint64_t sequence, const Outcome& outcome);
  /// For images.
  void addEncoded(std::uint64_t sequence, std::string_view encoded);
  void dropBelow(std::uint64_t sequence);
  void clear();
  /// Empty if it is not kept.
  std::string_view find(std::uint64_t sequence) const;
  /// All of them, each after its size (4 bytes).
  std::string_view encoded() const { return std::string_view(bytes).substr(head); }

private:
  std::string bytes;
  std::uint32_t head = 0;  // bytes before it are dropped
  std::uint32_t count = 0;
  std::uint64_t firstSequence = 0;
  std::uint64_t sum = 0;

  std::string_view at(std::size_t offset) const;
  void settle(std::size_t start);
  void dropFirst();
};

}  // namespace polyquorum::state
