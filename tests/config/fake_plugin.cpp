// SPDX-License-Identifier: Apache-2.0
// A plugin for the loader's tests: loads and answers, or is broken in the one way that its name
// says. Does nothing useful.
#include <capnp/message.h>
#include <kj/debug.h>
#include <cstdlib>
#include <stdexcept>
#include "interfaces/consensus.capnp.h"
#include "interfaces/coordination.capnp.h"
#include "interfaces/election.capnp.h"
#include "interfaces/storage.capnp.h"
#include "interfaces/transport.capnp.h"
#include "sdk/options.h"
#include "sdk/plugin.h"

namespace polyquorum {
namespace {

#ifdef FAULT_UNDEFINED
extern "C" void polyquorumNowhereDefined();
#endif

/// An instance of the kind: every method is unimplemented.
class Instance final : public FAKE_INTERFACE::Server {
 public:
  DispatchCallResult dispatchCall(
      std::uint64_t, std::uint16_t,
      capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer>) override {
    KJ_UNIMPLEMENTED("a fake");
  }
};

void setTraits(plugin::Description::Builder description) {
  [[maybe_unused]] auto traits = description.getTraits();
#if defined(FAULT_TRAITLESS)
  traits.initApi();
#elif defined(FAKE_KIND_election)
#ifdef FAULT_PLAIN
  traits.initElection();
#else
  traits.initElection().setEvidenceMaximal(true);
#endif
#elif defined(FAKE_KIND_consensus)
  auto consensus = traits.initConsensus();
#ifdef FAULT_FUSSY
  consensus.setNeedsEvidenceMaximal(true);
  consensus.setNeedsFifo(true);
#else
  consensus.setTotalOrder(true);
  consensus.setReadBarrier(true);
#endif
#elif defined(FAKE_KIND_storage)
  traits.initStorage().setDurable(true);
#elif defined(FAKE_KIND_transport)
#ifdef FAULT_LOOSE
  traits.initTransport();
#else
  traits.initTransport().setFifo(true);
#endif
#else
  auto api = traits.initApi();
  api.setNeedsTotalOrder(true);
  api.setNeedsReadBarrier(true);
#endif
}

class Fake final : public plugin::Plugin::Server {
 public:
  explicit Fake(sdk::Environment&) {}

  kj::Promise<void> describe(DescribeContext context) override {
#ifdef FAULT_UNDEFINED
    polyquorumNowhereDefined();
#endif
#ifdef FAULT_SILENT
    throw std::runtime_error("no description today");
#endif
    auto out = context.getResults().initDescription();
    sdk::describe(out, FAKE_NAME, capnp::Schema::from<FAKE_INTERFACE>(),
                  {{"tickTime", "2s", "10ms .. 10m", "A tick."},
                   {"colour", "red", "red | blue", "A colour."},
                   {"temper", "calm", "calm | angry | furious", "How create() ends."}});
    setTraits(out);
#ifdef FAULT_MAJOR
    out.setMajor(7);
#endif
#ifdef FAULT_MINOR
    out.setMinor(sdk::INTERFACE_MINOR + 1);
#endif
#ifdef FAULT_BARE
    out.initSchemas(0);
#endif
    spoil(out);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    sdk::Options options(context.getParams().getOptions());
    auto tick =
        options.duration("tickTime", 2 * kj::SECONDS, 10 * kj::MILLISECONDS, 10 * kj::MINUTES);
    options.choice("colour", "red", {"red", "blue"});
    auto temper = options.text("temper", "calm");
    if (tick == 77 * kj::MILLISECONDS) options.refuse("tickTime", "77ms is unlucky");
    options.finish();
    if (temper == "angry") throw std::runtime_error("create is angry");
    if (temper == "furious") throw 42;
    FAKE_INTERFACE::Client instance = kj::heap<Instance>();
    context.getResults().setInstance(kj::mv(instance));
    return kj::READY_NOW;
  }

 private:
  /// Changes the schemas as an incompatible build would.
  static void spoil(plugin::Description::Builder out) {
#if defined(FAULT_ALTERED) || defined(FAULT_SMALLER)
    for (auto node : out.getSchemas()) {
      if (node.getId() != capnp::typeId<storage::Range>()) continue;
      auto fields = node.getStruct().getFields();
#ifdef FAULT_ALTERED
      fields[0].getSlot().getType().setInt64();
      fields[0].getSlot().getDefaultValue().setInt64(0);
#else
      capnp::MallocMessageBuilder only;
      only.setRoot(fields.asReader()[0]);
      auto shorter = node.getStruct().initFields(1);
      shorter.setWithCaveats(0, only.getRoot<capnp::schema::Field>().asReader());
#endif
    }
#else
    (void)out;
#endif
  }
};

}  // namespace
}  // namespace polyquorum

#ifndef FAULT_NOSYMBOL
extern "C" __attribute__((visibility("default")))
const polyquorum::sdk::Descriptor polyquorumPlugin;
const polyquorum::sdk::Descriptor polyquorumPlugin = {
#ifdef FAULT_MAGIC
    1,
#else
    polyquorum::sdk::PLUGIN_MAGIC,
#endif
#ifdef FAULT_DESCRIPTOR
    9,
#else
    polyquorum::sdk::DESCRIPTOR_VERSION,
#endif
#ifdef FAULT_CAPNP
    CAPNP_VERSION + 1,
#else
    CAPNP_VERSION,
#endif
#ifdef FAULT_STRANGER
    "0.0.9 sdk 0123456789ab libstdc++",
#else
    polyquorum::sdk::BUILD_TAG,
#endif
#ifdef FAULT_ALIEN
    12345,
#else
    capnp::typeId<polyquorum::FAKE_INTERFACE>(),
#endif
#ifdef FAULT_MISNAMED
    "somebody_else",
#else
    FAKE_NAME,
#endif
    [](polyquorum::sdk::Environment& environment) -> kj::Own<polyquorum::plugin::Plugin::Server> {
#ifdef FAULT_STRANGER
      abort();  // whatever is called in it may crash
#endif
      return kj::heap<polyquorum::Fake>(environment);
    }};
#endif
