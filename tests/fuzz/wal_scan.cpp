// SPDX-License-Identifier: Apache-2.0
// The scan of the log at open. First byte: 0, the rest is a file as it is; else the rest is a list
// of records (kind, flags, segment, size, body), which get headers with right checksums, so that
// what lies behind the checksums is reached.
#include <kj/debug.h>
#include <kj/filesystem.h>
#include <cstring>
#include "plugins/storage/file/scan.h"
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {
namespace {

using namespace polyquorum::file;

std::vector<std::uint8_t> sealed(Input& input) {
  std::vector<std::uint8_t> content;
  std::uint32_t previous = 0;
  std::uint64_t group = 1;
  while (!input.empty()) {
    RecordHeader header{};
    header.magic = RECORD_MAGIC;
    header.disk = 7;
    header.wal = 1;
    header.position = content.size();
    header.kind = static_cast<Kind>(input.byte());
    header.flags = input.byte();
    header.segment = input.byte();
    if (header.flags & FIRST) group++;
    header.group = group;
    header.previousCrc = previous;
    header.entryCount = header.flags >> 4;
    header.first = input.byte();
    header.last = header.first + header.entryCount;
    header.previousLast = input.byte();
    auto body = input.take(input.two());
    header.bodyBytes = body.size();
    content.resize(content.size() + recordBytes(header));
    auto* record = content.data() + header.position;
    std::memcpy(record, &header, sizeof header);
    if (!body.empty()) std::memcpy(record + sizeof header, body.data(), body.size());
    previous = sealRecord(record, previous);
  }
  return content;
}

}  // namespace

void walScan(Bytes bytes) {
  Input input(bytes);
  bool raw = input.byte() == 0;
  std::vector<std::uint8_t> content;
  if (raw) {
    auto rest = input.rest();
    content.assign(rest.begin(), rest.end());
  } else {
    content = sealed(input);
  }
  std::vector<ScannedFile> files(1);
  files[0].sequence = 1;
  files[0].size = content.size();
  auto file = kj::newInMemoryFile(kj::nullClock());
  file->write(0, kj::arrayPtr(content.data(), content.size()));
  files[0].file = kj::mv(file);
  Catalog catalog;
  Scan scan(catalog);
  // Refused or read; what was read can be written down as a context.
  auto refused = kj::runCatchingExceptions([&]() {
    scan.run(files);
    must(files[0].tornFrom <= files[0].tornTo, "what is torn has a length");
    must(files[0].tornTo <= files[0].size, "what is torn lies in the file");
    auto context = catalog.writeContext();
    Catalog again;
    auto view = context.asBytes();
    must(again.readContext(view.begin(), view.size()), "a context that was written can be read");
  });
  KJ_IF_MAYBE (why, refused) must(why->getDescription().size() > 0, "a refusal says why");
}

}  // namespace polyquorum::fuzz
