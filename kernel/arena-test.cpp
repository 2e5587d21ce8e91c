// SPDX-License-Identifier: Apache-2.0
// The arena: what is deleted can be had again, whichever thread deleted it, and for objects of any size.
#include "kernel/arena.h"
#include <catch2/catch.hpp>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace polyquorum::kernel {
namespace {

template <std::size_t SIZE>
using Objects = std::vector<std::unique_ptr<std::array<char, SIZE>>>;
constexpr std::size_t MANY = 10000;  // some hundred chunks, more than are kept warm
constexpr std::uintptr_t CHUNK = 32 << 10;

template <std::size_t SIZE>
Objects<SIZE> make() {
  Objects<SIZE> objects(MANY);
  for (auto& object : objects) {
    object = std::make_unique<std::array<char, SIZE>>();
    object->fill(static_cast<char>(SIZE));
  }
  return objects;
}

template <std::size_t SIZE>
std::set<std::uintptr_t> chunksOf(const Objects<SIZE>& objects) {
  std::set<std::uintptr_t> chunks;
  for (auto& object : objects) chunks.insert(reinterpret_cast<std::uintptr_t>(object.get()) / CHUNK);
  return chunks;
}

std::size_t countOfCommon(const std::set<std::uintptr_t>& some, const std::set<std::uintptr_t>& others) {
  std::size_t count = 0;
  for (auto each : some) count += others.count(each);
  return count;
}

/// Runs it on a thread with an arena; under a sanitizer there is none, which is said.
void inArena(const std::function<void()>& run) {
  bool ran = false;
  std::thread([&]() {
    useArena();
    auto before = objectsMade();
    auto object = std::make_unique<std::array<char, 700>>();
    ran = objectsMade() > before;
    if (ran) run();
  }).join();
  if (!ran) WARN("skipped: no arena under a sanitizer");
}

TEST_CASE("arena: what another thread deleted is used again by the thread that made it") {
  inArena([]() {
    auto objects = make<987>();
    auto known = chunksOf(objects);
    std::thread([&]() { objects.clear(); }).join();
    CHECK(countOfCommon(chunksOf(make<987>()), known) + 2 >= known.size());
  });
}

TEST_CASE("arena: memory of deleted objects serves objects of another size") {
  inArena([]() {
    auto objects = make<987>();
    auto known = chunksOf(objects);
    objects.clear();
    auto others = make<331>();
    auto used = chunksOf(others);
    CHECK(countOfCommon(used, known) + 2 >= used.size());
    for (auto& other : others) REQUIRE(other->back() == static_cast<char>(331));
  });
}

TEST_CASE("arena: a chunk with one object left goes on serving its own size") {
  inArena([]() {
    auto objects = make<987>();
    auto known = chunksOf(objects);
    for (std::size_t i = 0; i < MANY; i++) {
      if (i % 16 != 0) objects[i] = nullptr;
    }
    CHECK(countOfCommon(chunksOf(make<331>()), known) == 0);
    CHECK(countOfCommon(chunksOf(make<987>()), known) + 2 >= known.size());
    for (std::size_t i = 0; i < MANY; i += 16) REQUIRE(objects[i]->front() == static_cast<char>(987));
  });
}

TEST_CASE("arena: a thread that never asked for it uses malloc") {
  auto before = objectsMade();
  auto objects = make<987>();
  CHECK(objectsMade() == before);
}

}  // namespace
}  // namespace polyquorum::kernel
