// SPDX-License-Identifier: Apache-2.0
// Calls of direct capabilities behave like Cap'n Proto's own.
#include "sdk/direct.h"
#include <catch2/catch.hpp>
#include <kj/async.h>
#include <kj/debug.h>
#include <string>
#include <vector>
#include "interfaces/transport.capnp.h"

using namespace polyquorum;

namespace {

struct Journal {
  std::vector<std::string> lines;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> open;  ///< of a stream that is not answered yet
  int alive = 0;
};

class Sink final : public storage::Sink::Server {
public:
  explicit Sink(Journal& journal) : journal(journal) {}
  kj::Promise<void> done(DoneContext) override {
    journal.lines.push_back("done");
    return kj::READY_NOW;
  }

private:
  Journal& journal;
};

class Inbox final : public transport::Inbox::Server {
public:
  explicit Inbox(Journal& journal) : journal(journal) { journal.alive++; }
  ~Inbox() noexcept(false) { journal.alive--; }

  kj::Promise<void> deliver(DeliverContext context) override {
    for (auto news : context.getParams().getNews()) {
      KJ_REQUIRE(news.getPeer() != 13, "an unlucky peer");
      journal.lines.push_back("peer " + std::to_string(news.getPeer()));
    }
    return kj::READY_NOW;
  }
  kj::Promise<void> stream(StreamContext context) override {
    auto pair = kj::newPromiseAndFulfiller<void>();
    journal.open = kj::mv(pair.fulfiller);
    return pair.promise.then([this, context]() mutable {
      context.getResults().setSink(kj::heap<Sink>(journal));
    });
  }

private:
  Journal& journal;
};

struct Bench {
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  Journal journal;
  kj::Maybe<transport::Inbox::Client> inbox =
      sdk::direct<transport::Inbox>(kj::heap<Inbox>(journal));

  kj::Promise<void> deliver(std::uint32_t peer) {
    auto request = KJ_ASSERT_NONNULL(inbox).deliverRequest(capnp::MessageSize{4, 0});
    request.initNews(1)[0].setPeer(peer);
    return request.send().ignoreResult();
  }
};

}  // namespace

TEST_CASE("direct calls run later, in their order, also when nobody waits for them") {
  Bench bench;
  auto first = bench.deliver(1);
  { auto dropped = bench.deliver(2); }
  auto third = bench.deliver(3);
  CHECK(bench.journal.lines.empty());

  third.wait(bench.scope);
  first.wait(bench.scope);
  CHECK(bench.journal.lines == std::vector<std::string>{"peer 1", "peer 2", "peer 3"});
}

TEST_CASE("a direct call rejects with what its object throws") {
  Bench bench;
  auto thrown = kj::runCatchingExceptions([&]() { bench.deliver(13).wait(bench.scope); });
  KJ_IF_MAYBE (why, thrown) {
    CHECK(std::string(why->getDescription().cStr()).find("an unlucky peer") != std::string::npos);
  } else {
    FAIL("nothing was thrown");
  }
  bench.deliver(4).wait(bench.scope);
  CHECK(bench.journal.lines == std::vector<std::string>{"peer 4"});
}

TEST_CASE("a direct response carries capabilities, and they can be called before it is there") {
  Bench bench;
  auto response = KJ_ASSERT_NONNULL(bench.inbox).streamRequest().send();
  auto early = response.getSink().doneRequest().send();
  bench.scope.poll();
  CHECK(bench.journal.lines.empty());

  KJ_ASSERT_NONNULL(bench.journal.open)->fulfill();
  early.ignoreResult().wait(bench.scope);
  auto sink = response.wait(bench.scope).getSink();
  sink.doneRequest().send().ignoreResult().wait(bench.scope);
  CHECK(bench.journal.lines == std::vector<std::string>{"done", "done"});
}

TEST_CASE("what is called through a direct response that failed rejects with its reason") {
  Bench bench;
  auto response = KJ_ASSERT_NONNULL(bench.inbox).streamRequest().send();
  auto before = response.getSink();
  bench.scope.poll();
  KJ_ASSERT_NONNULL(bench.journal.open)->reject(KJ_EXCEPTION(FAILED, "no room for a stream"));
  bench.scope.poll();
  auto call = [&](storage::Sink::Client sink) {
    sink.doneRequest().send().ignoreResult().wait(bench.scope);
  };
  CHECK_THROWS_WITH(call(before), Catch::Contains("no room for a stream"));
  CHECK_THROWS_WITH(call(response.getSink()), Catch::Contains("no room for a stream"));
}

TEST_CASE("a direct call whose loop ends is forgotten, with its object") {
  Journal journal;
  {
    kj::EventLoop loop;
    kj::WaitScope scope(loop);
    auto inbox = sdk::direct<transport::Inbox>(kj::heap<Inbox>(journal));
    auto running = inbox.streamRequest().send().ignoreResult();
    scope.poll();
    { auto queued = inbox.deliverRequest().send().ignoreResult(); }
    CHECK(journal.alive == 1);
  }
  CHECK(journal.alive == 0);
}

TEST_CASE("a running direct call keeps its object alive, and nothing does after it") {
  Bench bench;
  auto response = KJ_ASSERT_NONNULL(bench.inbox).streamRequest().send().ignoreResult();
  bench.scope.poll();
  bench.inbox = nullptr;
  CHECK(bench.journal.alive == 1);

  KJ_ASSERT_NONNULL(bench.journal.open)->fulfill();
  response.wait(bench.scope);
  bench.scope.poll();
  CHECK(bench.journal.alive == 0);
}
