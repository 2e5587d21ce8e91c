// SPDX-License-Identifier: Apache-2.0
// Links and lanes of whole transports over loopback sockets.
#include <catch2/catch.hpp>
#include "support-test.h"

namespace polyquorum::tcp {
namespace {

std::string numbered(std::size_t i) { return "parcel " + std::to_string(i); }

}  // namespace

TEST_CASE("two members that dial each other at once end up with exactly one link") {
  for (int round = 0; round < 20; round++) {
    TestLoop test;
    TestNode one(test.port, test.scope, 1, 11), two(test.port, test.scope, 2, 22);
    test.link(one, two);

    REQUIRE(test.until([&]() {
      return one.inbox.count(Happened::UP) >= 1 && two.inbox.count(Happened::UP) >= 1;
    }));
    // A parcel each way over whatever is up now proves that both took the same connection.
    one.send(FIFO, {2}, {"to two"}).wait(test.scope);
    two.send(FIFO, {1}, {"to one"}).wait(test.scope);
    REQUIRE(test.until([&]() {
      return two.inbox.parcels(FIFO).size() == 1 && one.inbox.parcels(FIFO).size() == 1;
    }));
    REQUIRE(one.inbox.news[0].peer == 2);
    REQUIRE(one.inbox.news[0].incarnation == 22);
    REQUIRE(two.inbox.news[0].incarnation == 11);
    REQUIRE(one.inbox.news[0].link == 1);
  }
}

TEST_CASE("parcels of a fifo lane arrive once, in order, joined from their pieces") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1), two(test.port, test.scope, 2),
      three(test.port, test.scope, 3);
  std::vector<std::pair<std::uint32_t, std::string>> all{
      {1, one.address}, {2, two.address}, {3, three.address}};
  for (auto* node : {&one, &two, &three}) node->peers(test.scope, all);
  REQUIRE(test.until([&]() { return one.inbox.linked() == 2; }));

  std::size_t sent = 0;
  for (int turn = 0; turn < 50; turn++) {
    std::vector<std::string> texts;
    for (int i = 0; i < 40; i++) texts.push_back(numbered(sent++));
    one.send(FIFO, {2, 3}, texts).wait(test.scope);
  }

  for (auto* node : {&two, &three}) {
    REQUIRE(test.until([&]() { return node->inbox.parcels(FIFO).size() == sent; }));
    auto got = node->inbox.parcels(FIFO);
    for (std::size_t i = 0; i < sent; i++) REQUIRE(got[i] == numbered(i));
    REQUIRE(node->inbox.calls < 200);  // batches, not single parcels
  }
}

TEST_CASE("when a link is cut the receiver has a gap-free prefix and hears of it at once") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1);
  auto two = kj::heap<TestNode>(test.port, test.scope, 2);
  test.link(one, *two);
  REQUIRE(test.until([&]() { return two->inbox.count(Happened::UP) == 1; }));

  std::string big(200'000, 'x');
  for (int i = 0; i < 100; i++) two->send(FIFO, {1}, {std::to_string(i) + big}).wait(test.scope);
  two = nullptr;

  REQUIRE(test.until([&]() { return one.inbox.count(Happened::DOWN) == 1; }));
  auto got = one.inbox.parcels(FIFO);
  for (std::size_t i = 0; i < got.size(); i++) REQUIRE(got[i] == std::to_string(i) + big);
  REQUIRE(one.inbox.news.back().what == Happened::DOWN);
  REQUIRE(one.inbox.news.back().link == 1);
}

TEST_CASE("a member that returns is linked again, with a new link and its new incarnation") {
  TestLoop test;
  TestNode two(test.port, test.scope, 2);
  auto one = kj::heap<TestNode>(test.port, test.scope, 1, 5);
  auto port = one->transport->port();
  test.link(*one, two);
  REQUIRE(test.until([&]() { return two.inbox.count(Happened::UP) == 1; }));

  one = nullptr;
  REQUIRE(test.until([&]() { return two.inbox.count(Happened::DOWN) == 1; }));
  one = kj::heap<TestNode>(test.port, test.scope, 1, 6, "test", port);
  one->peers(test.scope, {{1, one->address}, {2, two.address}});

  REQUIRE(test.until([&]() { return two.inbox.count(Happened::UP) == 2; }));
  auto last = two.inbox.news.back();
  REQUIRE(last.incarnation == 6);
  REQUIRE(last.link > 1);
  two.send(FIFO, {1}, {"for the old link"}, 1).wait(test.scope);
  two.send(FIFO, {1}, {"for the new link"}, last.link).wait(test.scope);
  REQUIRE(test.until([&]() { return one->inbox.parcels(FIFO).size() == 1; }));
  REQUIRE(one->inbox.parcels(FIFO)[0] == "for the new link");
}

TEST_CASE("a conflating lane keeps only the newest waiting parcel (QuorumCnxManager)") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1), two(test.port, test.scope, 2);
  test.link(one, two);
  REQUIRE(test.until([&]() { return one.inbox.count(Happened::UP) == 1; }));

  std::vector<std::string> texts;
  for (int i = 0; i < 1000; i++) texts.push_back(numbered(i));
  one.send(CONFLATE, {2}, texts).wait(test.scope);

  REQUIRE(test.until([&]() { return !two.inbox.parcels(CONFLATE).empty(); }));
  REQUIRE(two.inbox.parcels(CONFLATE).size() == 1);
  REQUIRE(two.inbox.parcels(CONFLATE)[0] == numbered(999));
}

TEST_CASE("a fifo lane over its bound closes the link visibly on both sides") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1), two(test.port, test.scope, 2);
  test.link(one, two);
  REQUIRE(test.until([&]() { return one.inbox.count(Happened::UP) == 1; }));

  std::vector<std::string> texts(3, std::string(600'000, 'y'));
  one.send(SMALL, {2}, texts).wait(test.scope);

  REQUIRE(test.until([&]() {
    return one.inbox.count(Happened::DOWN) == 1 && two.inbox.count(Happened::DOWN) == 1;
  }));
  REQUIRE(one.environment.countLines("lane 2 is full") == 1);
  REQUIRE(test.until([&]() { return one.inbox.count(Happened::UP) == 2; }));
}

TEST_CASE("an inbox that does not return stops the reading, and later nothing is missing") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1), two(test.port, test.scope, 2);
  test.link(one, two);
  REQUIRE(test.until([&]() { return one.inbox.count(Happened::UP) == 1; }));
  REQUIRE(test.until([&]() { return two.inbox.count(Happened::UP) == 1; }));
  two.inbox.hold = true;

  std::string big(100'000, 'z');
  for (int i = 0; i < 300; i++) one.send(FIFO, {2}, {std::to_string(i) + big}).wait(test.scope);
  REQUIRE(test.until([&]() { return two.inbox.held.get() != nullptr; }));
  auto callsHeld = two.inbox.calls;
  for (int i = 0; i < 50; i++) test.port.timer.afterDelay(1 * kj::MILLISECONDS).wait(test.scope);
  REQUIRE(two.inbox.calls == callsHeld);

  two.inbox.hold = false;
  two.inbox.held->fulfill();
  REQUIRE(test.until([&]() { return two.inbox.parcels(FIFO).size() == 300; }));
  auto got = two.inbox.parcels(FIFO);
  for (int i = 0; i < 300; i++) REQUIRE(got[i] == std::to_string(i) + big);
}

TEST_CASE(
    "a parcel of many megabytes arrives whole; one above frameMax closes the link with a line") {
  TestLoop test;
  Settings settings;
  settings.frameMax = 8 << 20;
  TestNode one(test.port, test.scope, 1, 1, "test", 0, settings);
  TestNode two(test.port, test.scope, 2, 1, "test", 0, settings);
  test.link(one, two);
  REQUIRE(test.until([&]() { return one.inbox.count(Happened::UP) == 1; }));

  std::string big(7 << 20, ' ');
  for (std::size_t i = 0; i < big.size(); i++) big[i] = static_cast<char>(i * 7 + i / 1000);
  one.send(FIFO, {2}, {big, "small"}).wait(test.scope);
  REQUIRE(test.until([&]() { return two.inbox.parcels(FIFO).size() == 2; }));
  REQUIRE(two.inbox.parcels(FIFO)[0] == big);

  one.send(FIFO, {2}, {std::string(9 << 20, 'x')}).wait(test.scope);
  REQUIRE(test.until([&]() { return two.inbox.count(Happened::DOWN) == 1; }));
  REQUIRE(one.environment.countLines("parcel.too_large") == 1);
}

TEST_CASE("a member that leaves the list loses its link when idle and is refused afterwards") {
  TestLoop test;
  TestNode one(test.port, test.scope, 1), two(test.port, test.scope, 2);
  test.link(one, two);
  REQUIRE(test.until([&]() { return one.inbox.count(Happened::UP) == 1; }));
  REQUIRE(test.until([&]() { return two.inbox.count(Happened::UP) == 1; }));

  one.peers(test.scope, {{1, one.address}});
  REQUIRE(test.until([&]() { return two.inbox.count(Happened::DOWN) == 1; }));
  REQUIRE(
      test.until([&]() { return two.environment.countLines("is not in this server's list") > 0; }));
  REQUIRE(one.inbox.count(Happened::UP) == 1);
}

}  // namespace polyquorum::tcp
