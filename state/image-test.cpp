// SPDX-License-Identifier: Apache-2.0
// Images: a moment is kept while the state moves on, equal states give equal bytes, lies are
// refused.
#include <catch2/catch.hpp>
#include <random>
#include "state/image.h"
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;

namespace {

/// Some of everything: deleted slots, shared and dropped ACLs, sessions with kept outcomes.
void fill(Trial& trial, int count) {
  Client client(trial), other(trial);
  Born secret;
  secret.acl = {{31, {"digest", "bob:hash"}}};
  for (int i = 0; i < count; i++) {
    auto path = "/n" + std::to_string(i);
    client(create(path, i % 3 == 0 ? secret : Born()));
    other(create("/e" + std::to_string(i), i % 2 == 0 ? EPHEMERAL : CONTAINER));
    if (i % 3 == 1) client(erase(path));
    if (i % 3 == 2) client(create(path + "/below", SEQUENTIAL));
    if (i % 5 == 2) client(multi({setData(path, "new"), check("/none")}));
  }
}

/// Applies random entries; each is a fair mix of all operations on few paths.
void shake(Trial& trial, std::mt19937& random, int count) {
  auto path = [&]() {
    auto path = "/n" + std::to_string(random() % 40);
    return random() % 3 == 0 ? path + "/c" + std::to_string(random() % 4) : path;
  };
  for (int i = 0; i < count; i++) {
    switch (random() % 6) {
      case 0:
      case 1: trial(create(path(), random() % 2 ? Born() : CONTAINER)); break;
      case 2: trial(erase(path())); break;
      case 3: trial(setData(path(), std::string(random() % 200, 'x'))); break;
      case 4: trial(setAclOf(path(), {{31, {"world", "anyone"}},
                                      {1, {"digest", "u:" + std::to_string(random() % 4)}}}));
        break;
      default:
        trial(multi({create(path()), erase(path()), create(path(), SEQUENTIAL),
                     setData(path(), "m")}));
    }
  }
}

}  // namespace

TEST_CASE("a loaded image is the state: digest, bytes, and everything after") {
  Trial trial;
  fill(trial, 60);
  auto bytes = image(*trial.state);
  for (std::size_t slice : {1, 7, 1000, 1 << 20}) {
    auto loaded = load(bytes, slice);
    CHECK(loaded->digest() == trial.state->digest());
    CHECK(loaded->index() == trial.state->index());
    CHECK(loaded->dataBytes() == trial.state->dataBytes());
    CHECK(loaded->nodeCount() == trial.state->nodeCount());
    CHECK(loaded->ephemeralCount() == trial.state->ephemeralCount());
    CHECK(image(*loaded, slice) == bytes);
  }

  // Both live on alike: slots, ids and sequences are those of the original.
  auto loaded = load(bytes);
  std::mt19937 random(7);
  auto start = trial.log.size();
  shake(trial, random, 300);
  for (auto entry = start; entry < trial.log.size(); entry++) trial.replay(*loaded, entry);
  CHECK(loaded->digest() == trial.state->digest());
  CHECK(image(*loaded) == image(*trial.state));
}

TEST_CASE("a capture shows its moment, whatever changes while it is written") {
  auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20; round++) {
    Trial trial;
    fill(trial, 30);
    shake(trial, random, 100);
    auto still = image(*trial.state);
    auto digest = trial.state->digest();
    Client late(trial);
    auto moment = image(*trial.state);
    std::string moving;
    auto capture = trial.state->capture();
    auto index = capture->index();
    while (capture->next(1 + random() % 500, moving)) {
      shake(trial, random, random() % 6);
      if (random() % 4 == 0) {
        Client fresh(trial);
        fresh(create("/late" + std::to_string(random()), EPHEMERAL));
      }
      if (random() % 9 == 0) late.resume();
      if (random() % 5 == 0) late(create("/n", SEQUENTIAL));
    }
    capture.reset();

    CHECK(moving == moment);
    CHECK(still != moment);
    CHECK(load(still)->digest() == digest);
    CHECK(load(moving)->index() == index);
    CHECK(load(image(*trial.state))->digest() == trial.state->digest());
  }
}

TEST_CASE("one capture at a time; dropping it ends it") {
  Trial trial;
  auto first = trial.state->capture();
  CHECK_THROWS_AS(trial.state->capture(), kj::Exception);
  first.reset();
  CHECK_NOTHROW(trial.state->capture());
}

TEST_CASE("an image that lies is refused with the place, and never believed") {
  Trial trial;
  fill(trial, 12);
  auto bytes = image(*trial.state);
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 9) {
    CHECK_THROWS_AS(load(bytes.substr(0, size)), std::runtime_error);
  }
  CHECK_THROWS_WITH(load(bytes + "x"), Catch::Contains("at byte " + std::to_string(bytes.size())));

  auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 20000; i++) {
    auto wrong = bytes;
    auto at = random() % wrong.size();
    wrong[at] ^= 1 << random() % 8;
    auto tail = std::min<std::size_t>(4, wrong.size() - at);
    if (i % 3 == 0) memset(wrong.data() + at, 0xff, tail);
    try {
      // What is not an error must at least be the same state.
      auto loaded = load(wrong);
      REQUIRE(loaded->digest() == trial.state->digest());
    } catch (const std::runtime_error&) {
    }
  }
}

TEST_CASE("a sequence runs over into negative numbers (B2)") {
  Trial trial;
  trial(create("/q"));
  auto bytes = image(*trial.state);

  // No test can create 2^31 nodes, but an image can say that they were: with the digest to match.
  std::int32_t counter = 2147483646;
  auto treeDigest = [](std::string_view bytes) {
    Acls acls;
    acls.place(std::vector<Permission>{{31, {"world", "anyone"}}});
    acls.place(std::vector<Permission>{{READ, {"world", "anyone"}}});
    Tree tree(acls, Tree::Empty());
    TreeLoader loader(tree);
    loader.begin(5, 5);
    for (int record = 0; !bytes.empty(); record++) {
      std::uint32_t size;
      memcpy(&size, bytes.data(), sizeof(size));
      if (record >= 3) REQUIRE(loader.add(bytes.substr(4, size)) == nullptr);
      bytes.remove_prefix(4 + size);
    }
    REQUIRE(loader.finish({}) == nullptr);
    return tree.digest();
  };
  REQUIRE(bytes.back() == 'q');
  auto place = bytes.size() - 1 - sizeof(NodeRecord) + offsetof(NodeRecord, creates);
  memcpy(bytes.data() + place, &counter, sizeof(counter));
  auto digest = mix(mix(mix(mix(SALT_A, 1), 1000), treeDigest(bytes)), 0);
  memcpy(bytes.data() + 4 + offsetof(ImageHeader, digest), &digest, sizeof(digest));
  trial.state = load(bytes);

  CHECK(trial(create("/q/n", SEQUENTIAL)).outcome.path == "/q/n2147483646");
  CHECK(trial(create("/q/n", SEQUENTIAL)).outcome.path == "/q/n2147483647");
  CHECK(trial(create("/q/n", SEQUENTIAL)).outcome.path == "/q/n-2147483648");
  CHECK(trial(create("/q/n", SEQUENTIAL)).outcome.path == "/q/n-2147483647");
}
