// SPDX-License-Identifier: Apache-2.0
// The loader of state images: refuses with an offset, or gives a state whose own image loads again.
#include <kj/debug.h>
#include <stdexcept>
#include <string>
#include "state/state.h"
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {
namespace {

std::unique_ptr<state::State> load(Bytes image, std::size_t slice) {
  auto loader = state::State::load();
  while (!image.empty()) {
    auto size = std::min(slice, image.size());
    loader->feed(image.subspan(0, size));
    image = image.subspan(size);
  }
  return loader->finish();
}

}  // namespace

void stateImage(Bytes bytes) {
  if (bytes.empty()) return;
  std::unique_ptr<state::State> loaded;
  try {
    loaded = load(bytes.subspan(1), 1 + 16 * bytes[0]);
  } catch (const std::runtime_error&) {
    return;
  }
  std::string again;
  auto capture = loaded->capture();
  while (capture->next(1 << 20, again)) {
  }
  Bytes image(reinterpret_cast<const std::uint8_t*>(again.data()), again.size());
  auto second = load(image, again.size());
  KJ_ASSERT(second->digest() == loaded->digest());
  KJ_ASSERT(second->index() == loaded->index());
}

}  // namespace polyquorum::fuzz
