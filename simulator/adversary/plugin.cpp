// SPDX-License-Identifier: Apache-2.0
// An election that advises badly on purpose: two leaders, none, dead or unknown ones, rounds that
// jump about. Every consensus plugin must stay safe under it. After a while it becomes sane, and
// then the cluster must serve. Built for tests only.
#include "sdk/plugin.h"
#include <algorithm>
#include <memory>
#include "sdk/core_adapter.h"
#include "sdk/options.h"

namespace polyquorum::adversary {
namespace {

constexpr core::Nanos MILLISECOND = 1'000'000;
constexpr core::Nanos SANE_SLICE = 700 * MILLISECOND;
constexpr std::uint64_t WORST_PAUSE_MS = 1500;

class Adversary final : public core::ElectionCore {
 public:
  explicit Adversary(core::Nanos saneAt) : saneAt(saneAt) {}

  core::ElectionEffects step(core::Nanos now,
                             std::span<const core::ElectionEvent> events) override {
    core::ElectionEffects effects;
    for (auto& event : events) hear(event);
    if (now < saneAt) {
      if (now >= next) {
        settled = false;
        effects.nominate = core::Nomination{anybody(), chance() % 3 == 0 ? ~0ull : chance()};
        next = now + static_cast<core::Nanos>(chance() % WORST_PAUSE_MS) * MILLISECOND;
      }
      effects.wakeAt = std::min(next, saneAt);
      return effects;
    }
    if (!settled && now >= next) {
      // All nodes look at the same clock, so all name the same member for a while.
      auto slice = now / SANE_SLICE;
      effects.nominate =
          core::Nomination{voters[slice % voters.size()], static_cast<std::uint64_t>(slice)};
      next = (slice + 1) * SANE_SLICE;
    }
    effects.wakeAt = settled ? core::NEVER : next;
    return effects;
  }

 private:
  const core::Nanos saneAt;
  core::Nanos next = 0;
  bool settled = false;
  std::uint64_t state = 1;
  std::vector<core::MemberId> voters;

  std::uint64_t chance() {
    state = state * 6364136223846793005 + 1442695040888963407;
    return state >> 33;
  }

  core::MemberId anybody() {
    auto dice = chance() % 10;
    if (dice == 0) return 0;
    if (dice == 1) return static_cast<core::MemberId>(200 + chance() % 50);  // nobody has this id
    return voters[chance() % voters.size()];
  }

  void hear(const core::ElectionEvent& event) {
    if (auto* opened = std::get_if<core::ElectionOpened>(&event)) {
      state = opened->seed | 1;
      for (auto& member : opened->members) {
        if (member.role == core::Role::VOTER) voters.push_back(member.id);
      }
    } else if (auto* feedback = std::get_if<core::Feedback>(&event)) {
      switch (feedback->what) {
        case core::Feedback::LEADER_ALIVE:
          break;
        case core::Feedback::ESTABLISHED:
          settled = true;
          break;
        default:
          settled = false;
      }
    }
  }
};

class AdversaryPlugin final : public plugin::Plugin::Server {
 public:
  explicit AdversaryPlugin(sdk::Environment&) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(description, "adversary", capnp::Schema::from<election::Election>(),
                  {{"saneAt", "0ms", "0ms .. 100h",
                    "From this moment of the monotonic clock on it names one member for all."}},
                  {});
    auto traits = description.getTraits().initElection();
    traits.setEvidenceMaximal(false);
    traits.setPreVote(false);
    traits.setPersists(false);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    sdk::Options options(context.getParams().getOptions());
    auto saneAt =
        options.duration("saneAt", 0 * kj::MILLISECONDS, 0 * kj::MILLISECONDS, 100 * kj::HOURS);
    options.finish();
    election::Election::Client instance =
        sdk::adapt(std::make_unique<Adversary>(saneAt / kj::NANOSECONDS));
    context.getResults().setInstance(instance);
    return kj::READY_NOW;
  }
};

}  // namespace
}  // namespace polyquorum::adversary

POLYQUORUM_PLUGIN(polyquorum::election::Election, "adversary",
                  polyquorum::adversary::AdversaryPlugin);
