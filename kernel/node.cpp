// SPDX-License-Identifier: Apache-2.0
// One node, from its data directory to open doors and back; see node.h.
#include "kernel/node.h"
#include <kj/debug.h>
#include <algorithm>

namespace polyquorum::kernel {
namespace {

constexpr kj::Duration STOP_PATIENCE = 3 * kj::SECONDS;

void fillMember(Member::Builder out, const ServerRow& row, std::uint64_t incarnation) {
  out.setId(row.id);
  out.setRole(row.observer ? Role::LEARNER : Role::VOTER);
  out.setIncarnation(incarnation);
  auto addresses = out.initAddresses(1 + row.apis.size());
  addresses[0].setPurpose("peer");
  addresses[0].setAt(row.peer);
  for (unsigned i = 0; i < row.apis.size(); i++) {
    addresses[i + 1].setPurpose(row.apis[i].first);
    addresses[i + 1].setAt(row.apis[i].second);
  }
}

class RunningNode final : public Node {
public:
  RunningNode(const Config& config, kj::Promise<Parts> parts, const NodeSettings& settings,
              sdk::Environment& environment)
      : config(config), settings(settings), environment(environment),
        row(KJ_REQUIRE_NONNULL(find(config, settings.id), "the YAML names no server of this id; add it "
                               "under cluster.servers or start with another --id", settings.id)),
        ready(start(kj::mv(parts)).fork()) {}

  kj::Promise<void> started() override { return ready.addBranch(); }

  kj::Promise<void> failed() override {
    return ready.addBranch().then([this]() {
      return driver->failed().exclusiveJoin(desk->failed());
    });
  }

  kj::Promise<void> stop() override {
    if (desk.get() == nullptr) return kj::READY_NOW;
    auto given = driver->handOver();
    return given
        .then([this]() {
          auto stops = kj::heapArrayBuilder<kj::Promise<void>>(parts->apis.size());
          for (auto& part : parts->apis) stops.add(part.api.stopRequest().send().ignoreResult());
          return kj::joinPromises(stops.finish());
        })
        .then([this]() { return desk->stop(); })
        .exclusiveJoin(environment.timer().afterDelay(STOP_PATIENCE))
        .then([this]() { driver->stop(); });
  }

  void status(coordination::Status::Builder out) override {
    if (driver.get() == nullptr) return out.setSelf(settings.id);
    driver->fill(out);
  }

private:
  const Config& config;
  const NodeSettings settings;
  sdk::Environment& environment;
  const ServerRow& row;
  kj::Own<const kj::Directory> data;
  Identity identity;
  bool founding = false;
  // In the order of building; destroyed in reverse.
  kj::Own<Parts> parts;
  kj::Own<Driver> driver;
  kj::Own<Desk> desk;
  kj::ForkedPromise<void> ready;

  static kj::Maybe<const ServerRow&> find(const Config& config, std::uint32_t id) {
    auto* row = config.server(id);
    if (row == nullptr) return nullptr;
    return *row;
  }

  kj::Promise<void> start(kj::Promise<Parts> making) {
    return making.then([this](Parts made) {
      parts = kj::heap<Parts>(kj::mv(made));
      return parts->storage.openRequest().send();
    }).then([this](auto opened) {
      identify(opened);
      makeRooms();
      auto seed = seedSegment(config);
      auto recovered = driver->recover(opened, seed->template getRoot<Segment>().asReader());
      return recovered.attach(kj::mv(opened));
    }).then([this]() {
      if (founding) writeIdentity(*data, identity);
      return join();
    }).then([this]() { return openDoors(); });
  }

  /// Has this disk forgotten promises that an earlier life made? See Chain::mayVote. A founder's first
  /// segment is durable before its identity, a forgetful server's identity before its first segment: a
  /// crash between the two is never taken for the other case.
  void identify(storage::Storage::OpenResults::Reader opened) {
    data = environment.directory("data");
    identity = readIdentity(*data, config.cluster, settings.id);
    bool known = identity.server != 0;
    bool blank = opened.getChain().size() <= 1 && !opened.hasSnapshot();
    for (auto log : opened.getLogs()) blank = blank && log.getRuns().size() + log.getFacts().size() == 0;
    founding = settings.bootstrap && !known && blank;
    identity.cluster = config.cluster;
    identity.server = settings.id;
    // The clock only makes lives of a wiped server differ; one that went back is outrun.
    identity.incarnation = std::max<std::uint64_t>(identity.incarnation + 1, environment.wallTimeMs());
    if (founding) {
      identity.founded = true;
      return;
    }
    if (!known || opened.getChain().size() == 0) {
      identity.lost = identity.incarnation;
      environment.log(sdk::Level::WARNING,
                      "promises.lost: this server only learns until the cluster's next segment names it");
    }
    writeIdentity(*data, identity);
  }

  void makeRooms() {
    DriverSettings forDriver;
    forDriver.identity = identity;
    forDriver.snapshots = config.snapshots;
    forDriver.wired = parts->wired;
    forDriver.memoryMax = config.limits.memoryBytes;
    forDriver.durable = parts->durable;
    forDriver.witness = parts->witness;
    forDriver.startedMs = environment.wallTimeMs();
    forDriver.healed = kj::Function<void()>([this]() {
      identity.lost = 0;
      writeIdentity(*data, identity);
    });
    driver = kj::heap<Driver>(kj::mv(forDriver), parts->storage, parts->transport, *parts->cores,
                              environment);
    DeskSettings forDesk;
    forDesk.self = settings.id;
    forDesk.incarnation = identity.incarnation;
    forDesk.sessions = config.sessions;
    forDesk.reaping = config.reaping;
    forDesk.limits = config.limits;
    desk = makeDesk(forDesk, *driver, environment);
  }

  kj::Promise<void> join() {
    capnp::MallocMessageBuilder message;
    auto members = message.initRoot<capnp::AnyPointer>().initAs<capnp::List<Member>>(config.servers.size());
    Member::Reader self;
    for (unsigned i = 0; i < members.size(); i++) {
      auto& server = config.servers[i];
      bool mine = server.id == settings.id;
      fillMember(members[i], server, mine ? identity.incarnation : 0);
      if (mine) self = members[i].asReader();
    }
    return driver->start(*desk, self, members.asReader());
  }

  kj::Promise<void> openDoors() {
    auto starts = kj::heapArrayBuilder<kj::Promise<void>>(parts->apis.size());
    for (unsigned i = 0; i < parts->apis.size(); i++) {
      auto request = parts->apis[i].api.startRequest();
      fillMember(request.initSelf(), row, identity.incarnation);
      request.setDesk(desk->door(i));
      starts.add(request.send().then(
          [this, i](auto response) { desk->setOutbox(i, response.getOutbox()); }));
    }
    return kj::joinPromises(starts.finish());
  }
};

}  // namespace

kj::Own<Node> startNode(const Config& config, kj::Promise<Parts> parts, const NodeSettings& settings,
                        sdk::Environment& environment) {
  return kj::heap<RunningNode>(config, kj::mv(parts), settings, environment);
}

kj::Own<Node> startNode(const Config& config, const Wiring& wiring, const NodeSettings& settings,
                        sdk::Environment& environment) {
  return startNode(config, makeParts(config, wiring, environment), settings, environment);
}

}  // namespace polyquorum::kernel
