// SPDX-License-Identifier: Apache-2.0
// Options and factory of the zab consensus. The protocol is in core.h.
#include "sdk/plugin.h"
#include <memory>
#include "plugins/consensus/zab/core.h"
#include "sdk/core_adapter.h"
#include "sdk/direct.h"
#include "sdk/options.h"

namespace polyquorum::zab {
namespace {

Settings read(capnp::List<polyquorum::Option>::Reader given) {
  sdk::Options options(given);
  Settings settings;
  auto time = [&](const char* name, core::Nanos& value, kj::Duration max) {
    value = options.duration(name, value * kj::NANOSECONDS, 1 * kj::MILLISECONDS, max) /
            kj::NANOSECONDS;
  };
  settings.adopt = options.choice("discovery", "adopt", {"adopt", "abort"}) == "adopt";
  time("heartbeat", settings.heartbeat, 60 * kj::SECONDS);
  time("leaderTimeout", settings.leaderTimeout, 10 * kj::MINUTES);
  time("discoveryTimeout", settings.discoveryTimeout, 10 * kj::MINUTES);
  time("syncTimeout", settings.syncTimeout, 60 * kj::MINUTES);
  time("snapshotTimeout", settings.snapshotTimeout, 24 * kj::HOURS);
  settings.informInterval = options.duration("informInterval", settings.informInterval * kj::NANOSECONDS,
                                             0 * kj::MILLISECONDS, 10 * kj::SECONDS) /
                            kj::NANOSECONDS;
  settings.undecidedEntries = options.number("maxUndecided", 20'000, 1, 10'000'000);
  settings.undecidedBytes = options.bytes("maxUndecidedBytes", 64 << 20, 1 << 10, 1ull << 40);
  settings.chunkBytes = options.bytes("chunkBytes", 1 << 20, 1 << 10, 64 << 20);
  settings.windowBytes = options.bytes("windowBytes", 16 << 20, 1 << 10, 1ull << 40);
  if (settings.leaderTimeout < 2 * settings.heartbeat) {
    options.refuse("leaderTimeout", "is below two heartbeats; write at least twice heartbeat");
  }
  options.finish();
  return settings;
}

class ZabPlugin final : public plugin::Plugin::Server {
public:
  explicit ZabPlugin(sdk::Environment&) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(
        description, "zab", capnp::Schema::from<consensus::Consensus>(),
        {{"discovery", "adopt", "adopt | abort",
          "What a leader does when a member of its quorum has a better history: fetch it, or hand "
          "over to that member."},
         {"heartbeat", "100ms", "1ms .. 60s", "How often a leader pings its followers."},
         {"leaderTimeout", "1s", "1ms .. 10m",
          "Silence after which a leader, a follower or a quorum counts as lost."},
         {"discoveryTimeout", "2s", "1ms .. 10m",
          "How long a nominee waits for a quorum, and a follower for its leader's epoch."},
         {"syncTimeout", "10s", "1ms .. 60m",
          "How long a synchronisation may make no progress before both sides give it up."},
         {"snapshotTimeout", "10m", "1ms .. 24h",
          "How long a snapshot on its way counts as progress."},
         {"informInterval", "10ms", "0ms .. 10s",
          "How often an observer is sent what was decided, unless a client of its own or a read waits "
          "for it. 0ms: at once."},
         {"maxUndecided", "20000", "1 .. 10000000",
          "Undecided entries above which proposals are refused as overloaded."},
         {"maxUndecidedBytes", "64MiB", "1KiB .. 1TiB", "The same in bytes."},
         {"chunkBytes", "1MiB", "1KiB .. 64MiB",
          "Size of one read of the log for a follower that lags."},
         {"windowBytes", "16MiB", "1KiB .. 1TiB",
          "Bytes sent to one follower and not yet acknowledged."}},
        {{FOLLOWER_INFO, "follower_info", {"session", "accepted", "view", "votes"}},
         {LEADER_INFO, "leader_info", {"session", "epoch"}},
         {ACK_EPOCH, "ack_epoch",
          {"session", "epoch", "counts", "view", "committed", "first", "last", "run"}},
         {SYNC, "sync", {"session", "epoch", "mode", "stamp", "index"}},
         {POSITION, "position",
          {"session", "epoch", "counts", "view", "committed", "first", "last", "run"}},
         {ENTRIES, "entries", {"session", "epoch", "commit"}},
         {NEW_LEADER, "new_leader", {"session", "epoch", "index"}},
         {ACK_LEADER, "ack_leader", {"session", "epoch", "index"}},
         {UP_TO_DATE, "up_to_date", {"session", "epoch", "commit"}},
         {ACK, "ack", {"session", "epoch", "index"}},
         {COMMIT, "commit", {"session", "epoch", "commit"}},
         {PING, "ping", {"session", "epoch", "commit", "round", "progress"}},
         {PONG, "pong", {"session", "epoch", "round"}},
         {BYE, "bye", {"session", "epoch", "leads"}},
         {REFUSE, "refuse", {"session", "least"}},
         {PULL, "pull", {"session", "epoch", "from"}},
         {PULLED, "pulled", {"session", "epoch"}},
         {INFORM, "inform", {"session", "epoch", "commit"}}});
    auto traits = description.getTraits().initConsensus();
    traits.setTotalOrder(true);
    traits.setPrimaryOrder(true);
    traits.setLinearizableWrites(true);
    traits.setReadBarrier(true);
    traits.setNeedsFifo(true);
    traits.setNeedsEvidenceMaximal(false);   // of the default; only discovery: abort wants it
    traits.setTolerates(1);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    auto settings = read(context.getParams().getOptions());
    context.getResults().setInstance(
        sdk::direct<consensus::Consensus>(sdk::adapt(std::make_unique<Zab>(settings))));
    return kj::READY_NOW;
  }
};

}  // namespace
}  // namespace polyquorum::zab

POLYQUORUM_PLUGIN(polyquorum::consensus::Consensus, "zab", polyquorum::zab::ZabPlugin);
