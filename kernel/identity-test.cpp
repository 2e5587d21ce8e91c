// SPDX-License-Identifier: Apache-2.0
// The file data/identity: what comes back, and what is refused.
#include <catch2/catch.hpp>
#include "kernel/identity.h"

using namespace polyquorum::kernel;

namespace {

Identity some() {
  Identity identity;
  identity.cluster = "seven";
  identity.server = 3;
  identity.incarnation = 1'700'000'000'123;
  identity.lost = 1'700'000'000'001;
  identity.founded = true;
  return identity;
}

}  // namespace

TEST_CASE("identity: what is written is read; absent is no server") {
  auto data = kj::newInMemoryDirectory(kj::nullClock());
  CHECK(readIdentity(*data, "seven", 3).server == 0);
  writeIdentity(*data, some());
  auto found = readIdentity(*data, "seven", 3);
  CHECK(found.incarnation == some().incarnation);
  CHECK(found.lost == some().lost);
  CHECK(found.founded);
  CHECK_THROWS_WITH(readIdentity(*data, "seven", 2), Catch::Contains("another server"));
}

TEST_CASE("identity: a flipped bit or a missing end is found, wherever it is") {
  auto data = kj::newInMemoryDirectory(kj::nullClock());
  writeIdentity(*data, some());
  kj::Path path("identity");
  auto good = data->openFile(path)->readAllBytes();
  auto put = [&](kj::ArrayPtr<const kj::byte> bytes) {
    data->openFile(path, kj::WriteMode::MODIFY)->writeAll(bytes);
  };
  for (std::size_t bit = 0; bit < good.size() * 8; bit++) {
    auto bad = kj::heapArray<kj::byte>(good.asPtr());
    bad[bit / 8] ^= 1 << (bit % 8);
    put(bad);
    CAPTURE(bit);
    CHECK_THROWS_WITH(readIdentity(*data, "seven", 3), Catch::Contains("damaged"));
  }
  for (std::size_t size = 0; size < good.size(); size++) {
    put(good.slice(0, size));
    CHECK_THROWS_WITH(readIdentity(*data, "seven", 3), Catch::Contains("damaged"));
  }
  put(good);
  CHECK(readIdentity(*data, "seven", 3).server == 3);
}
