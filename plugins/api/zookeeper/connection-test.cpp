// SPDX-License-Identifier: Apache-2.0
// The wire as a client sees it: handshake, order, closing, limits. Real sockets, a scripted desk.
#include <catch2/catch.hpp>
#include "plugins/api/zookeeper/auth.h"
#include "test/house.h"

namespace polyquorum::zookeeper::test {
namespace {

struct Connected {
  explicit Connected(const std::string& content) {
    Reader reader(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
    version = reader.int32();
    timeoutMs = reader.int32();
    session = static_cast<std::uint64_t>(reader.int64());
    password = std::string(reader.view().bytes);
    left = reader.left();
  }
  std::int32_t version, timeoutMs;
  std::uint64_t session;
  std::string password;
  std::size_t left;
};

}  // namespace

TEST_CASE("zookeeper: connect negotiates 4000 to 40000 ms (B8)") {
  House house;
  auto one = house.client(), two = house.client();

  one.connect(1);
  two.connect(600000);

  CHECK(Connected(one.receive()).timeoutMs == 4000);
  CHECK(Connected(two.receive()).timeoutMs == 40000);
}

TEST_CASE("zookeeper: the readOnly byte is echoed only to clients that sent it (B4)") {
  House house;
  auto old = house.client(), now = house.client();

  old.connect(10000, 0, std::string(16, '\0'), 0, false);
  now.connect();

  CHECK(old.receive().size() == 36);
  CHECK(now.receive().size() == 37);
}

TEST_CASE("zookeeper: a wrong password gets timeout 0, session 0, 16 zero bytes, then a close; the "
          "rightful owner is undisturbed (B8)") {
  House house;
  std::uint64_t session;
  auto owner = house.attached(&session);
  house.desk->resume = [](Attach::Reader) { return false; };

  auto thief = house.client();
  thief.connect(10000, session, "0123456789abcdef");

  Connected answer(thief.receive());
  CHECK(answer.timeoutMs == 0);
  CHECK(answer.session == 0);
  CHECK(answer.password == std::string(16, '\0'));
  CHECK(thief.rest().empty());
  owner.request(xid::PING, op::PING);
  CHECK(Reply(owner.receive()).xid == xid::PING);
  CHECK(house.desk->left.empty());
}

TEST_CASE("zookeeper: the right password from a second socket is accepted, the first one closed "
          "(B8)") {
  House house;
  std::uint64_t session;
  auto first = house.attached(&session);

  auto second = house.client();
  second.connect(10000, session, house.desk->lastPassword);

  CHECK(Connected(second.receive()).session == session);
  CHECK(first.rest().empty());
  house.world.settle();
  CHECK(house.desk->left.empty());  // the session goes on: nobody left
  second.request(1, op::SYNC, Body().text("/x"));
  CHECK(Reply(second.receive()).body().view().bytes == "/x");
}

TEST_CASE("zookeeper: a client that saw a zxid ahead of the server is closed without a reply "
          "(B8)") {
  House house;
  auto client = house.client();

  client.connect(10000, 0, std::string(16, '\0'), 1'000'000);

  CHECK(client.rest().empty());
  house.world.until([&]() { return house.desk->left.size() == 1; });
}

TEST_CASE("zookeeper: replies come in the order of the requests, with their xids (A5.11)") {
  House house;
  auto client = house.attached();
  client.request(11, op::GET_DATA, Body().text("/a").flag(true));
  client.request(12, op::WHO_AM_I);
  client.request(13, op::EXISTS, Body().text("/b").flag(false));

  auto get = house.desk->next(), exists = house.desk->next();
  CHECK(get.request().getQuery().getWatch());
  CHECK_FALSE(exists.request().getQuery().getWatch());
  CHECK(client.silent());
  house.desk->deliver({house.desk->answer(get, [](Answer::Builder answer) {
                         answer.setHasData(true);
                         answer.setData(kj::StringPtr("hello").asBytes());
                         answer.initStat().setVersion(3);
                       }),
                       house.desk->answer(exists, [](Answer::Builder answer) {
                         answer.setError(Error::NO_NODE);
                       })});

  Reply first(client.receive()), second(client.receive()), third(client.receive());
  CHECK(first.xid == 11);
  CHECK(first.zxid == static_cast<std::int64_t>(house.desk->index));
  CHECK(first.body().view().bytes == "hello");
  CHECK(first.bodyBytes() == 4 + 5 + 68);
  CHECK(second.xid == 12);
  auto who = second.body();
  CHECK(who.int32() == 1);
  CHECK(who.view().bytes == "ip");
  CHECK(who.view().bytes == "127.0.0.1");
  CHECK(third.xid == 13);
  CHECK(third.error == code::NO_NODE);
  CHECK(third.bodyBytes() == 0);
}

TEST_CASE("zookeeper: null data and empty data differ on the wire (B2)") {
  House house;
  auto client = house.attached();
  for (bool has : {false, true}) {
    client.request(1, op::GET_DATA, Body().text("/a").flag(false));
    auto asked = house.desk->next();
    house.desk->deliver({house.desk->answer(asked, [has](Answer::Builder answer) {
      answer.setHasData(has);
      answer.initStat();
    })});
    CHECK(Reply(client.receive()).body().int32() == (has ? 0 : -1));
  }
  client.request(1, op::CREATE, Body().text("/n").null().worldAcl().int32(0));
  CHECK_FALSE(house.desk->next().operation().getCreate().getHasData());
  client.request(1, op::CREATE, Body().text("/n").text("").worldAcl().int32(0));
  CHECK(house.desk->next().operation().getCreate().getHasData());
}

TEST_CASE("zookeeper: an event comes before the reply of the write that caused it, with the zxid "
          "of the change (B3, 3.9)") {
  House house;
  std::uint64_t session;
  auto client = house.attached(&session);
  client.request(5, op::SET_DATA, Body().text("/a").text("x").int32(-1));
  auto set = house.desk->next();
  CHECK(set.operation().getSetData().getGuard().getVersion() == -1);
  house.desk->index = 40;

  house.desk->deliver({[session](coordination::Delivery::Builder out) {
                         out.setSession(session);
                         auto event = out.initEvent();
                         event.setPath("/a");
                         event.setWhat(Change::What::DATA_CHANGED);
                       },
                       house.desk->outcome(set, [](Outcome::Builder out) { out.initStat(); })});

  Reply notice(client.receive()), reply(client.receive());
  CHECK(notice.xid == xid::NOTICE);
  CHECK(notice.zxid == 40);
  auto body = notice.body();
  CHECK(body.int32() == 3);
  CHECK(body.int32() == 3);
  CHECK(body.view().bytes == "/a");
  CHECK(reply.xid == 5);
  CHECK(reply.bodyBytes() == 68);
}

TEST_CASE("zookeeper: an unknown opcode is answered -6 with zxid -1, in its turn, then closed "
          "(B8)") {
  House house;
  std::uint64_t session;
  auto client = house.attached(&session);
  client.request(1, op::EXISTS, Body().text("/a").flag(false));
  client.request(2, 999);
  client.request(3, op::PING);

  auto exists = house.desk->next();
  house.desk->deliver({house.desk->error(exists, Error::NO_NODE)});

  CHECK(Reply(client.receive()).error == code::NO_NODE);
  Reply unknown(client.receive());
  CHECK(unknown.error == code::UNIMPLEMENTED);
  CHECK(unknown.zxid == -1);
  CHECK(client.rest().empty());
  house.world.until([&]() { return house.desk->left == std::vector<std::uint64_t>{session}; });
}

TEST_CASE("zookeeper: createTTL without extended types and reconfig without its option are refused "
          "and the connection stays (B8)") {
  House house;
  auto client = house.attached();

  client.request(1, op::CREATE_TTL, Body().text("/t").text("").worldAcl().int32(5).int64(1000));
  client.request(2, op::RECONFIG, Body().null().null().null().int64(-1));
  client.request(3, op::GET_DATA, Body().text("/a"));  // the watch flag is missing
  client.request(4, op::PING);

  CHECK(Reply(client.receive()).error == code::UNIMPLEMENTED);
  CHECK(Reply(client.receive()).error == code::RECONFIG_DISABLED);
  CHECK(Reply(client.receive()).error == code::MARSHALLING_ERROR);
  CHECK(Reply(client.receive()).error == code::OK);
}

TEST_CASE("zookeeper: auth by digest is answered at once with zxid 0 and goes with later requests; "
          "an unknown scheme is -115 and a close (B8)") {
  House house;
  auto client = house.attached();
  client.request(1, op::EXISTS, Body().text("/a").flag(false));
  client.request(xid::AUTH, op::AUTH, Body().int32(0).text("digest").text("bob:secret"));

  Reply auth(client.receive());
  CHECK(auth.xid == xid::AUTH);
  CHECK(auth.zxid == 0);
  CHECK(auth.error == 0);
  CHECK(auth.bodyBytes() == 0);
  client.request(2, op::DELETE, Body().text("/a").int32(-1));
  house.desk->next();
  auto asked = house.desk->next();
  auto identities = asked.operation().getIdentities();
  REQUIRE(identities.size() == 2);
  CHECK(identities[0].getScheme() == "ip");
  CHECK(identities[1].getId() == kj::StringPtr(digestOf("bob:secret").c_str()));

  client.request(xid::AUTH, op::AUTH, Body().int32(0).text("kerberos").text("x"));
  CHECK(Reply(client.receive()).error == code::AUTH_FAILED);
  CHECK(client.rest().empty());
}

TEST_CASE("zookeeper: closeSession is answered before the socket closes, and nobody leaves (B1)") {
  House house;
  auto client = house.attached();

  client.request(9, op::CLOSE_SESSION);

  Reply reply(client.receive());
  CHECK(reply.xid == 9);
  CHECK(reply.error == 0);
  CHECK(client.rest().empty());
  house.world.settle();
  CHECK(house.desk->left.empty());
}

TEST_CASE("zookeeper: a dropped connection leaves its session (B4)") {
  House house;
  std::uint64_t session;
  auto client = house.attached(&session);

  client.close();

  house.world.until([&]() { return house.desk->left == std::vector<std::uint64_t>{session}; });
}

TEST_CASE("zookeeper: an ended or adrift session closes its connection and answers nothing more") {
  House house;
  std::uint64_t one, two;
  auto ended = house.attached(&one), adrift = house.attached(&two);
  ended.request(1, op::EXISTS, Body().text("/a").flag(false));
  adrift.request(1, op::EXISTS, Body().text("/a").flag(false));
  house.desk->next();
  house.desk->next();

  house.desk->deliver({[one](coordination::Delivery::Builder out) {
                         out.setSession(one);
                         out.setEnded(Error::SESSION_MOVED);
                       },
                       [two](coordination::Delivery::Builder out) {
                         out.setSession(two);
                         out.setAdrift("no leader");
                       }});

  CHECK(ended.rest().empty());
  CHECK(adrift.rest().empty());
  house.world.until([&]() { return house.desk->left == std::vector<std::uint64_t>{two}; });
}

TEST_CASE("zookeeper: an unknown outcome is a closed connection, never a code (architecture 8)") {
  House house;
  auto client = house.attached();
  client.request(1, op::DELETE, Body().text("/a").int32(-1));

  house.desk->deliver({house.desk->error(house.desk->next(), Error::TIMED_OUT)});

  CHECK(client.rest().empty());
}

TEST_CASE("zookeeper: requests of one turn, of all connections, go to the desk in one call") {
  House house;
  auto one = house.attached(), two = house.attached();
  house.world.settle();
  auto before = house.desk->submits;
  std::string many;
  for (int i = 0; i < 100; i++) {
    auto content = Body().int32(i).int32(op::EXISTS).text("/a").flag(false).string();
    many += Body().int32(static_cast<std::int32_t>(content.size())).string() + content;
  }
  one.raw(many.substr(0, 5));  // a frame may arrive in pieces
  house.world.settle();
  one.raw(many.substr(5));
  two.raw(many);

  house.world.until([&]() { return house.desk->waiting.size() == 200; });

  CHECK(house.desk->submits - before <= 12);
  std::vector<FakeDesk::Fill> fills;
  for (auto& asked : house.desk->waiting) {
    fills.push_back(house.desk->error(asked, Error::NO_NODE));
  }
  house.desk->deliver(fills);
  for (int i = 0; i < 100; i++) CHECK(Reply(one.receive()).xid == i);
  for (int i = 0; i < 100; i++) CHECK(Reply(two.receive()).xid == i);
}

}  // namespace polyquorum::zookeeper::test
