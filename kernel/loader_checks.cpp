// SPDX-License-Identifier: Apache-2.0
// See loader_checks.h.
#include "kernel/loader_checks.h"
#include <capnp/schema-loader.h>
#include <kj/debug.h>
#include <kj/thread.h>
#include <boost/asio/io_context.hpp>
#include <map>
#include "interfaces/consensus.capnp.h"
#include "interfaces/coordination.capnp.h"
#include "interfaces/election.capnp.h"
#include "interfaces/storage.capnp.h"
#include "interfaces/transport.capnp.h"

namespace polyquorum::kernel {
namespace {

struct Kind {
  const char* name;
  std::uint64_t id;
  capnp::InterfaceSchema schema;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> KINDS{
      {"election", capnp::typeId<election::Election>(), capnp::Schema::from<election::Election>()},
      {"consensus", capnp::typeId<consensus::Consensus>(),
       capnp::Schema::from<consensus::Consensus>()},
      {"storage", capnp::typeId<storage::Storage>(), capnp::Schema::from<storage::Storage>()},
      {"transport", capnp::typeId<transport::Transport>(),
       capnp::Schema::from<transport::Transport>()},
      {"api", capnp::typeId<coordination::Api>(), capnp::Schema::from<coordination::Api>()},
  };
  return KINDS;
}

/// Where plugins are asked questions: everything is there, nothing is real.
class DryEnvironment final : public sdk::Environment {
 public:
  kj::Timer& timer() override { return timerOfNothing; }
  std::int64_t wallTimeMs() override { return 0; }
  std::uint64_t random() override { return 4; }
  kj::Own<const kj::Directory> directory(kj::StringPtr) override {
    return kj::newInMemoryDirectory(kj::nullClock());
  }
  boost::asio::io_context& io() override { return context; }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()> work) override {
    return kj::evalLater([work = kj::mv(work)]() mutable { work(); });
  }
  void log(sdk::Level, kj::StringPtr) override {}

 private:
  kj::TimerImpl timerOfNothing{kj::origin<kj::TimePoint>()};
  boost::asio::io_context context{1};
};

std::vector<std::string> lines(kj::StringPtr text) {
  std::vector<std::string> all;
  std::string rest = text.cStr();
  for (std::size_t from = 0; from <= rest.size();) {
    auto to = std::min(rest.find('\n', from), rest.size());
    if (to > from) all.push_back(rest.substr(from, to - from));
    from = to + 1;
  }
  return all;
}

void ask(Inquiry& inquiry, sdk::Environment& environment, kj::WaitScope& scope) {
  auto& loaded = *inquiry.plugin;
  auto thrown = kj::runCatchingExceptions([&]() {
    auto client = loaded.open(environment);
    auto answer = client.describeRequest().send().wait(scope);
    loaded.message = std::make_unique<capnp::MallocMessageBuilder>();
    loaded.message->setRoot(answer.getDescription());
  });
  KJ_IF_MAYBE (exception, thrown) {
    inquiry.problem =
        std::string("failed when asked for its description: ") + exception->getDescription().cStr();
    return;
  }
  if (inquiry.options == nullptr) return;
  auto use = completed(*inquiry.config, *inquiry.options, loaded);
  thrown = kj::runCatchingExceptions([&]() {
    auto client = loaded.open(environment);
    auto request = client.createRequest();
    writeOptions(use, request.initOptions(use.options.size()));
    request.send().wait(scope);
  });
  KJ_IF_MAYBE (exception, thrown) inquiry.optionProblems = lines(exception->getDescription());
}

using Nodes = std::map<std::uint64_t, capnp::schema::Node::Reader>;

/// The interfaces of this kernel, as one message that lives as long as the process.
const Nodes& ownNodes() {
  static capnp::MallocMessageBuilder message;
  static const Nodes NODES = []() {
    Nodes nodes;
    auto list = message.initRoot<capnp::AnyPointer>().initAs<capnp::List<plugin::Description>>(
        kinds().size());
    for (unsigned i = 0; i < kinds().size(); i++) {
      sdk::describe(list[i], kinds()[i].name, kinds()[i].schema, {});
      for (auto node : list[i].getSchemas().asReader()) nodes.emplace(node.getId(), node);
    }
    return nodes;
  }();
  return NODES;
}

/// What an equal version may not have fewer of.
std::size_t sizeOf(capnp::schema::Node::Reader node) {
  if (node.isStruct()) return node.getStruct().getFields().size();
  if (node.isInterface()) return node.getInterface().getMethods().size();
  if (node.isEnum()) return node.getEnum().getEnumerants().size();
  return 0;
}

bool identical(capnp::schema::Node::Reader a, capnp::schema::Node::Reader b) {
  return capnp::AnyStruct::Reader(a) == capnp::AnyStruct::Reader(b);
}

std::string versionText(unsigned major, unsigned minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

std::string checkSchemas(const plugin::Description::Reader& description) {
  capnp::SchemaLoader loader;
  bool ownLoaded = false;
  Nodes theirs;
  for (auto node : description.getSchemas()) theirs.emplace(node.getId(), node);
  if (theirs.count(description.getKind()) == 0) {
    return "does not export the schema of its interface; fill the description with "
           "sdk::describe()";
  }
  bool sameVersion = description.getMinor() == sdk::INTERFACE_MINOR;
  for (auto& [id, node] : theirs) {
    auto own = ownNodes().find(id);
    if (own == ownNodes().end()) continue;
    if (identical(own->second, node)) continue;
    std::string name = node.getDisplayName().cStr();
    if (sameVersion && sizeOf(node) < sizeOf(own->second)) {
      return "lacks parts of " + name + " that version " +
             versionText(sdk::INTERFACE_MAJOR, sdk::INTERFACE_MINOR) +
             " has; build it with this program's SDK";
    }
    if (!ownLoaded) {
      for (auto& [ownId, ownNode] : ownNodes()) loader.load(ownNode);
      ownLoaded = true;
    }
    auto theirNode = node;
    auto thrown = kj::runCatchingExceptions([&]() { loader.load(theirNode); });
    KJ_IF_MAYBE (exception, thrown) {
      return "has another " + name +
             " than this program: " + lines(exception->getDescription())[0] +
             "; build it with this program's SDK";
    }
  }
  return "";
}

}  // namespace

const char* kindName(std::uint64_t kind) {
  for (auto& known : kinds()) {
    if (known.id == kind) return known.name;
  }
  return "";
}

std::uint64_t kindId(const std::string& kind) {
  for (auto& known : kinds()) {
    if (kind == known.name) return known.id;
  }
  return 0;
}

const std::vector<std::string>& kindNames() {
  static const std::vector<std::string> NAMES = []() {
    std::vector<std::string> names;
    for (auto& kind : kinds()) names.push_back(kind.name);
    return names;
  }();
  return NAMES;
}

void inquire(std::vector<Inquiry>& inquiries) {
  if (inquiries.empty()) return;
  // The caller may have an event loop that is busy, or none; a thread has one of its own for sure.
  // layering: allow(thread): before the node starts; joined here
  kj::Thread thread([&]() {
    kj::EventLoop loop;
    kj::WaitScope scope(loop);
    DryEnvironment environment;
    for (auto& inquiry : inquiries) ask(inquiry, environment, scope);
  });
}

std::string checkInterface(const plugin::Description::Reader& description) {
  auto theirs = versionText(description.getMajor(), description.getMinor());
  auto ours = versionText(sdk::INTERFACE_MAJOR, sdk::INTERFACE_MINOR);
  if (description.getMajor() != sdk::INTERFACE_MAJOR ||
      description.getMinor() > sdk::INTERFACE_MINOR) {
    return "speaks version " + theirs + " of its interface and this program speaks " + ours +
           "; take the plugin and the program from the same release";
  }
  return checkSchemas(description);
}

void checkTraits(const Config& config, const Wiring& wiring, std::vector<Problem>& problems) {
  auto election = wiring.election->description().getTraits();
  auto consensus = wiring.consensus->description().getTraits();
  auto transport = wiring.transport->description().getTraits();
  auto missing = [&](const PluginUse& use, const std::string& key) {
    problems.push_back({use.place, key,
                        use.name + " does not state its traits; fill them in "
                                   "describe()"});
  };
  if (!election.isElection()) missing(config.election, "plugins.election");
  if (!consensus.isConsensus()) missing(config.consensus, "plugins.consensus");
  if (!transport.isTransport()) missing(config.transport, "plugins.transport");
  if (!wiring.storage->description().getTraits().isStorage()) {
    missing(config.storage, "plugins.storage");
  }
  for (std::size_t i = 0; i < wiring.apis.size(); i++) {
    if (!wiring.apis[i]->description().getTraits().isApi()) missing(config.apis[i], "plugins.api");
  }
  if (!problems.empty()) return;

  auto& needs = config.consensus.name;
  if (consensus.getConsensus().getNeedsEvidenceMaximal() &&
      !election.getElection().getEvidenceMaximal()) {
    problems.push_back({config.election.place, "plugins.election",
                        needs +
                            " needs an election that nominates only the best log among a "
                            "quorum, and " +
                            config.election.name +
                            " does not promise that; choose another election or consensus"});
  }
  if (consensus.getConsensus().getNeedsFifo() && !transport.getTransport().getFifo()) {
    problems.push_back({config.transport.place, "plugins.transport",
                        needs + " needs letters in order, and " + config.transport.name +
                            " does not keep it; choose another transport or consensus"});
  }
  for (std::size_t i = 0; i < wiring.apis.size(); i++) {
    auto api = wiring.apis[i]->description().getTraits().getApi();
    auto key = "plugins.api[" + std::to_string(i) + "]";
    auto& use = config.apis[i];
    if (api.getNeedsTotalOrder() && !consensus.getConsensus().getTotalOrder()) {
      problems.push_back({use.place, key,
                          use.name + " needs one order of all writes, and " + needs +
                              " gives none; choose another consensus or leave this API out"});
    }
    if (api.getNeedsReadBarrier() && !consensus.getConsensus().getReadBarrier()) {
      problems.push_back({use.place, key,
                          use.name + " needs reads that are never old, and " + needs +
                              " has no read barrier; choose another consensus or leave this API "
                              "out"});
    }
  }
}

}  // namespace polyquorum::kernel
