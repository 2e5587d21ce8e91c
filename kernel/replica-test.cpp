// SPDX-License-Identifier: Apache-2.0
// Applying what is read back from the disk: holes, and what stands above a seal.
#include <catch2/catch.hpp>
#include <functional>
#include <vector>
#include "kernel/replica.h"

using namespace polyquorum;
using namespace polyquorum::kernel;

namespace {

/// Answers reads with what the test says; the first index that was asked for is counted.
class ReadStorage final : public storage::Storage::Server {
public:
  std::vector<core::Index> asked;
  std::function<std::vector<MailEntry>(core::Index first, core::Index last)> answer;

  kj::Promise<void> read(ReadContext context) override {
    auto params = context.getParams();
    asked.push_back(params.getFirst());
    auto found = answer(params.getFirst(), params.getLast());
    auto out = context.getResults().initEntries(found.size());
    for (unsigned i = 0; i < found.size(); i++) {
      out[i].setIndex(found[i].index);
      out[i].setStamp(found[i].stamp);
      KJ_IF_MAYBE(body, found[i].body) out[i].setBody((*body)->bytes());
    }
    return kj::READY_NOW;
  }
};

struct Applied final : public ReplicaListener {
  std::vector<core::Index> indexes;
  unsigned seals = 0;
  void applied(core::Index index, kj::Maybe<Body::Reader>, const state::Applied&) override {
    indexes.push_back(index);
  }
  void sealed(Segment::Reader) override { seals++; }
};

struct Bench {
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  Chain chain;
  Applied listener;
  ReadStorage* storage;
  kj::Maybe<Replica> replica;

  Bench() {
    capnp::MallocMessageBuilder message;
    message.initRoot<Segment>();
    chain.append(message.getRoot<Segment>().asReader());
    auto made = kj::heap<ReadStorage>();
    storage = made.get();
    replica.emplace(storage::Storage::Client(kj::mv(made)), chain, listener);
    it().state().enter(chain.current());
  }
  Replica& it() { return KJ_ASSERT_NONNULL(replica); }
  /// As the driver's turns do; false if it never comes to an end.
  bool settle() {
    for (int turn = 0; turn < 100; turn++) {
      it().apply(10);
      KJ_IF_MAYBE(read, it().refill()) {
        read->wait(scope);
      } else if (!it().hungry()) {
        return true;
      }
    }
    return false;
  }
};

MailEntry noOp(core::Index index) { return MailEntry{index, 1, nullptr}; }

}  // namespace

TEST_CASE("replica: behind a hole nothing is applied, the hole is read again (grid 7, fail 65)") {
  Bench bench;
  bool failing = true;  // one read of the disk fails, the next does not
  bench.storage->answer = [&](core::Index first, core::Index last) {
    std::vector<MailEntry> out;
    for (auto index = first; index <= last; index++) {
      if (index != 3 || !failing) out.push_back(noOp(index));
    }
    failing = false;
    return out;
  };
  bench.it().commit(6);

  REQUIRE(bench.settle());
  CHECK(bench.listener.indexes == std::vector<core::Index>{1, 2, 3, 4, 5, 6});
  CHECK(bench.storage->asked == std::vector<core::Index>{1, 3});
}

TEST_CASE("replica: a hole that stays stops the node and says what to do") {
  Bench bench;
  bench.storage->answer = [&](core::Index first, core::Index last) {
    std::vector<MailEntry> out;
    for (auto index = first; index <= last; index++) {
      if (index != 3) out.push_back(noOp(index));
    }
    return out;
  };
  bench.it().commit(6);

  CHECK_THROWS_WITH(bench.settle(), Catch::Contains("the log is damaged; wipe"));
  CHECK(bench.listener.indexes == std::vector<core::Index>{1, 2});
}

TEST_CASE("replica: entries read from the disk above a seal are void (seed 42)") {
  Bench bench;
  capnp::MallocMessageBuilder message;
  auto next = message.initRoot<Segment>();
  next.setId(1);
  bench.storage->answer = [&](core::Index first, core::Index last) {
    std::vector<MailEntry> out;
    for (auto index = first; index <= last; index++) {
      out.push_back(noOp(index));
      if (index == 2) out.back().body = makeSeal(next.asReader());
    }
    return out;
  };
  bench.it().commit(5);

  bench.settle();
  CHECK(bench.listener.seals == 1);
  CHECK(bench.it().committedIndex() == 2);

  // The next segment: its entry 3 is another one, and was not read before the seal.
  bench.it().state().enter(bench.chain.current());
  bench.it().resume();
  bench.it().log.restart(2);
  bench.it().log.put(3, 9, nullptr);
  bench.it().commit(3);
  REQUIRE(bench.settle());
  CHECK(bench.listener.indexes == std::vector<core::Index>{1, 2, 3});
  CHECK(bench.it().at().stamp == 9);
}
