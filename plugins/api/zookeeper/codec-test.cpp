// SPDX-License-Identifier: Apache-2.0
// The codec alone: what requests become, what malformed ones become, and how replies look.
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <catch2/catch.hpp>
#include <random>
#include "plugins/api/zookeeper/decode.h"
#include "plugins/api/zookeeper/encode.h"
#include "plugins/api/zookeeper/fuzz.h"
#include "plugins/api/zookeeper/protocol.h"
#include "test/body.h"

namespace polyquorum::zookeeper::test {
namespace {

/// One decoded request and the memory it lies in.
struct Decoded {
  explicit Decoded(std::int32_t type, const std::string& body, Rules rules = {}) : rules(rules) {
    Asker asker{0x77, {"10.0.0.1", &proofs, this->rules.skipAcl}, &this->rules};
    Reader reader(reinterpret_cast<const std::uint8_t*>(body.data()), body.size());
    decodeRequest(type, reader, asker, request, pending);
  }
  Operation::Reader operation() {
    auto bytes = request.asReader().getOperation();
    words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
    memcpy(words.begin(), bytes.begin(), bytes.size());
    flat = kj::heap<capnp::FlatArrayMessageReader>(words);
    return flat->getRoot<Operation>();
  }

  Rules rules;
  std::vector<Proof> proofs{{"digest", "bob:x"}};
  capnp::MallocMessageBuilder message;
  coordination::Request::Builder request = message.initRoot<coordination::Request>();
  Pending pending;
  kj::Array<capnp::word> words;
  kj::Own<capnp::FlatArrayMessageReader> flat;
};

std::string part(std::int32_t type) { return Body().int32(type).flag(false).int32(-1).string(); }
std::string done() { return Body().int32(-1).flag(true).int32(-1).string(); }
std::string createBody(std::string_view path, std::int32_t flags) {
  return Body().text(path).text("data").worldAcl().int32(flags).string();
}

/// A good body of each type, for cutting and damaging.
std::vector<std::pair<std::int32_t, std::string>> bodies() {
  auto path = [](bool flag) { return Body().text("/a/b").flag(flag).string(); };
  auto lists = [](int count) {
    Body body;
    body.int64(5);
    for (int i = 0; i < count; i++) body.int32(2).text("/a").text("/b");
    return body.string();
  };
  return {
      {op::CREATE, createBody("/a", 3)},
      {op::CREATE2, createBody("/a", 0)},
      {op::CREATE_CONTAINER, createBody("/a", 4)},
      {op::CREATE_TTL, createBody("/a", 5) + Body().int64(1000).string()},
      {op::DELETE, Body().text("/a").int32(3).string()},
      {op::SET_DATA, Body().text("/a").text("x").int32(3).string()},
      {op::SET_ACL, Body().text("/a").worldAcl().int32(3).string()},
      {op::CHECK, Body().text("/a").int32(3).string()},
      {op::EXISTS, path(true)},
      {op::GET_DATA, path(true)},
      {op::GET_CHILDREN, path(false)},
      {op::GET_CHILDREN2, path(false)},
      {op::GET_ACL, Body().text("/a").string()},
      {op::GET_EPHEMERALS, Body().text("/a").string()},
      {op::GET_ALL_CHILDREN_NUMBER, Body().text("/a").string()},
      {op::SYNC, Body().text("/a").string()},
      {op::SET_WATCHES, lists(3)},
      {op::SET_WATCHES2, lists(5)},
      {op::ADD_WATCH, Body().text("/a").int32(1).string()},
      {op::REMOVE_WATCHES, Body().text("/a").int32(3).string()},
      {op::CHECK_WATCHES, Body().text("/a").int32(1).string()},
      {op::MULTI, part(op::CREATE) + createBody("/a", 0) + part(op::DELETE) +
                      Body().text("/b").int32(-1).string() + done()},
      {op::MULTI_READ, part(op::GET_DATA) + path(false) + part(op::GET_CHILDREN) + path(false) +
                           done()},
  };
}

}  // namespace

TEST_CASE("zookeeper: each opcode becomes the request that it means (B1)") {
  for (auto& [type, body] : bodies()) {
    INFO("type " << type);
    Rules rules;
    rules.extendedTypes = true;
    Decoded decoded(type, body, rules);
    CHECK_FALSE(decoded.pending.local);
    CHECK(decoded.pending.type == type);
  }
  Decoded create(op::CREATE, createBody("/a", 3));
  auto operation = create.operation();
  CHECK(operation.getCreate().getMode() == Create::Mode::EPHEMERAL);
  CHECK(operation.getCreate().getSequential());
  CHECK(operation.getCreate().getPath() == "/a");
  CHECK(operation.getCreate().getAcl()[0].getBits() == 31);
  CHECK(operation.getCreate().getAcl()[0].getWho().getId() == "anyone");
  REQUIRE(operation.getIdentities().size() == 2);
  CHECK(operation.getIdentities()[0].getId() == "10.0.0.1");
  CHECK(operation.getIdentities()[1].getScheme() == "digest");

  Decoded watches(op::SET_WATCHES2, bodies()[17].second);
  auto list = watches.request.asReader().getWatch();
  REQUIRE(list.size() == 10);
  CHECK(list[0].getKind() == coordination::Watch::Kind::DATA);
  CHECK(list[9].getKind() == coordination::Watch::Kind::RECURSIVE);
  CHECK(list[3].getSince() == 5);
  CHECK(list[3].getRenewed());
}

TEST_CASE("zookeeper: outside a multi the opcode makes a container, whatever the flag (measured)") {
  for (std::int32_t flags : {0, 1, 4}) {
    Decoded decoded(op::CREATE_CONTAINER, createBody("/a", flags));
    CHECK(decoded.operation().getCreate().getMode() == Create::Mode::CONTAINER);
  }
}

TEST_CASE("zookeeper: create's flags are an enum, and a TTL belongs to TTL modes only (B4)") {
  using Mode = Create::Mode;
  struct Row { std::int32_t flags; Mode mode; bool sequential; };
  for (auto row : {Row{0, Mode::PERSISTENT, false}, Row{1, Mode::EPHEMERAL, false},
                   Row{2, Mode::PERSISTENT, true}, Row{3, Mode::EPHEMERAL, true},
                   Row{4, Mode::PERSISTENT, false}}) {  // as measured on 3.8.0
    Decoded decoded(op::CREATE, createBody("/a", row.flags));
    auto create = decoded.operation().getCreate();
    CHECK(create.getMode() == row.mode);
    CHECK(create.getSequential() == row.sequential);
  }
  Rules extended;
  extended.extendedTypes = true;
  auto refusal = [](std::int32_t type, std::string body, Rules rules) {
    Decoded decoded(type, body, rules);
    return decoded.pending.local ? decoded.pending.error : 0;
  };
  auto ttl = [](std::int32_t flags, std::int64_t ms) {
    return createBody("/a", flags) + Body().int64(ms).string();
  };
  CHECK(refusal(op::CREATE, createBody("/a", 7), {}) == code::BAD_ARGUMENTS);
  CHECK(refusal(op::CREATE, createBody("/a", -1), {}) == code::BAD_ARGUMENTS);
  CHECK(refusal(op::CREATE_TTL, ttl(5, 1000), {}) == code::UNIMPLEMENTED);
  CHECK(refusal(op::CREATE_TTL, ttl(5, 1000), extended) == 0);
  CHECK(refusal(op::CREATE_TTL, ttl(6, (1ll << 40) - 1), extended) == 0);
  CHECK(refusal(op::CREATE_TTL, ttl(6, 1ll << 40), extended) == code::BAD_ARGUMENTS);
  CHECK(refusal(op::CREATE_TTL, ttl(5, 0), extended) == code::BAD_ARGUMENTS);
  CHECK(refusal(op::CREATE_TTL, ttl(0, 5), extended) == code::BAD_ARGUMENTS);
}

TEST_CASE("zookeeper: a body cut anywhere is a marshalling error and asks the desk nothing") {
  for (auto& [type, body] : bodies()) {
    for (std::size_t size = 0; size < body.size(); size++) {
      INFO("type " << type << " cut to " << size);
      Decoded decoded(type, body.substr(0, size));
      CHECK(decoded.pending.local);
      bool refused = decoded.pending.error == code::MARSHALLING_ERROR ||
                     (type == op::GET_EPHEMERALS && decoded.pending.error != 0);
      CHECK(refused);
      CHECK(decoded.request.asReader().totalSize().wordCount <=
            capnp::MessageSize{20, 0}.wordCount);
    }
  }
}

TEST_CASE("zookeeper: lengths and counts that lie are refused before anything is allocated") {
  for (std::int32_t lie : {-2, -2147483647, 2147483647, 0x10000000, 1000}) {
    INFO(lie);
    auto tail = std::string(40, '\0');
    for (auto type : {op::CREATE, op::SET_DATA, op::SET_ACL, op::GET_DATA, op::SYNC}) {
      CHECK(Decoded(type, Body().int32(lie).string() + tail).pending.error ==
            code::MARSHALLING_ERROR);
    }
    for (auto type : {op::CREATE, op::SET_DATA, op::SET_ACL}) {
      auto body = Body().text("/a").int32(lie).string() + tail;
      CHECK(Decoded(type, body).pending.error == code::MARSHALLING_ERROR);
    }
    auto acl = Body().text("/a").text("").int32(lie).string() + tail;
    CHECK(Decoded(op::CREATE, acl).pending.error == code::MARSHALLING_ERROR);
    for (int list = 0; list < 5; list++) {
      Body body;
      body.int64(0);
      for (int before = 0; before < list; before++) body.int32(0);
      body.int32(lie);
      CHECK(Decoded(op::SET_WATCHES2, body.string()).pending.error == code::MARSHALLING_ERROR);
    }
  }
}

TEST_CASE("zookeeper: any bytes decode without a crash, in memory bound by the bytes that came") {
  auto seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  auto all = bodies();
  for (int round = 0; round < 20000; round++) {
    auto& [type, body] = all[random() % all.size()];
    std::string bytes = std::string(1, static_cast<char>(random() % 3)) +
                        Body().int32(type).string() + body;
    for (auto changes = random() % 4; changes > 0; changes--) {
      bytes[1 + random() % (bytes.size() - 1)] = static_cast<char>(random());
    }
    if (random() % 3 == 0) bytes.resize(1 + random() % bytes.size());
    auto words = fuzzFrame(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    CHECK(words * 8 <= 64 * bytes.size() + 1024);
  }
}

TEST_CASE("zookeeper: a multi without end, nested, or with a stranger is a marshalling error") {
  CHECK(Decoded(op::MULTI, part(op::DELETE) + Body().text("/b").int32(-1).string())
            .pending.error == code::MARSHALLING_ERROR);
  CHECK(Decoded(op::MULTI, part(op::MULTI) + done()).pending.error == code::MARSHALLING_ERROR);
  CHECK(Decoded(op::MULTI, part(99) + done()).pending.error == code::MARSHALLING_ERROR);
  CHECK(Decoded(op::MULTI_READ, part(op::DELETE) + Body().text("/b").int32(-1).string() + done())
            .pending.error == code::MARSHALLING_ERROR);
  Decoded empty(op::MULTI, done());
  CHECK(empty.operation().getMulti().size() == 0);
}

TEST_CASE("zookeeper: a part that this server refuses fails the multi in its place (measured)") {
  Decoded decoded(op::MULTI, part(op::CREATE) + createBody("/a", 0) + part(op::CREATE) +
                                 createBody("/b", 99) + part(op::DELETE) +
                                 Body().text("/q").int32(-1).string() + done());
  CHECK(decoded.operation().getMulti().size() == 3);
  CHECK(decoded.pending.refusedPart == 1);

  capnp::MallocMessageBuilder message;
  auto reply = message.initRoot<coordination::Delivery>().initReply();
  auto outcome = reply.initOutcome();
  outcome.setError(Error::BAD_VERSION);
  auto parts = outcome.initParts(3);
  parts[1].setError(Error::BAD_VERSION);
  parts[2].setError(Error::ROLLED_BACK);
  Bytes bytes;
  encodeReply(decoded.pending, 9, reply.asReader(), bytes);

  auto error = [](std::int32_t value) {
    return Body().int32(-1).flag(false).int32(value).int32(value).string();
  };
  auto expected = Body().int32(0).int64(9).int32(0).string() + error(0) +
                  error(code::BAD_ARGUMENTS) + error(-2) + done();
  std::string got(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(got == Body().int32(static_cast<std::int32_t>(expected.size())).string() + expected);
}

TEST_CASE("zookeeper: multi's results have the types and bodies of 3.8.0 (measured)") {
  Pending pending;
  pending.type = op::MULTI;
  for (auto type : {op::CREATE, op::CREATE2, op::CREATE_CONTAINER, op::SET_DATA, op::CHECK}) {
    pending.text.push_back(static_cast<char>(type));
  }
  capnp::MallocMessageBuilder message;
  auto reply = message.initRoot<coordination::Delivery>().initReply();
  auto parts = reply.initOutcome().initParts(5);
  for (unsigned i = 0; i < 3; i++) parts[i].setPath("/m");
  for (unsigned i = 2; i < 4; i++) parts[i].initStat().setVersion(7);
  Bytes bytes;
  encodeReply(pending, 9, reply.asReader(), bytes);

  Reader reader(bytes.data(), bytes.size());
  reader.int64();
  reader.int64();
  reader.int32();
  auto header = [&]() {
    auto type = reader.int32();
    CHECK_FALSE(reader.flag());
    CHECK(reader.int32() == 0);
    return type;
  };
  auto stat = [&]() {
    for (int i = 0; i < 4; i++) reader.int64();
    CHECK(reader.int32() == 7);
    for (int i = 0; i < 8; i++) reader.int32();
  };
  CHECK(header() == op::CREATE);
  CHECK(reader.view().bytes == "/m");
  CHECK(header() == op::CREATE);
  CHECK(reader.view().bytes == "/m");
  CHECK(header() == op::CREATE2);
  CHECK(reader.view().bytes == "/m");
  stat();
  CHECK(header() == op::SET_DATA);
  stat();
  CHECK(header() == op::CHECK);
  CHECK(reader.int32() == -1);
  CHECK(reader.flag());
  CHECK(reader.int32() == -1);
  CHECK(reader.left() == 0);
}

TEST_CASE("zookeeper: every error has ZooKeeper's number, or closes the connection (B2)") {
  CHECK(codeOf(Error::NO_NODE) == -101);
  CHECK(codeOf(Error::NO_AUTH) == -102);
  CHECK(codeOf(Error::BAD_VERSION) == -103);
  CHECK(codeOf(Error::NO_CHILDREN_FOR_EPHEMERALS) == -108);
  CHECK(codeOf(Error::NODE_EXISTS) == -110);
  CHECK(codeOf(Error::NOT_EMPTY) == -111);
  CHECK(codeOf(Error::SESSION_EXPIRED) == -112);
  CHECK(codeOf(Error::INVALID_ACL) == -114);
  CHECK(codeOf(Error::AUTH_FAILED) == -115);
  CHECK(codeOf(Error::NO_WATCHER) == -121);
  CHECK(codeOf(Error::QUOTA_EXCEEDED) == -125);
  CHECK(codeOf(Error::OVERLOADED) == -127);
  // Not -127: kazoo does not know it, and dies of it. "Not done, reads go on" is what they all know.
  CHECK(codeOf(Error::NO_ROOM) == -119);
  CHECK(codeOf(Error::ROLLED_BACK) == -2);
  CHECK(codeOf(Error::UNIMPLEMENTED) == -6);
  CHECK(codeOf(Error::BAD_ARGUMENTS) == -8);
  CHECK(closesConnection(Error::TIMED_OUT));
  CHECK(closesConnection(Error::NOT_SERVING));
  CHECK(closesConnection(Error::SESSION_MOVED));
}

TEST_CASE("zookeeper: digests are those of DigestAuthenticationProvider (A9.4)") {
  // echo -n super:test | openssl sha1 -binary | base64
  CHECK(digestOf("super:test") == "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
  std::vector<Proof> proofs;
  CHECK(prove(proofs, "digest", "super:test", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=") ==
        Proved::ADDED);
  REQUIRE(proofs.size() == 2);
  CHECK(proofs[0].scheme == "super");
  CHECK(prove(proofs, "world", "anyone", "") == Proved::UNKNOWN_SCHEME);
  for (int i = 0; i < 500; i++) prove(proofs, "digest", "u:" + std::to_string(i), "");
  CHECK(proofs.size() == PROOFS_MAX);
}

}  // namespace polyquorum::zookeeper::test
