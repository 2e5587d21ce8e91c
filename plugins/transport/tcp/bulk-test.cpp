// SPDX-License-Identifier: Apache-2.0
// Bulk streams over whole transports.
#include <catch2/catch.hpp>
#include "support-test.h"

namespace polyquorum::tcp {
namespace {

struct Pair : TestLoop {
  TestNode one{port, scope, 1}, two{port, scope, 2};
  Pair() {
    link(one, two);
    REQUIRE(until([&]() { return one.inbox.linked() == 1 && two.inbox.linked() == 1; }));
  }
};

std::string pattern(std::size_t size, unsigned seed) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; i++) text[i] = static_cast<char>(seed + i * 31 + i / 977);
  return text;
}

}  // namespace

TEST_CASE("several bulk streams at once arrive whole and are done when their sinks are") {
  Pair test;
  std::vector<storage::Sink::Client> sinks;
  std::vector<kj::Promise<void>> writes;
  for (unsigned i = 0; i < 3; i++) {
    sinks.push_back(test.one.stream(2, "header " + std::to_string(i)));
    for (int k = 0; k < 4; k++) writes.push_back(writeTo(sinks[i], pattern(500'000, i + k)));
  }
  for (auto& write : writes) write.wait(test.scope);
  for (auto& sink : sinks) sink.doneRequest().send().wait(test.scope);

  REQUIRE(test.two.inbox.sinks.size() == 3);
  for (auto& state : test.two.inbox.sinks) {
    auto& sink = *state;
    auto i = static_cast<unsigned>(sink.header.back() - '0');
    REQUIRE(sink.done);
    std::string expected;
    for (int k = 0; k < 4; k++) expected += pattern(500'000, i + k);
    REQUIRE(sink.bytes == expected);
  }
}

TEST_CASE("a sink that does not take its chunk holds the writer, and a lane passes by") {
  Pair test;
  test.two.inbox.sinksHold = true;
  auto sink = test.one.stream(2, "slow");
  std::size_t taken = 0;
  std::vector<kj::Promise<void>> writes;
  for (int i = 0; i < 64; i++) {
    writes.push_back(
        writeTo(sink, pattern(64 << 10, i)).then([&]() { taken++; }).eagerlyEvaluate(nullptr));
  }
  REQUIRE(test.until([&]() { return taken == BULK_WINDOW / BULK_CHUNK_MAX; }));
  test.one.send(FIFO, {2}, {"ping"}).wait(test.scope);
  REQUIRE(test.until([&]() { return test.two.inbox.parcels(FIFO).size() == 1; }));
  REQUIRE(taken == BULK_WINDOW / BULK_CHUNK_MAX);
  REQUIRE(test.two.inbox.sinks[0]->writes == 1);

  test.two.inbox.sinks[0]->hold = false;
  test.two.inbox.sinks[0]->held->fulfill();
  REQUIRE(test.until([&]() { return taken == 64; }));
}

TEST_CASE("a bulk stream under way does not delay a parcel behind its bytes") {
  Pair test;
  auto sink = test.one.stream(2, "big");
  auto write = writeTo(sink, pattern(64 << 20, 1)).eagerlyEvaluate(nullptr);
  REQUIRE(test.until(
      [&]() { return !test.two.inbox.sinks.empty() && test.two.inbox.sinks[0]->writes > 2; }));
  test.one.send(FIFO, {2}, {"ping"}).wait(test.scope);
  REQUIRE(test.until([&]() { return test.two.inbox.parcels(FIFO).size() == 1; }));
  REQUIRE(test.two.inbox.sinks[0]->bytes.size() < (64u << 20));
  write.wait(test.scope);
}

TEST_CASE("what the receiver's sink throws is thrown at the writer") {
  Pair test;
  test.two.inbox.sinkFailWith = "no space left";
  auto sink = test.one.stream(2, "header");
  writeTo(sink, "chunk").wait(test.scope);
  auto done = sink.doneRequest().send().ignoreResult();
  REQUIRE_THROWS_WITH(done.wait(test.scope), Catch::Contains("no space left"));
}

TEST_CASE("a sink dropped before done drops the receiver's sink") {
  Pair test;
  {
    auto sink = test.one.stream(2, "header");
    writeTo(sink, "chunk").wait(test.scope);
    REQUIRE(test.until(
        [&]() { return !test.two.inbox.sinks.empty() && test.two.inbox.sinks[0]->writes == 1; }));
  }
  REQUIRE(test.until([&]() { return test.two.inbox.sinks[0]->dropped; }));
  REQUIRE_FALSE(test.two.inbox.sinks[0]->done);
}

TEST_CASE("bulk streams break with their link, on both sides") {
  TestLoop test;
  auto one = kj::heap<TestNode>(test.port, test.scope, 1);
  TestNode two(test.port, test.scope, 2);
  test.link(*one, two);
  REQUIRE(test.until([&]() { return one->inbox.linked() == 1 && two.inbox.linked() == 1; }));
  one->inbox.sinksHold = true;
  auto out = two.stream(1, "out");
  writeTo(out, "chunk").wait(test.scope);
  auto in = one->stream(2, "in");
  writeTo(in, "chunk").wait(test.scope);
  REQUIRE(
      test.until([&]() { return !two.inbox.sinks.empty() && two.inbox.sinks[0]->writes == 1; }));
  auto done = out.doneRequest().send().ignoreResult();

  { auto dropped = kj::mv(in); }
  one = nullptr;
  REQUIRE_THROWS_AS(done.wait(test.scope), kj::Exception);
  REQUIRE(test.until([&]() { return two.inbox.sinks[0]->dropped; }));
  REQUIRE_THROWS_AS(two.stream(1, "later").whenResolved().wait(test.scope), kj::Exception);
}

}  // namespace polyquorum::tcp
