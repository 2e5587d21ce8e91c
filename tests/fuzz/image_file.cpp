// SPDX-License-Identifier: Apache-2.0
// Snapshot files: a bad one is refused when opened or when a chunk is read.
#include "plugins/storage/file/image_file.h"
#include <kj/debug.h>
#include <kj/filesystem.h>
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {

void imageFile(Bytes bytes) {
  auto content = kj::newInMemoryFile(kj::nullClock());
  if (!bytes.empty()) content->write(0, kj::arrayPtr(bytes.data(), bytes.size()));
  auto refused = kj::runCatchingExceptions([&]() {
    file::ImageReader reader(kj::mv(content), "snapshot");
    std::size_t total = 0;
    while (true) {
      auto chunk = reader.read(1000);
      if (chunk.size() == 0) break;
      total += chunk.size();
      must(total <= bytes.size(), "no more is read than the file holds");
    }
  });
  KJ_IF_MAYBE (why, refused) must(why->getDescription().size() > 0, "a refusal says why");
}

}  // namespace polyquorum::fuzz
