// SPDX-License-Identifier: Apache-2.0
// The simulated world end to end: real kernel rooms and real plugin libraries on virtual time.
#include <capnp/serialize.h>
#include <catch2/catch.hpp>
#include <map>
#include "interfaces/operation.capnp.h"
#include "simulator/door.h"
#include "simulator/world.h"

using namespace polyquorum;
using namespace polyquorum::simulator;

namespace {

const char* const THREE = R"(
cluster:
  name: simulated
  servers:
    - { id: 1, peer: "127.0.0.1:1001", data: /simulated/1, zookeeper: "127.0.0.1:2001" }
    - { id: 2, peer: "127.0.0.1:1002", data: /simulated/2, zookeeper: "127.0.0.1:2002" }
    - { id: 3, peer: "127.0.0.1:1003", data: /simulated/3, zookeeper: "127.0.0.1:2003" }
plugins:
  election:  { use: fast_leader }
  consensus: { use: zab }
  storage:   { use: file, walSize: 1MiB }
  transport: { use: tcp }
  api:       [ { use: zookeeper } ]
)";

/// Three servers, a door to each, and what came through them.
struct Trio {
  kernel::Config config = kernel::parseConfig(THREE, "three.yaml", "/simulated");
  kernel::Wiring wiring = kernel::load(config);
  World world;
  std::map<core::MemberId, Door*> doors;
  std::map<std::uint64_t, polyquorum::Error> replies;  ///< by token
  std::map<std::uint64_t, std::uint64_t> sessions;     ///< by token of the attach
  kj::Vector<kj::Promise<void>> sent;
  std::uint64_t nextToken = 1;

  explicit Trio(std::uint64_t seed) : world(config, wiring, seed) {
    world.makeApi = [this](core::MemberId id) {
      auto door = kj::heap<Door>([this](coordination::Delivery::Reader delivery) {
        if (!delivery.isReply()) return;
        auto reply = delivery.getReply();
        replies[reply.getToken()] = reply.getOutcome().getError();
        if (reply.getOutcome().hasAttached()) {
          sessions[reply.getToken()] = reply.getOutcome().getAttached().getSession();
        }
      });
      doors[id] = door.get();
      return coordination::Api::Client(kj::mv(door));
    };
    world.failed = [](core::MemberId id, const kj::Exception& why) {
      FAIL("server " << id << " stopped: " << why.getDescription().cStr());
    };
    world.log = [this](core::MemberId id, sdk::Level level, kj::StringPtr line) {
      if (level < sdk::Level::INFO) return;
      UNSCOPED_INFO(world.now() / kj::MILLISECONDS << " ms server " << id << ": " << line.cStr());
    };
    for (auto id : {1, 2, 3}) world.start(id);
  }

  std::uint64_t submit(core::MemberId at, std::uint64_t session,
                       const std::function<void(polyquorum::Operation::Builder)>& fill) {
    capnp::MallocMessageBuilder message;
    fill(message.initRoot<polyquorum::Operation>());
    auto words = capnp::messageToFlatArray(message);
    auto token = nextToken++;
    sent.add(doors.at(at)->submit([&](coordination::Request::Builder request) {
      request.setToken(token);
      request.setSession(session);
      request.setOperation(words.asBytes());
    }));
    return token;
  }
  bool answered(std::uint64_t token) { return replies.count(token) > 0; }
  std::uint64_t attach(core::MemberId at) {
    auto token = submit(at, 0, [&](auto operation) {
      auto attach = operation.initAttach();
      attach.setTimeoutMs(10000);
      attach.setNonce(nextToken);
      attach.setHome(at);
    });
    world.run(10 * kj::SECONDS, [&]() { return answered(token); });
    REQUIRE(answered(token));
    REQUIRE(replies[token] == polyquorum::Error::OK);
    return sessions.at(token);
  }
  std::uint64_t create(core::MemberId at, std::uint64_t session, const std::string& path) {
    return submit(at, session, [&](auto operation) {
      auto create = operation.initCreate();
      create.setPath(path);
      auto acl = create.initAcl(1);
      acl[0].setBits(31);
      acl[0].initWho().setScheme("world");
      acl[0].getWho().setId("anyone");
    });
  }
};

}  // namespace

TEST_CASE("three simulated servers elect a leader and answer a write at each") {
  Trio trio(1);
  trio.world.run(5 * kj::SECONDS, [&]() { return trio.world.leader() != 0; });
  REQUIRE(trio.world.leader() != 0);

  for (auto at : {1, 2, 3}) {
    auto session = trio.attach(at);
    auto token = trio.create(at, session, "/from-" + std::to_string(at));
    trio.world.run(2 * kj::SECONDS, [&]() { return trio.answered(token); });

    REQUIRE(trio.answered(token));
    CHECK(trio.replies[token] == polyquorum::Error::OK);
  }
}

TEST_CASE("a write that waits through the leader's death is answered once by the next leader") {
  Trio trio(2);
  trio.world.run(5 * kj::SECONDS, [&]() { return trio.world.leader() != 0; });
  auto leader = trio.world.leader();
  REQUIRE(leader != 0);
  auto home = leader == 1 ? 2 : 1;
  auto session = trio.attach(home);

  trio.world.kill(leader);
  auto token = trio.create(home, session, "/survives");
  trio.world.run(10 * kj::SECONDS, [&]() { return trio.answered(token); });

  REQUIRE(trio.answered(token));
  CHECK(trio.replies[token] == polyquorum::Error::OK);
  trio.world.start(leader);
  trio.world.run(5 * kj::SECONDS, nullptr);
  CHECK(trio.world.leader() != 0);
}
