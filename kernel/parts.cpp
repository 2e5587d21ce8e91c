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

kj::Promise<transport::Transport::Client> makeTransport(const Config& config, const Wiring& wiring,
                                                        sdk::Environment& environment,
                                                        StandIns& standIns) {
  KJ_IF_MAYBE(standIn, standIns.transport) return kj::mv(*standIn);
  auto plugin = wiring.transport->open(environment);
  return create<transport::Transport>(plugin, "transport/" + config.transport.name,
                                      optionsOf(config.transport));
}

kj::Promise<std::vector<Parts::Api>> makeApis(const Config& config, const Wiring& wiring,
                                              sdk::Environment& environment, StandIns& standIns) {
  KJ_IF_MAYBE(apis, standIns.apis) return kj::mv(*apis);
  auto made = kj::heapArrayBuilder<kj::Promise<Parts::Api>>(config.apis.size());
  for (unsigned i = 0; i < config.apis.size(); i++) {
    auto& use = config.apis[i];
    auto plugin = wiring.apis[i]->open(environment);
    made.add(create<coordination::Api>(plugin, "api/" + use.name, optionsOf(use))
                 .then([&use](coordination::Api::Client api) { return Parts::Api{use.name, api}; }));
  }
  return kj::joinPromises(made.finish()).then([](kj::Array<Parts::Api> apis) {
    std::vector<Parts::Api> out;
    for (auto& api : apis) out.push_back(kj::mv(api));
    return out;
  });
}

}  // namespace

kj::Promise<Parts> makeParts(const Config& config, const Wiring& wiring, sdk::Environment& environment,
                             StandIns standIns) {
  auto parts = kj::heap<Parts>(Parts{
      nullptr, nullptr, kj::heap<PluginCores>(config, wiring, environment), {}, {}, false,
      standIns.witness});
  auto& made = *parts;
  for (auto* loaded : {&wiring.election, &wiring.consensus, &wiring.storage, &wiring.transport}) {
    note(made, **loaded);
  }
  for (auto& loaded : wiring.apis) note(made, *loaded);
  made.durable = wiring.storage->description().getTraits().getStorage().getDurable();
  auto storagePlugin = wiring.storage->open(environment);
  auto storage = create<storage::Storage>(storagePlugin, "storage/" + config.storage.name,
                                          optionsOf(config.storage));
  auto transport = makeTransport(config, wiring, environment, standIns);
  auto apis = makeApis(config, wiring, environment, standIns);
  return storage
      .then([&made, transport = kj::mv(transport)](storage::Storage::Client client) mutable {
        made.storage = kj::mv(client);
        return kj::mv(transport);
      })
      .then([&made, apis = kj::mv(apis)](transport::Transport::Client client) mutable {
        made.transport = kj::mv(client);
        return kj::mv(apis);
      })
      .then([parts = kj::mv(parts)](std::vector<Parts::Api> apis) mutable {
        parts->apis = kj::mv(apis);
        return kj::mv(*parts);
      });
}

}  // namespace polyquorum::kernel
