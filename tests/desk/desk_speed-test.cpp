// SPDX-License-Identifier: Apache-2.0
// What one request costs in the desk, one node, everything in memory. Hidden: run "[.speed]" by
// hand in a Release build; the state's own cost is shown beside it.
#include <catch2/catch.hpp>
#include <time.h>
#include <iostream>
#include "world.h"

namespace polyquorum::kernel::test {
namespace {

/// This thread's own time: other work on the machine does not count.
double now() {
  timespec at{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
  return at.tv_sec * 1e9 + at.tv_nsec;
}

}  // namespace

TEST_CASE("desk: the price of a write and of a read", "[.speed]") {
  constexpr unsigned BATCH = 64, ROUNDS = 3000;
  World world(1);
  world.elect(1);
  auto& node = world.node(1);
  auto session = world.open(1).attached;
  auto made = create("/a", "x"), changed = setData("/a", std::string(100, 'x'));
  node.submit({write(session, 1, made)});
  world.settle();

  std::vector<Fill> writes, reads;
  for (unsigned i = 0; i < BATCH; i++) {
    writes.push_back(write(session, 100 + i, changed));
    reads.push_back(get(session, 100 + i, "/a"));
  }
  double build = 0, submit = 0, deliver = 0, apply = 0;
  constexpr double COUNT = double(BATCH) * ROUNDS;
  auto ask = [&](const std::vector<Fill>& fills) {
    auto start = now();
    auto call = node.door.submitRequest(capnp::MessageSize{BATCH * 64, 0});
    auto list = call.initRequests(BATCH);
    for (unsigned i = 0; i < BATCH; i++) fills[i](list[i]);
    build += now() - start;
    start = now();
    call.send().wait(world.scope);
    submit += now() - start;
  };
  for (unsigned round = 0; round < ROUNDS; round++) {
    ask(writes);
    world.logProposals();
    world.commit(world.length());
    auto start = now();
    for (auto i = 0u; i < BATCH; i++) {
      auto at = node.tree->index() + 1;
      BodyReader reader(*world.entries[at - 1].body);
      node.desk->applied(at, reader.get(), node.tree->apply(at, reader.get()));
    }
    node.desk->settle();
    apply += now() - start;
    start = now();
    world.turn();
    deliver += now() - start;
    node.told.clear();
  }
  std::cout << "write ns: build " << build / COUNT << ", submit " << submit / COUNT
            << ", apply " << apply / COUNT << ", deliver " << deliver / COUNT << "\n";

  auto bare = state::State::create();
  auto start = now();
  for (auto& slot : world.entries) {
    BodyReader reader(*slot.body);
    bare->apply(bare->index() + 1, reader.get());
  }
  std::cout << "state alone: apply ns " << (now() - start) / world.entries.size() << "\n";

  build = submit = deliver = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    ask(reads);
    start = now();
    world.turn();
    deliver += now() - start;
    node.told.clear();
  }
  std::cout << "read ns: build " << build / COUNT << ", submit " << submit / COUNT
            << ", deliver " << deliver / COUNT << "\n";
  CHECK(submit > 0);
}

}  // namespace polyquorum::kernel::test
