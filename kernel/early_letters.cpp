// SPDX-License-Identifier: Apache-2.0
// See early_letters.h.
#include "kernel/early_letters.h"

namespace polyquorum::kernel {
namespace {

std::size_t sizeOf(const Mail& mail) {
  std::size_t bytes = sizeof mail + mail.numbers.size() * sizeof(std::uint64_t);
  for (auto& entry : mail.entries) {
    bytes += sizeof entry;
    KJ_IF_MAYBE(body, entry.body) bytes += (*body)->bytes().size();
  }
  return bytes;
}

}  // namespace

bool EarlyLetters::keep(Lane lane, Decoded&& letter) {
  if (lane == LANE_ELECTION) {
    std::erase_if(letters, [&](const Kept& kept) {
      bool older = kept.lane == lane && kept.letter.mail.peer == letter.mail.peer;
      if (older) bytesKept -= kept.bytes;
      return older;
    });
  }
  auto bytes = sizeOf(letter.mail);
  if (letters.size() >= COUNT_MAX || bytesKept + bytes > BYTES_MAX) return false;
  bytesKept += bytes;
  letters.push_back({lane, kj::mv(letter), bytes});
  return true;
}

std::vector<Mail> EarlyLetters::take(Lane lane, std::uint32_t segment) {
  std::vector<Mail> taken;
  std::erase_if(letters, [&](Kept& kept) {
    bool due = kept.lane == lane || kept.letter.segment < segment;
    if (!due) return false;
    bytesKept -= kept.bytes;
    if (kept.lane == lane && kept.letter.segment == segment) taken.push_back(kj::mv(kept.letter.mail));
    return true;
  });
  return taken;
}

}  // namespace polyquorum::kernel
