// SPDX-License-Identifier: Apache-2.0
// Options and factory of the fast_leader election. The protocol is in core.h.
#include "sdk/plugin.h"
#include <memory>
#include "plugins/election/fast_leader/core.h"
#include "sdk/core_adapter.h"
#include "sdk/direct.h"
#include "sdk/options.h"

namespace polyquorum::fast_leader {
namespace {

Timing read(capnp::List<polyquorum::Option>::Reader given) {
  sdk::Options options(given);
  auto wait = options.duration("finalizeWait", 200 * kj::MILLISECONDS, 0 * kj::MILLISECONDS,
                               60 * kj::SECONDS);
  auto min = options.duration("notificationMin", 200 * kj::MILLISECONDS, 1 * kj::MILLISECONDS,
                              60 * kj::SECONDS);
  auto max = options.duration("notificationMax", 60 * kj::SECONDS, 1 * kj::MILLISECONDS,
                              10 * kj::MINUTES);
  if (max < min) {
    options.refuse("notificationMax", "is below notificationMin; write at least as much");
  }
  options.finish();
  return {wait / kj::NANOSECONDS, min / kj::NANOSECONDS, max / kj::NANOSECONDS};
}

class FastLeaderPlugin final : public plugin::Plugin::Server {
public:
  explicit FastLeaderPlugin(sdk::Environment&) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(
        description, "fast_leader", capnp::Schema::from<election::Election>(),
        {{"finalizeWait", "200ms", "0ms .. 60s",
          "How long to wait for a better vote once a quorum agrees; ends early when every "
          "connected voter has the same vote."},
         {"notificationMin", "200ms", "1ms .. 60s",
          "First pause before an unanswered vote is told again; doubles each time."},
         {"notificationMax", "60s", "1ms .. 10m", "Longest pause between two repetitions."}},
        {{NOTIFICATION, "notification",
          {"state", "round", "leader", "peerEpoch", "lastStamp", "lastIndex", "heir"}}});
    auto traits = description.getTraits().initElection();
    traits.setEvidenceMaximal(true);
    traits.setPreVote(true);
    traits.setPersists(false);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    auto timing = read(context.getParams().getOptions());
    context.getResults().setInstance(
        sdk::direct<election::Election>(sdk::adapt(std::make_unique<FastLeader>(timing))));
    return kj::READY_NOW;
  }
};

}  // namespace
}  // namespace polyquorum::fast_leader

POLYQUORUM_PLUGIN(polyquorum::election::Election, "fast_leader",
                  polyquorum::fast_leader::FastLeaderPlugin);
