// SPDX-License-Identifier: Apache-2.0
// Which block is in which slot, and the table from path hash to slot. Owns the blocks; knows
// nothing of what they mean.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>
#include "state/node.h"

namespace polyquorum::state {

/// Slots are handed out in an order that depends on history alone: the last one given back first.
class Slots {
public:
  Slots() = default;
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;
  ~Slots() {
    for (Slot slot = 0; slot < end; slot++) std::free(at(slot));
  }

  Node*& at(Slot slot) { return chunks[slot >> SHIFT][slot & MASK]; }
  Node* at(Slot slot) const { return chunks[slot >> SHIFT][slot & MASK]; }

  Slot take(Node* node) {
    Slot slot;
    if (unused.empty()) {
      slot = extend();
    } else {
      slot = unused.back();
      unused.pop_back();
    }
    at(slot) = node;
    return slot;
  }
  void give(Slot slot) {
    at(slot) = nullptr;
    unused.push_back(slot);
  }

  /// For images: slots beyond the last are made empty until there are count of them.
  Slot extend() {
    if ((end & MASK) == 0) chunks.push_back(std::make_unique<Node*[]>(MASK + 1));
    return end++;
  }
  Slot count() const { return end; }
  std::size_t usedCount() const { return end - unused.size(); }
  std::vector<Slot>& unusedSlots() { return unused; }
  const std::vector<Slot>& unusedSlots() const { return unused; }

private:
  static constexpr unsigned SHIFT = 12;
  static constexpr Slot MASK = (1u << SHIFT) - 1;
  std::vector<std::unique_ptr<Node*[]>> chunks;
  std::vector<Slot> unused;
  Slot end = 0;
};

/// Open addressing with linear probing. A line holds half of the hash, so that neither probing nor
/// growing touches a node that is not the one.
class PathTable {
public:
  PathTable() { lines.resize(64, {0, NONE}); }

  /// First slot under this hash that matches(slot), or NONE.
  template <typename Matches>
  Slot find(std::uint64_t hash, Matches&& matches) const {
    auto tag = static_cast<std::uint32_t>(hash);
    for (std::size_t i = tag & mask();; i = (i + 1) & mask()) {
      if (lines[i].slot == NONE) return NONE;
      if (lines[i].tag == tag && matches(lines[i].slot)) return lines[i].slot;
    }
  }

  /// find() or add() of this hash will follow soon.
  void expect(std::uint64_t hash) const {
    __builtin_prefetch(&lines[static_cast<std::uint32_t>(hash) & mask()]);
  }

  void reserve(std::size_t count) {
    std::size_t size = lines.size();
    while (count * 20 > size * 17) size *= 2;
    if (size != lines.size()) grow(size);
  }

  void add(std::uint64_t hash, Slot slot) {
    reserve(++used);
    place({static_cast<std::uint32_t>(hash), slot});
  }

  void remove(std::uint64_t hash, Slot slot) {
    std::size_t hole = static_cast<std::uint32_t>(hash) & mask();
    while (lines[hole].slot != slot) hole = (hole + 1) & mask();
    used--;
    // What was pushed past the hole moves back, so that no tombstones are needed.
    for (std::size_t i = (hole + 1) & mask(); lines[i].slot != NONE; i = (i + 1) & mask()) {
      std::size_t home = lines[i].tag & mask();
      if (((i - home) & mask()) >= ((i - hole) & mask())) {
        lines[hole] = lines[i];
        hole = i;
      }
    }
    lines[hole].slot = NONE;
  }

private:
  struct Line {
    std::uint32_t tag;
    Slot slot;
  };
  std::vector<Line> lines;
  std::size_t used = 0;

  std::size_t mask() const { return lines.size() - 1; }
  void place(Line line) {
    std::size_t i = line.tag & mask();
    while (lines[i].slot != NONE) i = (i + 1) & mask();
    lines[i] = line;
  }
  void grow(std::size_t size) {
    auto old = std::exchange(lines, std::vector<Line>(size, {0, NONE}));
    for (auto& line : old) {
      if (line.slot != NONE) place(line);
    }
  }
};

}  // namespace polyquorum::state
