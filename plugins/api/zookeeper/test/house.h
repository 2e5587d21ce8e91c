// SPDX-License-Identifier: Apache-2.0
// For tests: a server on a port of its own with a fake desk behind it.
#pragma once
#include "plugins/api/zookeeper/server.h"
#include "plugins/api/zookeeper/protocol.h"
#include "test/client.h"
#include "test/desk.h"

namespace polyquorum::zookeeper::test {

struct House {
  explicit House(const Settings& settings = {}) {
    auto fake = kj::heap<FakeDesk>(world);
    desk = fake.get();
    coordination::Desk::Client client = kj::mv(fake);
    heldDesk = client;
    auto made = kj::heap<Server>(world, settings, 1, "127.0.0.1:0", kj::mv(client));
    server = made.get();
    coordination::Outbox::Client outbox = kj::mv(made);
    desk->outbox = outbox;
    held = kj::mv(outbox);
  }
  ~House() noexcept(false) {
    server->stop().wait(world.scope);
    desk->outbox = nullptr;
  }

  Client client() { return Client(world, server->port()); }
  /// A client whose session is open.
  Client attached(std::uint64_t* session = nullptr) {
    auto out = client();
    out.connect();
    auto content = out.receive();
    Reader reader(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
    reader.int64();
    auto id = static_cast<std::uint64_t>(reader.int64());
    if (session != nullptr) *session = id;
    return out;
  }

  World world;
  FakeDesk* desk;
  Server* server;
  kj::Maybe<coordination::Desk::Client> heldDesk;
  kj::Maybe<coordination::Outbox::Client> held;
};

}  // namespace polyquorum::zookeeper::test
