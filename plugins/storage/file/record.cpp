// SPDX-License-Identifier: Apache-2.0
// Sealing and recognising records.
#include "plugins/storage/file/record.h"
#include "sdk/crc32c.h"
#include "sdk/mutant.h"

namespace polyquorum::file {
namespace {

constexpr std::size_t COVERED = offsetof(RecordHeader, disk);  // what headerCrc covers begins here

std::uint32_t crcOfHeader(const unsigned char* record) {
  return sdk::crc32c(0, record + COVERED, sizeof(RecordHeader) - COVERED);
}

}  // namespace

std::uint32_t sealRecord(unsigned char* record, std::uint32_t previousCrc) {
  auto header = headerAt(record);
  header.bodyCrc = sdk::crc32c(0, record + sizeof header, header.bodyBytes);
  header.previousCrc = previousCrc;
  std::memcpy(record, &header, sizeof header);
  header.headerCrc = crcOfHeader(record);
  std::memcpy(record, &header, sizeof header);
  return header.headerCrc;
}

bool isHeader(const unsigned char* at, std::uint64_t left, std::uint64_t disk, std::uint64_t wal,
              std::uint64_t position) {
  if (left < sizeof(RecordHeader)) return false;
  std::uint32_t magic;
  std::memcpy(&magic, at, sizeof magic);
  if (magic != RECORD_MAGIC) return false;
  auto header = headerAt(at);
  return (header.wal == wal || MUTANT("storage.record.file")) &&
         (header.position == position || MUTANT("M25")) &&
         (disk == 0 || header.disk == disk) &&
         (!MUTANT("storage.record.beyond") || header.bodyBytes <= left - sizeof header) &&
         header.headerCrc == crcOfHeader(at);
}

bool isBodyIntact(const unsigned char* record, std::uint64_t left) {
  auto header = headerAt(record);
  return header.bodyBytes <= left - sizeof header &&
         header.bodyCrc == sdk::crc32c(0, record + sizeof header, header.bodyBytes);
}

EntryCursor::EntryCursor(const unsigned char* body, std::size_t bodyBytes)
    : at(body), end(body + bodyBytes) {
  std::uint64_t announced = 0;
  if (bodyBytes >= sizeof announced) std::memcpy(&announced, at, sizeof announced);
  if (bodyBytes < sizeof announced || announced > bodyBytes - sizeof announced ||
      announced % WORD != 0) {
    broken = true;
    at = end;
    return;
  }
  extra = at + sizeof announced;
  extraBytes = announced;
  at = extra + extraBytes;
}

bool EntryCursor::next() {
  if (at == end) return false;
  if (static_cast<std::size_t>(end - at) < sizeof entry) {
    broken = true;
    return false;
  }
  std::memcpy(&entry, at, sizeof entry);
  at += sizeof entry;
  if (alignUp(entry.bytes, WORD) > static_cast<std::size_t>(end - at)) {
    broken = true;
    return false;
  }
  bytes = at;
  at += alignUp(entry.bytes, WORD);
  return true;
}

}  // namespace polyquorum::file
