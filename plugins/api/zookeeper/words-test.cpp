// SPDX-License-Identifier: Apache-2.0
// Four-letter words and limits, over real sockets with a scripted desk.
#include <catch2/catch.hpp>
#include "test/house.h"

namespace polyquorum::zookeeper::test {
namespace {

std::string ask(House& house, std::string_view word) {
  auto client = house.client();
  client.raw(word);
  return client.rest();
}

Settings all() {
  Settings settings;
  settings.wordsGiven = true;
  settings.words = {"*"};
  return settings;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("zookeeper: the four-letter words answer in ZooKeeper's formats (B7)") {
  House house(all());
  std::uint64_t session;
  auto client = house.attached(&session);

  CHECK(ask(house, "ruok") == "imok");
  CHECK(ask(house, "ruok\n") == "imok");
  CHECK(ask(house, "isro") == "rw");
  CHECK(ask(house, "gtmk") == "306");
  auto srvr = ask(house, "srvr");
  CHECK(srvr.rfind("Zookeeper version: 3.9.", 0) == 0);
  CHECK(contains(srvr, "\nLatency min/avg/max: 0/0.0/0\n"));
  CHECK(contains(srvr, "\nMode: standalone\nNode count: 5\n"));
  CHECK(contains(srvr, "\nZxid: 0x8\n"));
  CHECK(contains(ask(house, "stat"), "\nClients:\n /127.0.0.1:"));
  CHECK(contains(ask(house, "cons"), "(queued=0,recved=1,sent=1,sid=0x100000000000001,lop="));
  auto mntr = ask(house, "mntr");
  CHECK(contains(mntr, "zk_server_state\tstandalone\n"));
  CHECK(contains(mntr, "zk_znode_count\t5\n"));
  CHECK(contains(mntr, "zk_watch_count\t3\n"));
  CHECK(contains(mntr, "pq_applied\t8\n"));
  CHECK(contains(mntr, "pq_phase\tleading\n"));
  CHECK(contains(ask(house, "conf"), "tickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\n"));
  CHECK(contains(ask(house, "envi"), "Environment:\nzookeeper.version=3.9."));
  CHECK(ask(house, "wchs") == "1 connections watching 2 paths\nTotal watches:3\n");
  CHECK(ask(house, "wchc") == "0xabc\n\t/a\n\n");
  CHECK(ask(house, "wchp") == "/a\n\t0xabc\n\n");
  CHECK(contains(ask(house, "dump"), "Sessions with Ephemerals (1):\n0xabc:\n\t/a\n"));
  CHECK(ask(house, "srst") == "Server stats reset.\n");
  CHECK(ask(house, "crst") == "Connection stats reset.\n");
  CHECK(ask(house, std::string("stmk\0\0\0\0\0\0\0\x07", 12)) == "7");
}

TEST_CASE("zookeeper: words off the list are refused as by ZooKeeper; other bytes are closed") {
  House house;

  CHECK(ask(house, "wchp") == "wchp is not executed because it is not in the whitelist.\n");
  CHECK(ask(house, "RUOK").empty());
  CHECK(ask(house, "GET / HTTP/1.1\r\n").empty());
  CHECK(contains(ask(house, "mntr"), "pq_words_refused\t1\n"));
  Settings settings;
  CHECK(settings.allows("wchs", true));
  CHECK_FALSE(settings.allows("wchs", false));
  CHECK(settings.allows("srvr", false));
}

TEST_CASE("zookeeper: a server without a leader says so") {
  House house(all());
  house.desk->phase = consensus::Standing::Phase::CLAIMING;

  CHECK(ask(house, "srvr") == "This ZooKeeper instance is not currently serving requests\n");
  CHECK(contains(ask(house, "mntr"), "requests\npq_applied\t"));
  CHECK(contains(ask(house, "mntr"), "pq_phase\tclaiming\n"));
  CHECK(ask(house, "isro") == "null");
  CHECK(ask(house, "ruok") == "imok");
}

TEST_CASE("zookeeper: a frame over the limit closes without a reply (B8)") {
  House house;
  auto client = house.attached();
  auto fresh = house.client();

  client.raw(Body().int32(0xfffff + 1).string());
  fresh.raw(Body().int32(5000).string());

  CHECK(client.rest().empty());
  CHECK(fresh.rest().empty());
  CHECK(house.server->refusals.frameTooLarge == 2);
}

TEST_CASE("zookeeper: a frame at the limit is read whole, in pieces") {
  House house;
  auto client = house.attached();
  auto head = Body().int32(1).int32(op::SET_DATA).text("/a").string();
  std::string data(0xfffff - head.size() - 8, 'x');
  auto content = head + Body().text(data).int32(-1).string();
  REQUIRE(content.size() == 0xfffff);
  client.socket.non_blocking(false);
  auto whole = Body().int32(0xfffff).string() + content;

  std::size_t sent = 0;
  while (sent < whole.size()) {
    auto piece = std::min<std::size_t>(100000, whole.size() - sent);
    boost::asio::write(client.socket, boost::asio::buffer(whole.data() + sent, piece));
    sent += piece;
    house.world.settle();
  }

  CHECK(house.desk->next().operation().getSetData().getData().size() == data.size());
}

TEST_CASE("zookeeper: silence before the handshake ends after five seconds (promises 5)") {
  House house;
  auto silent = house.client(), half = house.client();
  half.raw(std::string("\0\0\0", 3));
  auto session = house.attached();
  house.world.settle();

  for (int i = 0; i < 7; i++) house.world.pass(1 * kj::SECONDS);

  CHECK(silent.rest().empty());
  CHECK(half.rest().empty());
  CHECK(session.silent());
}

TEST_CASE("zookeeper: connections above maxClientCnxns are closed at once (B7)") {
  Settings settings;
  settings.connectionsPerAddressMax = 2;
  House house(settings);
  auto one = house.attached(), two = house.attached();

  auto three = house.client();

  CHECK(three.rest().empty());
  CHECK(house.server->refusals.tooMany == 1);
  one.close();
  house.world.until([&]() { return house.desk->left.size() == 1; });
  auto four = house.attached();
  CHECK(four.silent());
}

TEST_CASE("zookeeper: at the outstanding limit sockets are not read, nothing is dropped (B7)") {
  Settings settings;
  settings.outstandingMax = 3;
  House house(settings);
  auto one = house.attached(), two = house.attached();
  for (int i = 0; i < 10; i++) {
    one.request(i, op::EXISTS, Body().text("/a").flag(false));
    two.request(i, op::EXISTS, Body().text("/a").flag(false));
  }

  house.world.until([&]() { return house.desk->waiting.size() >= 3; });
  house.world.settle();
  CHECK(house.desk->waiting.size() == 3);

  for (int answered = 0; answered < 20; answered++) {
    auto asked = house.desk->next();
    house.desk->deliver({house.desk->error(asked, Error::NO_NODE)});
    house.world.settle();
    CHECK(house.desk->waiting.size() <= 3);
  }
  for (int i = 0; i < 10; i++) {
    CHECK(Reply(one.receive()).xid == i);
    CHECK(Reply(two.receive()).xid == i);
  }
}

TEST_CASE("zookeeper: a watcher that does not read is closed and delays nobody (P4)") {
  House house;
  std::uint64_t slow, quick;
  auto lazy = house.attached(&slow), eager = house.attached(&quick);
  auto event = [](std::uint64_t session) {
    return [session](coordination::Delivery::Builder out) {
      out.setSession(session);
      auto event = out.initEvent();
      event.setPath(("/" + std::string(4000, 'p')).c_str());
      event.setWhat(Change::What::CREATED);
    };
  };

  for (int i = 0; i < 4000 && house.server->refusals.slowReader == 0; i++) {
    house.desk->deliver({event(slow), event(slow), event(quick)});
    CHECK(Reply(eager.receive()).xid == xid::NOTICE);
  }

  CHECK(house.server->refusals.slowReader == 1);
  house.world.until([&]() { return house.desk->left == std::vector<std::uint64_t>{slow}; });
}

TEST_CASE("zookeeper: a big answer is sent in as many pieces as the client reads") {
  House house;
  auto client = house.attached();
  client.request(1, op::GET_DATA, Body().text("/a").flag(false));
  std::string data(8 << 20, 'x');
  auto asked = house.desk->next();

  house.desk->deliver({house.desk->answer(asked, [&](Answer::Builder answer) {
    answer.setHasData(true);
    answer.setData(kj::arrayPtr(reinterpret_cast<const kj::byte*>(data.data()), data.size()));
  })});

  CHECK(Reply(client.receive()).body().view().bytes.size() == data.size());
  client.request(2, op::PING);
  CHECK(Reply(client.receive()).xid == -2);
}

TEST_CASE("zookeeper: a ping that the full desk never answered is answered with the next reply") {
  House house;
  house.desk->automatic = false;
  auto client = house.attached();
  client.request(xid::PING, op::PING);
  client.request(4, op::EXISTS, Body().text("/a").flag(false));
  house.desk->next();
  auto exists = house.desk->next();

  house.desk->deliver({house.desk->error(exists, Error::NO_NODE)});

  CHECK(Reply(client.receive()).xid == xid::PING);
  CHECK(Reply(client.receive()).xid == 4);
}

TEST_CASE("zookeeper: what arrives behind the connect request is read after the handshake") {
  House house;
  auto client = house.client();
  auto connect = Body().int32(0).int64(0).int32(10000).int64(0).text(std::string(16, '\0'))
                     .flag(false).string();
  auto sync = Body().int32(1).int32(op::SYNC).null().string();
  client.raw(Body().int32(static_cast<std::int32_t>(connect.size())).string() + connect +
             Body().int32(static_cast<std::int32_t>(sync.size())).string() + sync);

  CHECK(client.receive().size() == 37);
  CHECK(Reply(client.receive()).body().int32() == -1);
}

TEST_CASE("zookeeper: a SASL token gets no token and no error, as from a server without SASL") {
  House house;
  auto client = house.attached();
  client.request(7, op::SASL, Body().text("token"));

  Reply reply(client.receive());

  CHECK(reply.xid == 7);
  CHECK(reply.zxid == 0);
  CHECK(reply.error == 0);
  CHECK(reply.body().int32() == -1);
}

}  // namespace polyquorum::zookeeper::test
