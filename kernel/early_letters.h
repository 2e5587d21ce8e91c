// SPDX-License-Identifier: Apache-2.0
// Letters that came before the cores that they are for: the end of a segment and the making of the
// next one's cores take time, and faster members do not wait. Bounded; sends and judges nothing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>
#include "kernel/mail.h"
#include "kernel/post_office.h"

namespace polyquorum::kernel {

class EarlyLetters {
public:
  static constexpr std::size_t COUNT_MAX = 4096;
  static constexpr std::size_t BYTES_MAX = 16 << 20;

  /// Of the election's lane only the newest of each peer, as on the wire. False: no room, dropped.
  bool keep(Lane lane, Decoded&& letter);

  /// What is kept of this lane for this segment, in the order in which it came. What is for another
  /// segment or an earlier one of this lane is dropped.
  std::vector<Mail> take(Lane lane, std::uint32_t segment);

private:
  struct Kept {
    Lane lane;
    Decoded letter;
    std::size_t bytes;
  };
  std::deque<Kept> letters;
  std::size_t bytesKept = 0;
};

}  // namespace polyquorum::kernel
