// SPDX-License-Identifier: Apache-2.0
// The arena: what is deleted can be had again, whichever thread deleted it.
#include "kernel/arena.h"
#include <catch2/catch.hpp>
#include <array>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace polyquorum::kernel {
namespace {

using Object = std::array<char, 987>;  // of a size that nothing else here has
using Objects = std::vector<std::unique_ptr<Object>>;
constexpr std::size_t MANY = 1000;

Objects make() {
  Objects objects(MANY);
  for (auto& object : objects) object = std::make_unique<Object>();
  return objects;
}

std::size_t countOfKnown(const Objects& objects, const std::set<Object*>& known) {
  std::size_t count = 0;
  for (auto& object : objects) count += known.count(object.get());
  return count;
}

TEST_CASE("arena: what another thread deleted is used again by the thread that makes objects") {
  Objects objects;
  std::thread([&]() {
    useArena();
    objects = make();
  }).join();
  std::set<Object*> known;
  for (auto& object : objects) known.insert(object.get());
  objects.clear();  // this thread has no lists of its own
  std::uint64_t made = 0;
  std::size_t again = 0;
  std::thread([&]() {
    useArena();
    auto before = objectsMade();
    auto more = make();
    made = objectsMade() - before;
    again = countOfKnown(more, known);
  }).join();
  if (made == 0) return;  // under a sanitizer there is no arena
  CHECK(made >= MANY);
  CHECK(again == MANY);
}

TEST_CASE("arena: a thread that never asked for it uses malloc") {
  auto before = objectsMade();
  auto objects = make();
  CHECK(objectsMade() == before);
}

}  // namespace
}  // namespace polyquorum::kernel
