// SPDX-License-Identifier: Apache-2.0
// What the TCP transport says of itself, its options, and its factory.
#include "sdk/direct.h"
#include "sdk/options.h"
#include "sdk/plugin.h"
#include "transport.h"

namespace polyquorum::tcp {

class TcpPlugin final : public plugin::Plugin::Server {
 public:
  explicit TcpPlugin(sdk::Environment& environment) : environment(environment) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(
        description, "tcp", capnp::Schema::from<transport::Transport>(),
        {{"frameMax", "64MiB", "1MiB .. 512MiB",
          "The largest parcel that is accepted from a peer; a larger one closes the link."},
         {"retryMin", "20ms", "1ms .. 10s",
          "Wait before the second try to reach a peer; doubles with each further one."},
         {"retryMax", "1s", "10ms .. 60s", "The longest wait between two tries to reach a peer."},
         {"connectTimeout", "1s", "50ms .. 60s", "How long one try to reach a peer may take."},
         {"silenceMax", "5s", "500ms .. 60s",
          "A link whose bytes stay unacknowledged for so long counts as broken."}});
    auto traits = description.initTraits().initTransport();
    traits.setFifo(true);
    traits.setEncrypted(false);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    sdk::Options options(context.getParams().getOptions());
    Settings settings;
    settings.frameMax =
        static_cast<std::uint32_t>(options.bytes("frameMax", 64 << 20, 1 << 20, 512 << 20));
    settings.retryMin =
        options.duration("retryMin", settings.retryMin, 1 * kj::MILLISECONDS, 10 * kj::SECONDS);
    settings.retryMax =
        options.duration("retryMax", settings.retryMax, 10 * kj::MILLISECONDS, 60 * kj::SECONDS);
    settings.connectTimeout = options.duration("connectTimeout", settings.connectTimeout,
                                               50 * kj::MILLISECONDS, 60 * kj::SECONDS);
    settings.socket.silenceMaxMs = static_cast<unsigned>(
        options.duration("silenceMax", 5 * kj::SECONDS, 500 * kj::MILLISECONDS, 60 * kj::SECONDS) /
        kj::MILLISECONDS);
    if (settings.retryMin > settings.retryMax) {
      options.refuse("retryMin", "retryMin is longer than retryMax; swap them");
    }
    options.finish();
    context.getResults().setInstance(
        sdk::direct<transport::Transport>(kj::heap<TcpTransport>(environment, settings)));
    return kj::READY_NOW;
  }

 private:
  sdk::Environment& environment;
};

}  // namespace polyquorum::tcp

POLYQUORUM_PLUGIN(polyquorum::transport::Transport, "tcp", polyquorum::tcp::TcpPlugin);
