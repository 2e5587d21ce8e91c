// SPDX-License-Identifier: Apache-2.0
// The election adapter: every event and effect crosses whole.
#include <capnp/capability.h>
#include <kj/async.h>
#include <catch2/catch.hpp>
#include <functional>
#include "sdk/core_adapter.h"

namespace polyquorum::sdk {
namespace {

using election::Election;
using Script = std::function<core::ElectionEffects(std::span<const core::ElectionEvent>)>;

class Scripted final : public core::ElectionCore {
public:
  explicit Scripted(Script script) : script(std::move(script)) {}
  core::ElectionEffects step(core::Nanos, std::span<const core::ElectionEvent> events) override {
    return script(events);
  }

private:
  Script script;
};

void fillEvery(capnp::List<election::Event>::Builder events) {
  auto opened = events[0].initOpened();
  opened.setSelf(2), opened.setSeed(6);
  opened.initMembers(1)[0].setId(2);
  auto fact = opened.initFacts(1)[0];
  fact.setName("term"), fact.setValue(3);
  opened.initEvidence().setViewFence(4);
  opened.getEvidence().setEligible(true);
  events[1].initPeerUp().setLink(9);
  events[2].initPeerDown().setLink(9);
  auto letter = events[3].initReceived();
  letter.setPeer(1), letter.setKind(2);
  letter.initNumbers(2).set(1, 8);
  events[4].initEvidence().initLast().setIndex(10);
  auto feedback = events[5].initFeedback();
  feedback.setWhat(election::Feedback::What::RESIGNED), feedback.setPeer(3), feedback.setFence(5);
}

TEST_CASE("adapter: every event reaches an election core") {
  kj::EventLoop loop;
  kj::WaitScope wait(loop);
  std::vector<core::ElectionEvent> got;
  Election::Client client = adapt(std::make_unique<Scripted>([&](auto events) {
    got.assign(events.begin(), events.end());
    return core::ElectionEffects{};
  }));

  auto request = client.stepRequest();
  fillEvery(request.initEvents(6));
  request.send().wait(wait);

  REQUIRE(got.size() == 6);
  auto& opened = std::get<core::ElectionOpened>(got[0]);
  CHECK((opened.self == 2 && opened.seed == 6 && opened.members.size() == 1));
  CHECK(opened.facts == std::vector<core::Fact>{{"term", 3}});
  CHECK((opened.evidence.viewFence == 4 && opened.evidence.eligible));
  CHECK(std::get<core::PeerUp>(got[1]).link == 9);
  CHECK(std::get<core::PeerDown>(got[2]).link == 9);
  auto& letter = std::get<core::Received>(got[3]).letter;
  CHECK((letter.peer == 1 && letter.kind == 2));
  CHECK(letter.numbers == std::vector<std::uint64_t>{0, 8});
  auto& evidence = std::get<core::Evidence>(got[4]);
  CHECK((evidence.last.index == 10 && !evidence.eligible));
  auto& feedback = std::get<core::Feedback>(got[5]);
  CHECK((feedback.what == core::Feedback::RESIGNED && feedback.peer == 3 && feedback.fence == 5));
}

TEST_CASE("adapter: every effect of an election core comes out") {
  kj::EventLoop loop;
  kj::WaitScope wait(loop);
  Election::Client client = adapt(std::make_unique<Scripted>([&](auto) {
    return core::ElectionEffects{{{"term", 4}}, {{2, 0, 1, {5}, {}}}, {{3, 7, 2, {}, {}}},
                                 core::Nomination{2, 6}, 99, {"round.begun round=6"}};
  }));

  auto response = client.stepRequest().send().wait(wait);
  auto effects = response.getEffects();

  CHECK(effects.getPersist()[0].getName() == "term");
  CHECK(effects.getPersist()[0].getValue() == 4);
  CHECK((effects.getNow()[0].getPeer() == 2 && effects.getNow()[0].getNumbers()[0] == 5));
  auto held = effects.getAfterPersist()[0];
  CHECK((held.getPeer() == 3 && held.getLink() == 7));
  CHECK((effects.getNominate().getLeader() == 2 && effects.getNominate().getRound() == 6));
  CHECK(effects.getWakeAt() == 99);
  CHECK(effects.getNotes()[0] == "round.begun round=6");
}

TEST_CASE("adapter: no nomination is a null, not nobody") {
  kj::EventLoop loop;
  kj::WaitScope wait(loop);
  Election::Client client =
      adapt(std::make_unique<Scripted>([&](auto) { return core::ElectionEffects{}; }));

  CHECK_FALSE(client.stepRequest().send().wait(wait).getEffects().hasNominate());
}

TEST_CASE("adapter: feedback of a newer interface is refused, not misread") {
  kj::EventLoop loop;
  kj::WaitScope wait(loop);
  Election::Client client =
      adapt(std::make_unique<Scripted>([&](auto) { return core::ElectionEffects{}; }));

  auto request = client.stepRequest();
  request.initEvents(1)[0].initFeedback().setWhat(static_cast<election::Feedback::What>(60));

  CHECK_THROWS_WITH(request.send().wait(wait), Catch::Contains("newer interface"));
}

}  // namespace
}  // namespace polyquorum::sdk
