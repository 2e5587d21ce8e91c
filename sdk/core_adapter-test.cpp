// SPDX-License-Identifier: Apache-2.0
// The consensus adapter: every event and effect crosses whole, and every hold of a ticket ends
// once.
#include "sdk/core_adapter.h"
#include <capnp/capability.h>
#include <kj/async.h>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <stdexcept>

namespace polyquorum::sdk {
namespace {

using consensus::Consensus;
using Script = std::function<core::ConsensusEffects(std::span<const core::ConsensusEvent>)>;

/// A core that does what the test says.
class Scripted final : public core::ConsensusCore {
public:
  explicit Scripted(Script& script, core::Nanos& seen) : script(script), seen(seen) {}
  core::ConsensusEffects step(core::Nanos now,
                              std::span<const core::ConsensusEvent> events) override {
    seen = now;
    return script(events);
  }

private:
  Script& script;
  core::Nanos& seen;
};

struct Bench {
  kj::EventLoop loop;
  kj::WaitScope wait{loop};
  Script script = [](auto) { return core::ConsensusEffects{}; };
  core::Nanos seen = 0;
  Consensus::Client client{adapt(std::make_unique<Scripted>(script, seen))};

  using Fill = std::function<void(capnp::List<consensus::Event>::Builder)>;
  capnp::Response<Consensus::StepResults> step(unsigned events, const Fill& fill = nullptr) {
    auto request = client.stepRequest();
    request.setNow(42);
    auto list = request.initEvents(events);
    if (fill) fill(list);
    return request.send().wait(wait);
  }
};

std::vector<std::uint64_t> releasedBy(consensus::Effects::Reader effects) {
  std::vector<std::uint64_t> tickets;
  for (auto ticket : effects.getReleased()) tickets.push_back(ticket);
  return tickets;
}

void propose(consensus::Event::Builder event, std::uint64_t token, std::uint64_t ticket) {
  auto proposal = event.initProposal();
  proposal.setToken(token);
  proposal.setBody(ticket);
  proposal.setBytes(100);
}

using Tickets = std::vector<std::uint64_t>;

TEST_CASE("adapter: opened reaches a consensus core whole") {
  Bench bench;
  core::ConsensusOpened opened;
  bench.script = [&](auto events) {
    opened = std::get<core::ConsensusOpened>(events[0]);
    return core::ConsensusEffects{};
  };

  bench.step(1, [](auto events) {
    auto out = events[0].initOpened();
    out.setSelf(3);
    out.setMayVote(true);
    auto members = out.initMembers(2);
    members[0].setId(3);
    members[1].setId(4);
    members[1].setRole(polyquorum::Role::LEARNER);
    out.initBase().setIndex(7);
    auto runs = out.initLog(1);
    runs[0].setFirst(8);
    runs[0].setCount(5);
    runs[0].setStamp(2);
    auto facts = out.initFacts(1);
    facts[0].setName("promised");
    facts[0].setValue(9);
    out.setSeed(11);
  });

  CHECK(bench.seen == 42);
  CHECK(opened.self == 3);
  CHECK(opened.mayVote);
  REQUIRE(opened.members.size() == 2);
  CHECK(opened.members[0].role == core::Role::VOTER);
  CHECK(opened.members[1].id == 4);
  CHECK(opened.members[1].role == core::Role::LEARNER);
  CHECK(opened.base == core::Position{0, 7});
  REQUIRE(opened.log.size() == 1);
  CHECK(opened.log[0].first == 8);
  CHECK(opened.log[0].count == 5);
  CHECK(opened.log[0].stamp == 2);
  CHECK(opened.facts == std::vector<core::Fact>{{"promised", 9}});
  CHECK(opened.seed == 11);
}

void fillSmallEvents(capnp::List<consensus::Event>::Builder events) {
  auto up = events[0].initPeerUp();
  up.setId(2), up.setLink(5), up.setIncarnation(8);
  auto down = events[1].initPeerDown();
  down.setId(2), down.setLink(6);
  auto nominated = events[2].initNominated();
  nominated.setLeader(1), nominated.setRound(4);
  events[3].setRead(77);
  auto arrived = events[4].initSnapshotArrived();
  arrived.setPeer(3), arrived.setLink(9);
  arrived.initAt().setStamp(1), arrived.getAt().setIndex(20);
  auto sent = events[5].initSnapshotSent();
  sent.setPeer(2), sent.setLink(5), sent.setWhole(true);
  sent.initAt().setIndex(21);
  events[6].setTrimmed(15);
  events[7].setHandOver(2);
}

TEST_CASE("adapter: every small event reaches a consensus core in its place") {
  Bench bench;
  std::vector<core::ConsensusEvent> got;
  bench.script = [&](auto events) {
    got.assign(events.begin(), events.end());
    return core::ConsensusEffects{};
  };

  bench.step(8, fillSmallEvents);

  REQUIRE(got.size() == 8);
  auto up = std::get<core::PeerUp>(got[0]);
  CHECK((up.peer == 2 && up.link == 5 && up.incarnation == 8));
  auto down = std::get<core::PeerDown>(got[1]);
  CHECK((down.peer == 2 && down.link == 6));
  auto nominated = std::get<core::Nominated>(got[2]);
  CHECK((nominated.leader == 1 && nominated.round == 4));
  CHECK(std::get<core::Read>(got[3]).token == 77);
  auto arrived = std::get<core::SnapshotArrived>(got[4]);
  CHECK((arrived.peer == 3 && arrived.link == 9 && arrived.at == core::Position{1, 20}));
  auto sent = std::get<core::SnapshotSent>(got[5]);
  CHECK((sent.peer == 2 && sent.link == 5 && sent.whole && sent.at == core::Position{0, 21}));
  CHECK(std::get<core::Trimmed>(got[6]).first == 15);
  CHECK(std::get<core::HandOver>(got[7]).to == 2);
}

core::ConsensusEffects everyEffect(const core::Received& received) {
  auto& entries = received.letter.entries;
  core::ConsensusEffects effects;
  effects.persist = core::Batch{core::Position{2, 10}, 12, {entries[0]}, {{"epoch", 5}}};
  effects.now.push_back({3, 0, 4, {1, 2}, {}});
  effects.afterPersist.push_back({2, 5, 6, {7}, {entries[0], {13, 3, {}}}});
  effects.committed = 11;
  effects.readable.push_back({70, 11});
  effects.refused.push_back({core::Refused::OVERLOADED, 71});
  effects.fetch.push_back({72, 1, 9, 4096});
  effects.snapshots.push_back({2, 5, 10});
  effects.standing = core::Standing{core::Standing::LEADING, 1, 3};
  effects.evidence = core::Evidence{3, {3, 12}, 11, true};
  effects.feedback.push_back({core::Feedback::BEHIND, 2, 3});
  effects.wakeAt = 1000;
  effects.keepsImage = true;
  effects.notes = {"leader.ready fence=3", ""};
  return effects;
}

void receiveTwoEntries(capnp::List<consensus::Event>::Builder events) {
  auto letter = events[0].initReceived();
  letter.setPeer(2), letter.setLink(5), letter.setKind(9);
  letter.initNumbers(1).set(0, 99);
  auto entries = letter.initEntries(2);
  entries[0].setIndex(12), entries[0].setStamp(3), entries[0].setBody(501), entries[0].setBytes(64);
  entries[1].setIndex(13), entries[1].setStamp(3);
}

TEST_CASE("adapter: the log's effects of a consensus core come out whole") {
  Bench bench;
  bench.script = [&](auto events) {
    auto& received = std::get<core::Received>(events[0]);
    CHECK(received.letter.numbers == std::vector<std::uint64_t>{99});
    REQUIRE(received.letter.entries.size() == 2);
    CHECK_FALSE(received.letter.entries[1].body);
    CHECK(received.letter.entries[0].body.bytes == 64);
    return everyEffect(received);
  };

  auto response = bench.step(1, receiveTwoEntries);
  auto effects = response.getEffects();

  auto batch = effects.getPersist();
  CHECK(batch.getBase().getStamp() == 2);
  CHECK(batch.getBase().getIndex() == 10);
  CHECK(batch.getTruncateFrom() == 12);
  REQUIRE(batch.getEntries().size() == 1);
  CHECK(batch.getEntries()[0].getBody() == 501);
  CHECK(batch.getEntries()[0].getBytes() == 64);
  CHECK(batch.getFacts()[0].getName() == "epoch");
  CHECK(batch.getFacts()[0].getValue() == 5);
  REQUIRE(effects.getNow().size() == 1);
  CHECK(effects.getNow()[0].getPeer() == 3);
  CHECK(effects.getNow()[0].getNumbers()[1] == 2);
  auto held = effects.getAfterPersist()[0];
  CHECK((held.getPeer() == 2 && held.getLink() == 5 && held.getKind() == 6));
  REQUIRE(held.getEntries().size() == 2);
  CHECK(held.getEntries()[0].getBody() == 501);
  CHECK(held.getEntries()[1].getBody() == 0);
  CHECK(held.getEntries()[1].getStamp() == 3);
  CHECK(effects.getCommitted() == 11);
  CHECK(releasedBy(effects) == Tickets{501});
}

TEST_CASE("adapter: the other effects of a consensus core come out whole") {
  Bench bench;
  bench.script = [&](auto events) { return everyEffect(std::get<core::Received>(events[0])); };

  auto response = bench.step(1, receiveTwoEntries);
  auto effects = response.getEffects();

  CHECK((effects.getReadable()[0].getToken() == 70 && effects.getReadable()[0].getIndex() == 11));
  CHECK(effects.getRefused()[0].getToken() == 71);
  CHECK(effects.getRefused()[0].getWhy() == consensus::Refused::Why::OVERLOADED);
  auto fetch = effects.getFetch()[0];
  CHECK((fetch.getToken() == 72 && fetch.getFirst() == 1 && fetch.getLast() == 9 &&
         fetch.getBytesMax() == 4096));
  auto snapshot = effects.getSnapshots()[0];
  CHECK((snapshot.getPeer() == 2 && snapshot.getLink() == 5 && snapshot.getAtLeast() == 10));
  CHECK(effects.getStanding().getPhase() == consensus::Standing::Phase::LEADING);
  CHECK((effects.getStanding().getLeader() == 1 && effects.getStanding().getFence() == 3));
  auto evidence = effects.getEvidence();
  CHECK((evidence.getViewFence() == 3 && evidence.getLast().getIndex() == 12 &&
         evidence.getCommitted() == 11 && evidence.getEligible()));
  CHECK(effects.getFeedback()[0].getWhat() == election::Feedback::What::BEHIND);
  CHECK(effects.getFeedback()[0].getPeer() == 2);
  CHECK(effects.getWakeAt() == 1000);
  CHECK(effects.getNotes()[0] == "leader.ready fence=3");
  CHECK(effects.getNotes()[1] == "");
}

TEST_CASE("adapter: a step without wishes gives nulls, so that absent means unchanged") {
  Bench bench;

  auto response = bench.step(0);
  auto effects = response.getEffects();

  CHECK_FALSE(effects.hasPersist());
  CHECK_FALSE(effects.hasStanding());
  CHECK_FALSE(effects.hasEvidence());
  CHECK(effects.getCommitted() == 0);
  CHECK(effects.getWakeAt() == core::NEVER);
  CHECK(effects.getReleased().size() == 0);
}

TEST_CASE("adapter: a ticket the core keeps is released when its last copy goes (hole 2)") {
  Bench bench;
  std::deque<core::Body> kept;
  bench.script = [&](auto events) {
    for (auto& event : events) {
      auto& body = std::get<core::Proposal>(event).body;
      kept.push_back(body);
      kept.push_back(body);
    }
    return core::ConsensusEffects{};
  };
  CHECK(releasedBy(bench.step(1, [](auto e) { propose(e[0], 1, 31); }).getEffects()).empty());

  kept.pop_back();
  CHECK(releasedBy(bench.step(0).getEffects()).empty());
  kept.pop_back();
  CHECK(releasedBy(bench.step(0).getEffects()) == Tickets{31});
  CHECK(releasedBy(bench.step(0).getEffects()).empty());
}

TEST_CASE("adapter: a ticket the core ignores is released in the same step") {
  Bench bench;

  auto response = bench.step(2, [](auto e) { propose(e[0], 1, 31), propose(e[1], 2, 32); });

  CHECK(releasedBy(response.getEffects()) == Tickets{31, 32});
}

TEST_CASE("adapter: a ticket given twice is two holds that end one by one") {
  Bench bench;
  std::vector<core::Body> kept;
  bench.script = [&](auto events) {
    for (auto& event : events) kept.push_back(std::get<core::Proposal>(event).body);
    return core::ConsensusEffects{};
  };
  bench.step(1, [](auto e) { propose(e[0], 1, 31); });
  bench.step(1, [](auto e) { propose(e[0], 2, 31); });

  kept.erase(kept.begin());
  CHECK(releasedBy(bench.step(0).getEffects()) == Tickets{31});
  kept.clear();
  CHECK(releasedBy(bench.step(0).getEffects()) == Tickets{31});
}

TEST_CASE("adapter: tickets in fetched are holds too") {
  Bench bench;
  bench.script = [&](auto events) {
    auto& fetched = std::get<core::Fetched>(events[0]);
    CHECK((fetched.token == 5 && fetched.first == 2 && fetched.entries[0].index == 3));
    return core::ConsensusEffects{};
  };

  auto response = bench.step(1, [](auto events) {
    auto fetched = events[0].initFetched();
    fetched.setToken(5), fetched.setFirst(2);
    auto entries = fetched.initEntries(1);
    entries[0].setIndex(3), entries[0].setBody(90), entries[0].setBytes(1);
  });

  CHECK(releasedBy(response.getEffects()) == Tickets{90});
}

/// Keeps every body it is given to the end of its life.
class Hoarder final : public core::ConsensusCore {
public:
  core::ConsensusEffects step(core::Nanos,
                              std::span<const core::ConsensusEvent> events) override {
    for (auto& event : events) kept.push_back(std::get<core::Proposal>(event).body);
    return {};
  }

private:
  std::vector<core::Body> kept;
};

TEST_CASE("adapter: a core may die with its hands full") {
  kj::EventLoop loop;
  kj::WaitScope wait(loop);
  Consensus::Client client = adapt(std::make_unique<Hoarder>());
  auto request = client.stepRequest();
  auto events = request.initEvents(2);
  propose(events[0], 1, 31), propose(events[1], 2, 32);

  CHECK(releasedBy(request.send().wait(wait).getEffects()).empty());
  client = nullptr;
}

TEST_CASE("adapter: a throw of the core rejects the step with its text") {
  Bench bench;
  bench.script = [](auto) -> core::ConsensusEffects { throw std::logic_error("two leaders"); };

  CHECK_THROWS_WITH(bench.step(0), Catch::Contains("two leaders"));
}

TEST_CASE("adapter: 64 proposals in a step cross in one right-sized message") {
  Bench bench;
  bench.script = [](auto events) {
    core::ConsensusEffects effects;
    effects.persist.emplace();
    core::Letter letter{2, 0, 1, {1, 2, 3}, {}};
    for (auto& event : events) {
      auto index = effects.persist->entries.size() + 1;
      core::Entry entry{index, 1, std::get<core::Proposal>(event).body};
      effects.persist->entries.push_back(entry);
      letter.entries.push_back(entry);
    }
    effects.now.push_back(letter);
    return effects;
  };
  auto fill = [](auto events) {
    for (unsigned i = 0; i < events.size(); i++) propose(events[i], i, i + 1);
  };

  auto response = bench.step(64, fill);

  CHECK(response.getEffects().getNow()[0].getEntries()[63].getBody() == 64);
  CHECK(response.getEffects().getReleased().size() == 64);
}

}  // namespace
}  // namespace polyquorum::sdk
