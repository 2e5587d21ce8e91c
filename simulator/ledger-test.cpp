// SPDX-License-Identifier: Apache-2.0
// The recount of disks is shown disks that break what was promised of them.
#include <capnp/message.h>
#include <catch2/catch.hpp>
#include "kernel/chain.h"
#include "simulator/ledger.h"

using namespace polyquorum;
using namespace polyquorum::simulator;

namespace {

/// Three voters; the test says what each writes and what its storage calls durable.
struct Books {
  Story story;
  Ledger ledger{story};
  std::map<core::MemberId, std::uint64_t> queued;

  Books() {
    ledger.voters = {1, 2, 3};
    for (auto server : {1, 2, 3}) {
      capnp::MallocMessageBuilder empty;
      ledger.booted(server, empty.initRoot<storage::Storage::OpenResults>());
      kernel::PendingWrite seed;
      seed.next = segment(0, 0);
      ledger.durable(server, write(server, seed));
    }
  }
  /// The id'th segment; server 3's life in it is named.
  static kernel::SegmentMessage segment(std::uint32_t id, std::uint64_t life) {
    auto message = std::make_shared<capnp::MallocMessageBuilder>();
    auto segment = message->initRoot<Segment>();
    segment.setId(id);
    auto members = segment.initMembers(3);
    for (unsigned i = 0; i < 3; i++) members[i].setId(i + 1);
    members[2].setIncarnation(life);
    return message;
  }
  std::uint64_t write(core::MemberId server, const kernel::PendingWrite& write) {
    ledger.queued(server, ++queued[server], write);
    return queued[server];
  }
  std::uint64_t entry(core::MemberId server, core::Index index, core::Fence stamp) {
    kernel::PendingWrite write;
    write.entries.push_back({index, stamp, nullptr});
    return this->write(server, write);
  }
  std::uint64_t fact(core::MemberId server, std::uint64_t value) {
    kernel::PendingWrite write;
    write.facts.emplace_back("consensus.accepted", value);
    return this->write(server, write);
  }
  /// What storage finds: entries 1 to last of stamp 1; and what it says is damaged.
  void boot(core::MemberId server, core::Index last, core::Index damaged = 0) {
    capnp::MallocMessageBuilder message;
    auto found = message.initRoot<storage::Storage::OpenResults>();
    found.initChain(1).setWithCaveats(0, segment(0, 0)->getRoot<Segment>().asReader());
    auto log = found.initLogs(1)[0];
    if (damaged != 0) {
      auto range = log.initDamaged(1)[0];
      range.setFirst(damaged);
      range.setLast(damaged);
    }
    auto run = log.initRuns(1)[0];
    run.setFirst(1);
    run.setCount(last);
    run.setStamp(1);
    ledger.booted(server, found);
    queued[server] = 0;
  }
  void stand(core::MemberId server, core::Standing::Phase phase, core::Fence fence) {
    ledger.standing(server, 0, core::Standing{phase, 0, fence});
  }
  std::string broken() const { return story.violation() ? story.violation()->checker : ""; }
};

}  // namespace

TEST_CASE("quorum fires when an entry is applied that is durable on too few disks") {
  Books books;
  books.ledger.durable(1, books.entry(1, 1, 1));
  auto second = books.entry(2, 1, 1);
  SECTION("two of three hold it") {
    books.ledger.durable(2, second);
    books.ledger.decided(1, 1);
    CHECK(books.broken() == "");
  }
  SECTION("one is still writing") {
    books.ledger.decided(1, 1);
    CHECK(books.broken() == "quorum");
  }
  SECTION("another entry is no copy") {
    books.ledger.durable(3, books.entry(3, 1, 2));
    books.ledger.decided(1, 1);
    CHECK(books.broken() == "quorum");
  }
  SECTION("who applies it never wrote it") {
    books.ledger.durable(2, second);
    books.ledger.decided(3, 1);
    CHECK(books.broken() == "quorum");
  }
}

TEST_CASE("a server that lost its disk counts in no quorum before a segment names its new life") {
  Books books;
  books.ledger.wiped(3);
  kernel::PendingWrite seed;
  seed.next = Books::segment(0, 0);
  books.ledger.durable(3, books.write(3, seed));
  books.ledger.durable(1, books.entry(1, 1, 1));
  SECTION("not named") {
    books.ledger.durable(3, books.entry(3, 1, 1));
    books.ledger.decided(1, 1);
    CHECK(books.broken() == "quorum");
  }
  SECTION("named") {
    kernel::PendingWrite seal;
    seal.next = Books::segment(1, 77);
    books.ledger.durable(3, books.write(3, seal));
    books.ledger.durable(3, books.entry(3, 1, 1));
    books.ledger.decided(1, 1);
    CHECK(books.broken() == "");
  }
}

TEST_CASE("promises fires when a claimant goes on without a quorum's promises on disks") {
  Books books;
  books.ledger.durable(1, books.fact(1, 5));
  auto second = books.fact(2, 5);
  books.stand(1, core::Standing::CLAIMING, 5);
  SECTION("two of three promised") {
    books.ledger.durable(2, second);
    books.stand(1, core::Standing::RECOVERING, 5);
    CHECK(books.broken() == "");
  }
  SECTION("one promise is not on its disk yet") {
    books.stand(1, core::Standing::RECOVERING, 5);
    CHECK(books.broken() == "promises");
  }
  SECTION("one that only follows claims nothing") {
    books.stand(3, core::Standing::CLAIMING, 0);
    books.stand(3, core::Standing::RECOVERING, 9);
    CHECK(books.broken() == "");
  }
}

TEST_CASE("leader-completeness fires when a leader does not hold what is decided") {
  Books books;
  for (auto server : {1, 2}) books.ledger.durable(server, books.entry(server, 1, 1));
  books.ledger.decided(1, 1);
  books.stand(2, core::Standing::LEADING, 5);
  CHECK(books.broken() == "");
  books.stand(3, core::Standing::LEADING, 6);
  CHECK(books.broken() == "leader-completeness");
}

TEST_CASE("leader-completeness lets a leader learn late that it was established (seed 61901854)") {
  Books books;
  for (auto server : {1, 2, 3}) books.ledger.durable(server, books.entry(server, 1, 1));
  books.ledger.decided(1, 1);
  for (auto server : {1, 2}) books.ledger.durable(server, books.entry(server, 2, 4));
  books.ledger.decided(1, 2);
  books.stand(3, core::Standing::LEADING, 3);  // 2 was decided under 4
  CHECK(books.broken() == "");
  books.stand(3, core::Standing::LEADING, 4);
  CHECK(books.broken() == "leader-completeness");
}

TEST_CASE("storage fires when a disk does not hold a prefix of its writes with all that is durable") {
  Books books;
  books.ledger.durable(1, books.entry(1, 1, 1));
  books.entry(1, 2, 1);
  SECTION("what was durable, and no more") {
    books.boot(1, 1);
    CHECK(books.broken() == "");
  }
  SECTION("what was being written may be there") {
    books.boot(1, 2);
    CHECK(books.broken() == "");
  }
  SECTION("what was durable is gone") {
    books.boot(1, 0);
    CHECK(books.broken() == "storage");
  }
  SECTION("what was never written is there") {
    books.boot(1, 3);
    CHECK(books.broken() == "storage");
  }
  SECTION("a disk that was damaged on purpose may lack what it reports") {
    books.ledger.damaged(1);
    books.boot(1, 0, 1);
    CHECK(books.broken() == "");
  }
  SECTION("and nothing silently") {
    books.ledger.damaged(1);
    books.boot(1, 0);
    CHECK(books.broken() == "storage");
  }
  SECTION("damage where nothing was damaged is a loss") {
    books.boot(1, 0, 1);
    CHECK(books.broken() == "storage");
  }
}
