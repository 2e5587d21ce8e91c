// SPDX-License-Identifier: Apache-2.0
// Kept outcomes; see outcomes.h.
#include "state/outcomes.h"
#include <cstring>
#include "state/bytes.h"
#include "state/hash.h"

namespace polyquorum::state {
namespace {

enum Has : std::uint8_t { PATH = 1, STAT = 2, PARTS = 4 };
constexpr auto ERROR_LAST = static_cast<std::uint16_t>(Error::NO_WATCHER);

/// The fields one by one, as struct padding has no place in an image.
struct PackedStat {
  std::uint64_t longs[6];
  std::int32_t ints[5];
};
constexpr std::size_t STAT_BYTES = 6 * 8 + 5 * 4;

void encodeStat(const Stat& stat, std::string& out) {
  PackedStat packed{{stat.czxid, stat.mzxid, stat.pzxid, static_cast<std::uint64_t>(stat.ctimeMs),
                     static_cast<std::uint64_t>(stat.mtimeMs), stat.ephemeralOwner},
                    {stat.version, stat.cversion, stat.aversion, stat.dataLength,
                     stat.numChildren}};
  out.append(reinterpret_cast<const char*>(&packed), STAT_BYTES);
}

Stat decodeStat(std::string_view bytes) {
  PackedStat packed;
  memcpy(&packed, bytes.data(), STAT_BYTES);
  Stat stat;
  stat.czxid = packed.longs[0];
  stat.mzxid = packed.longs[1];
  stat.pzxid = packed.longs[2];
  stat.ctimeMs = static_cast<std::int64_t>(packed.longs[3]);
  stat.mtimeMs = static_cast<std::int64_t>(packed.longs[4]);
  stat.ephemeralOwner = packed.longs[5];
  stat.version = packed.ints[0];
  stat.cversion = packed.ints[1];
  stat.aversion = packed.ints[2];
  stat.dataLength = packed.ints[3];
  stat.numChildren = packed.ints[4];
  return stat;
}

bool decode(ByteReader& in, Outcome& outcome, bool inside) {
  std::uint16_t error = 0;
  std::uint8_t has = 0;
  if (!in.number(error) || !in.number(has) || error > ERROR_LAST || has > 7) return false;
  outcome.error = static_cast<Error>(error);
  std::string_view text;
  if (has & PATH) {
    if (!in.sized(text)) return false;
    outcome.path = text;
  }
  if (has & STAT) {
    if (!in.take(STAT_BYTES, text)) return false;
    outcome.stat = decodeStat(text);
  }
  if (has & PARTS) {
    std::uint32_t count = 0;
    if (inside || !in.number(count) || count > in.left()) return false;
    outcome.parts.resize(count);
    for (auto& part : outcome.parts) {
      if (!decode(in, part, true)) return false;
    }
  }
  return true;
}

std::uint64_t hashOf(std::uint64_t sequence, std::string_view encoded) {
  return hashBytes(encoded, mix(SALT_A, sequence));
}

}  // namespace

void encode(const Outcome& outcome, std::string& out) {
  std::uint8_t has = (outcome.path.empty() ? 0 : PATH) | (outcome.stat ? STAT : 0) |
                     (outcome.parts.empty() ? 0 : PARTS);
  append(out, static_cast<std::uint16_t>(outcome.error));
  append(out, has);
  if (has & PATH) appendSized(out, outcome.path);
  if (has & STAT) encodeStat(*outcome.stat, out);
  if (has & PARTS) {
    append(out, static_cast<std::uint32_t>(outcome.parts.size()));
    for (auto& part : outcome.parts) encode(part, out);
  }
}

std::optional<Outcome> decodeOutcome(std::string_view bytes) {
  ByteReader in(bytes);
  Outcome outcome;
  if (!decode(in, outcome, false) || in.left() > 0) return std::nullopt;
  return outcome;
}

// ------------------------------------------------------------------------------------------------

std::string_view Kept::at(std::size_t offset) const {
  std::uint32_t size;
  memcpy(&size, bytes.data() + offset, sizeof(size));
  return {bytes.data() + offset + sizeof(size), size};
}

void Kept::add(std::uint64_t sequence, const Outcome& outcome) {
  if (count == 0) firstSequence = sequence;
  auto start = bytes.size();
  append(bytes, std::uint32_t{0});
  encode(outcome, bytes);
  std::uint32_t size = bytes.size() - start - sizeof(std::uint32_t);
  memcpy(bytes.data() + start, &size, sizeof(size));
  settle(start);
}

void Kept::addEncoded(std::uint64_t sequence, std::string_view encoded) {
  if (count == 0) firstSequence = sequence;
  auto start = bytes.size();
  appendSized(bytes, encoded);
  settle(start);
}

void Kept::settle(std::size_t start) {
  sum += hashOf(firstSequence + count, at(start));
  count++;
  while (count > 1 && (count > COUNT_MAX || bytes.size() - head > BYTES_MAX)) dropFirst();
}

void Kept::dropFirst() {
  auto gone = at(head);
  sum -= hashOf(firstSequence, gone);
  head += sizeof(std::uint32_t) + gone.size();
  firstSequence++;
  count--;
  if (count == 0) {
    bytes.clear();
    head = 0;
    // A burst does not cost its memory for ever.
    if (bytes.capacity() > 1024) bytes.shrink_to_fit();
  } else if (head > 4096 && head > bytes.size() / 2) {
    bytes.erase(0, head);
    head = 0;
  }
}

void Kept::dropBelow(std::uint64_t sequence) {
  while (count > 0 && firstSequence < sequence) dropFirst();
}

void Kept::clear() {
  while (count > 0) dropFirst();
}

std::string_view Kept::find(std::uint64_t sequence) const {
  if (count == 0 || sequence < firstSequence || sequence - firstSequence >= count) return {};
  std::size_t offset = head;
  for (auto skip = sequence - firstSequence; skip > 0; skip--) {
    offset += sizeof(std::uint32_t) + at(offset).size();
  }
  return at(offset);
}

}  // namespace polyquorum::state
