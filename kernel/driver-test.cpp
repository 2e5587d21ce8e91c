// SPDX-License-Identifier: Apache-2.0
// The driver between two segments, and images that cores do not want; everything else of it is tried
// by the simulator.
#include "kernel/driver.h"
#include <catch2/catch.hpp>
#include "kernel/driver_bench-test.h"

namespace polyquorum::kernel {
namespace {

using test::DriverBench;
using Events = capnp::List<consensus::Event>::Reader;
using Seen = std::vector<std::string>;

Mail mail(std::uint16_t kind) {
  Mail made;
  made.kind = kind;
  return made;
}

void giveEvidence(Events events, consensus::Effects::Builder effects) {
  for (auto event : events) {
    if (event.isOpened()) effects.initEvidence().setEligible(true);
  }
}

TEST_CASE("driver: letters that come before the cores wait for them, behind the links") {
  DriverBench bench;
  bool evidence = false;
  bench.script.consensus = [&](Events events, consensus::Effects::Builder effects) {
    if (evidence) effects.initEvidence().setEligible(true);
  };
  bench.making.shut();
  bench.start();
  bench.up(2);
  bench.letter(2, LANE_CONSENSUS, 0, mail(7));
  bench.letter(2, LANE_ELECTION, 0, mail(8));
  bench.letter(2, LANE_CONSENSUS, 0, mail(9));
  REQUIRE(bench.script.seen.empty());

  bench.making.open();
  bench.settle();
  REQUIRE(bench.script.seen == Seen{"c0.opened", "c0.up2", "c0.letter7", "c0.letter9"});

  // The election begins with the evidence of consensus; of its letters only the newest counts.
  bench.letter(2, LANE_ELECTION, 0, mail(10));
  bench.script.seen.clear();
  evidence = true;
  bench.letter(2, LANE_CONSENSUS, 0, mail(11));
  REQUIRE(bench.script.seen == Seen{"c0.letter11", "e0.opened", "e0.up2", "e0.letter10"});
  REQUIRE(bench.failure == "");
}

/// What comes with a letter is logged and, if decided says so, decided at once.
void logWhatComes(Events events, consensus::Effects::Builder effects, bool decided = true) {
  for (auto event : events) {
    if (!event.isReceived() || event.getReceived().getEntries().size() == 0) continue;
    auto entries = event.getReceived().getEntries();
    effects.initPersist().setEntries(entries);
    if (decided) effects.setCommitted(entries[entries.size() - 1].getIndex());
    if (auto body = entries[0].getBody()) effects.initReleased(1).set(0, body);  // no-ops have none
  }
}

/// Cores that log and decide what comes, linked with the peers 2 to peerMax.
void beginLogging(DriverBench& bench, core::MemberId peerMax) {
  bench.script.consensus = [](Events events, consensus::Effects::Builder effects) {
    giveEvidence(events, effects);
    logWhatComes(events, effects);
  };
  bench.start();
  for (core::MemberId peer = 2; peer <= peerMax; peer++) bench.up(peer);
}

/// A letter with the entry that names the segment id; in tests also its index.
Mail sealOf(Segment::Reader current, std::uint32_t id = 1) {
  auto next = copySegment(current);
  next->getRoot<Segment>().setId(id);
  auto seal = mail(5);
  seal.entries.push_back({id, 1, makeSeal(next->getRoot<Segment>().asReader())});
  return seal;
}

TEST_CASE("driver: letters of the next segment wait while the seal becomes durable here") {
  DriverBench bench;
  beginLogging(bench, 2);

  bench.disk.shut();
  bench.letter(2, LANE_CONSENSUS, 0, sealOf(bench.segment()));
  bench.script.seen.clear();
  bench.letter(2, LANE_CONSENSUS, 1, mail(6));
  bench.letter(2, LANE_ELECTION, 1, mail(7));
  bench.letter(2, LANE_CONSENSUS, 0, mail(8));  // of the segment that is over
  REQUIRE(bench.script.seen.empty());

  bench.disk.open();
  bench.settle();
  REQUIRE(bench.script.seen == Seen{"c1.opened", "c1.up2", "c1.letter6", "e1.opened", "e1.up2",
                                    "e1.letter7"});
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: a core hears how far a log went whose end is damaged (adversary, seed 5300526)") {
  DriverBench bench([](storage::Storage::OpenResults::Builder found) {
    auto log = found.initLogs(1)[0];
    auto run = log.initRuns(1)[0];
    run.setFirst(1);
    run.setCount(69);
    run.setStamp(11);
    auto damaged = log.initDamaged(1)[0];
    damaged.setFirst(70);
    damaged.setLast(71);
  });
  std::vector<std::pair<core::Index, std::uint64_t>> runs;
  bench.script.consensus = [&](Events events, consensus::Effects::Builder) {
    for (auto event : events) {
      if (!event.isOpened()) continue;
      for (auto run : event.getOpened().getLog()) runs.emplace_back(run.getFirst(), run.getCount());
    }
  };
  bench.start();
  REQUIRE(runs == std::vector<std::pair<core::Index, std::uint64_t>>{{1, 69}, {72, 0}});
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: an image that the cores let go makes room at once (seed 208; adversary, seed 1091)") {
  DriverBench bench;
  bool keeps = false;
  bench.script.consensus = [&](Events events, consensus::Effects::Builder effects) {
    giveEvidence(events, effects);
    effects.setKeepsImage(keeps);
  };
  bench.start();
  bench.up(2);
  bench.up(3);

  REQUIRE(bench.image(2, 50, 1));
  REQUIRE(bench.script.seen.back() == "c0.image");
  keeps = true;
  REQUIRE(bench.image(2, 60, 1));

  // Kept: another one would discard it, even one of a later segment.
  REQUIRE(!bench.image(3, 70, 2));
  keeps = false;
  bench.letter(2, LANE_CONSENSUS, 0, mail(1));
  bench.disk.shut();
  REQUIRE(bench.image(3, 70, 2));
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: an image for cores that are gone is not waited for, nor offered to the next (seed 208)") {
  DriverBench bench;
  bench.script.consensus = [&](Events events, consensus::Effects::Builder effects) {
    giveEvidence(events, effects);
    logWhatComes(events, effects);
    effects.setKeepsImage(true);
  };
  bench.start();
  bench.up(2);
  bench.up(3);

  SECTION("it was there before they were closed") {
    REQUIRE(bench.image(2, 50, 1));
    REQUIRE(bench.script.seen.back() == "c0.image");
    bench.letter(2, LANE_CONSENSUS, 0, sealOf(bench.segment()));
  }
  SECTION("it was on its way") {
    auto sink = KJ_ASSERT_NONNULL(bench.stream(2, 50, 1));
    bench.letter(2, LANE_CONSENSUS, 0, sealOf(bench.segment()));
    bench.script.seen.clear();
    bench.done(sink);
    REQUIRE(bench.script.seen == Seen{});
  }
  // The next cores take another.
  REQUIRE(bench.image(3, 60, 2));
  REQUIRE(bench.script.seen.back() == "c1.image");
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: an image of a later segment that comes while a seal becomes durable here is void") {
  DriverBench bench;
  beginLogging(bench, 3);
  bench.disk.shut();
  bench.letter(2, LANE_CONSENSUS, 0, sealOf(bench.segment()));
  bench.script.seen.clear();
  REQUIRE(bench.image(3, 50, 2));
  bench.disk.letOne();  // the entry
  bench.disk.letOne();  // the seal
  bench.settle();
  Seen once{"c1.opened", "c1.up2", "c1.up3", "e1.opened", "e1.up2", "e1.up3"};
  REQUIRE(bench.script.seen == once);
  bench.disk.open();
  bench.settle();
  // Opened twice, the segment would forget what its first cores promised.
  REQUIRE(bench.script.seen == once);
  REQUIRE(bench.image(3, 50, 2));
  REQUIRE(bench.script.seen.back() == "c1.image");
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: no image is taken between a seal and the segment that it begins (seed 880007070)") {
  DriverBench bench;
  beginLogging(bench, 3);
  bench.letter(2, LANE_CONSENSUS, 0, sealOf(bench.segment()));

  bench.disk.shut();
  bench.letter(2, LANE_CONSENSUS, 1, sealOf(bench.segment(), 2));
  bench.ask(3, 0);
  REQUIRE(bench.staged.empty());
  bench.disk.open();
  bench.settle();
  // Who waits for one gets it, and with it the new segment.
  REQUIRE(bench.staged == std::vector<unsigned>{3});
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: instead of an image that rotted a new one is taken and sent (seed 930021899)") {
  DriverBench bench;
  beginLogging(bench, 3);
  bench.letter(2, LANE_CONSENSUS, 0, sealOf(bench.segment()));
  bench.ask(3, 0);
  REQUIRE(bench.staged.size() == 1);
  auto entry = mail(5);
  entry.entries.push_back({2, 1, nullptr});
  bench.letter(2, LANE_CONSENSUS, 1, kj::mv(entry));
  bench.ask(3, 0);
  REQUIRE(bench.staged.size() == 1);  // that one will do

  bench.rotten = true;
  bench.ask(3, 0);
  REQUIRE(bench.staged.size() == 1);
  bench.rotten = false;
  bench.ask(3, 0);
  REQUIRE(bench.staged.size() == 2);
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: what an earlier segment logged above an image of a later one is void (seed 2034)") {
  DriverBench bench;
  core::Index fetched = 0;
  bench.script.consensus = [&](Events events, consensus::Effects::Builder effects) {
    giveEvidence(events, effects);
    logWhatComes(events, effects, false);
    for (auto event : events) {
      if (event.isFetched()) fetched += event.getFetched().getEntries().size();
      if (!event.isReceived() || event.getReceived().getKind() != 6) continue;
      auto standing = effects.initStanding();
      standing.setPhase(consensus::Standing::Phase::LEADING);
      standing.setLeader(1);
      auto fetch = effects.initFetch(1)[0];
      fetch.setFirst(51);
      fetch.setLast(60);
      fetch.setBytesMax(1 << 20);
    }
  };
  bench.start();
  bench.up(2);
  auto entries = mail(5);
  for (core::Index index = 1; index <= 60; index++) entries.entries.push_back({index, 1, nullptr});
  bench.letter(2, LANE_CONSENSUS, 0, kj::mv(entries));

  REQUIRE(bench.image(2, 50, 2));
  REQUIRE(bench.script.seen.back() == "e1.up2");
  bench.letter(2, LANE_CONSENSUS, 1, mail(6));
  // A leader proposes when all of its log is applied; nothing above the image can ever be.
  REQUIRE(bench.desk.logged == 50);
  REQUIRE(fetched == 0);
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: without room here, at the leader or at most voters growth is refused (P1.5)") {
  DriverBench bench;
  core::MemberId leader = 0;
  bench.script.consensus = [&](Events events, consensus::Effects::Builder effects) {
    auto standing = effects.initStanding();
    standing.setPhase(consensus::Standing::Phase::FOLLOWING);
    standing.setLeader(leader);
  };
  bench.start();
  bench.up(2);
  bench.up(3);
  REQUIRE(bench.refuses() == "");

  bench.diskFree = test::SlowStorage::NEEDED - 1;
  bench.advance(1 * kj::SECONDS);
  REQUIRE(bench.refuses().find("the disk has 99 MiB free") == 0);
  bench.diskFree *= 2;
  bench.advance(100 * kj::MILLISECONDS);  // looked at often while it is near
  REQUIRE(bench.refuses() == "");

  bench.tip(2, true);
  REQUIRE(bench.refuses() == "");
  leader = 2;
  bench.letter(2, LANE_CONSENSUS, 0, mail(1));
  REQUIRE(bench.refuses().find("the leader has no room") == 0);
  leader = 3;
  bench.letter(2, LANE_CONSENSUS, 0, mail(1));
  REQUIRE(bench.refuses() == "");
  leader = 1;
  bench.letter(2, LANE_CONSENSUS, 0, mail(1));
  bench.tip(3, true);
  REQUIRE(bench.refuses().find("most voters have no room") == 0);
  bench.tip(3, false);
  REQUIRE(bench.refuses() == "");
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: times before the first leader count from the start, not from the machine's") {
  DriverBench bench;
  bench.script.consensus = [](Events events, consensus::Effects::Builder effects) {
    for (auto event : events) {
      if (!event.isReceived()) continue;
      effects.initStanding().setPhase(consensus::Standing::Phase::FOLLOWING);
      effects.getStanding().setLeader(2);
    }
  };
  bench.start();
  bench.up(2);
  bench.advance(300 * kj::MILLISECONDS);
  REQUIRE(bench.times().leaderSeenMs == 300);
  bench.letter(2, LANE_CONSENSUS, 0, mail(1));
  REQUIRE(bench.times().electionMs == 300);
  REQUIRE(bench.failure == "");
}

TEST_CASE("driver: a core that adopts an image it had let go stops the node, not the disk") {
  DriverBench bench;
  bench.script.consensus = [&](Events events, consensus::Effects::Builder effects) {
    giveEvidence(events, effects);
    for (auto event : events) {
      if (event.isReceived()) effects.initPersist().initBase().setIndex(50);
    }
  };
  bench.start();
  bench.up(2);
  REQUIRE(bench.image(2, 50, 1));
  bench.letter(2, LANE_CONSENSUS, 0, mail(1));
  REQUIRE(bench.failure.find("a core adopted an image that it had let go") != std::string::npos);
}

}  // namespace
}  // namespace polyquorum::kernel
