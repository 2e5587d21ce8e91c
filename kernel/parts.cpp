// SPDX-License-Identifier: Apache-2.0
// From loaded libraries to plugin instances: makeParts of node.h.
#include <kj/debug.h>
#include <map>
#include "kernel/node.h"

namespace polyquorum::kernel {
namespace {

using CreateRequest = capnp::Request<plugin::Plugin::CreateParams, plugin::Plugin::CreateResults>;

/// One instance; what goes wrong is told with the plugin's name.
template <typename Kind>
kj::Promise<typename Kind::Client> create(plugin::Plugin::Client& plugin, const std::string& name,
                                          kj::Function<void(CreateRequest&)> setOptions) {
  auto request = plugin.createRequest();
  setOptions(request);
  return request.send().then(
      [](auto response) { return response.getInstance().template castAs<Kind>(); },
      [name](kj::Exception&& why) -> typename Kind::Client {
        kj::throwFatalException(
            kj::Exception(why.getType(), __FILE__, __LINE__,
                          kj::str("plugin ", name.c_str(), ": ", why.getDescription())));
      });
}

kj::Function<void(CreateRequest&)> optionsOf(const PluginUse& use) {
  return [&use](CreateRequest& request) {
    writeOptions(use, request.initOptions(use.options.size()));
  };
}

/// Cores of the YAML's own protocols take the YAML's options, so that timings can be tuned; cores of an
/// earlier choice take those that their segment remembers.
class PluginCores final : public CoreMaker {
public:
  PluginCores(const Config& config, const Wiring& wiring, sdk::Environment& environment)
      : config(config), wiring(wiring), environment(environment) {}

  kj::Promise<consensus::Consensus::Client> consensus(Segment::Reader segment) override {
    return make<consensus::Consensus>(config.consensus, *wiring.consensus, segment.getConsensus());
  }
  kj::Promise<election::Election::Client> election(Segment::Reader segment) override {
    return make<election::Election>(config.election, *wiring.election, segment.getElection());
  }

private:
  const Config& config;
  const Wiring& wiring;
  sdk::Environment& environment;
  std::map<std::string, plugin::Plugin::Client> opened;

  template <typename Kind>
  kj::Promise<typename Kind::Client> make(const PluginUse& use, const LoadedPlugin& loaded,
                                          kj::StringPtr wanted) {
    KJ_REQUIRE(wanted == use.name.c_str(), "this segment of the log was begun under another protocol; "
               "name that one in the YAML to start this server", use.kind.c_str(), wanted, use.name.c_str());
    auto found = opened.find(use.kind);
    if (found == opened.end()) found = opened.emplace(use.kind, loaded.open(environment)).first;
    return create<Kind>(found->second, use.kind + "/" + use.name, optionsOf(use));
  }
};

void note(Parts& parts, const LoadedPlugin& loaded) {
  parts.wired.push_back({loaded.kind, loaded.name, loaded.description().getVersion().cStr()});
}

}  // namespace

kj::Promise<Parts> makeParts(const Config& config, const Wiring& wiring, sdk::Environment& environment) {
  auto storagePlugin = wiring.storage->open(environment);
  auto transportPlugin = wiring.transport->open(environment);
  auto storage = create<storage::Storage>(storagePlugin, "storage/" + config.storage.name,
                                          optionsOf(config.storage));
  auto transport = create<transport::Transport>(transportPlugin, "transport/" + config.transport.name,
                                                optionsOf(config.transport));
  auto apis = kj::heapArrayBuilder<kj::Promise<Parts::Api>>(config.apis.size());
  for (unsigned i = 0; i < config.apis.size(); i++) {
    auto& use = config.apis[i];
    auto plugin = wiring.apis[i]->open(environment);
    apis.add(create<coordination::Api>(plugin, "api/" + use.name, optionsOf(use))
                 .then([&use](coordination::Api::Client api) { return Parts::Api{use.name, api}; }));
  }
  return storage.then([&config, &wiring, &environment, transport = kj::mv(transport),
                       apis = kj::joinPromises(apis.finish())](storage::Storage::Client store) mutable {
    return transport.then([&config, &wiring, &environment, store,
                           apis = kj::mv(apis)](transport::Transport::Client lines) mutable {
      return apis.then([&config, &wiring, &environment, store,
                        lines](kj::Array<Parts::Api> made) mutable {
        Parts parts{store, lines, kj::heap<PluginCores>(config, wiring, environment), {}, {}, false};
        for (auto& api : made) parts.apis.push_back(kj::mv(api));
        for (auto* loaded : {&wiring.election, &wiring.consensus, &wiring.storage, &wiring.transport}) {
          note(parts, **loaded);
        }
        for (auto& loaded : wiring.apis) note(parts, *loaded);
        parts.durable = wiring.storage->description().getTraits().getStorage().getDurable();
        return parts;
      });
    });
  });
}

}  // namespace polyquorum::kernel
