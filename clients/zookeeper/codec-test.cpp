// SPDX-License-Identifier: Apache-2.0
// Bytes of requests and replies, written by hand from zookeeper.jute.
#include <catch2/catch.hpp>
#include <random>
#include "clients/zookeeper/codec.h"
#include "clients/zookeeper/endpoint.h"

namespace polyquorum::zookeeper_client {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (unsigned char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", c);
    text += two;
  }
  return text;
}

std::string statBytes() {
  std::string bytes;
  Writer writer(bytes);
  for (int i = 1; i <= 4; i++) writer.int64(i);
  for (int i = 5; i <= 7; i++) writer.int32(i);
  writer.int64(8);
  writer.int32(9);
  writer.int32(10);
  writer.int64(11);
  return bytes;
}

}  // namespace

TEST_CASE("a getData request is the bytes that ZooKeeper expects") {
  std::string out;
  encodeRequest(out, 7, Op::GET_DATA, watchBody("/a", true));
  REQUIRE(hex(out) ==
          "0000000f"
          "00000007"
          "00000004"
          "00000002"
          "2f61"
          "01");
}

TEST_CASE("a connect request has the read-only byte and a password of sixteen bytes") {
  std::string out;
  encodeConnect(out, 5, 10000, 0, "");
  REQUIRE(out.size() == 4 + 45);
  REQUIRE(hex(out).substr(0, 8) == "0000002d");
  REQUIRE(out.back() == 0);
}

TEST_CASE("null data and empty data stay apart") {
  REQUIRE(hex(setDataBody("/a", std::nullopt, -1)) ==
          "000000022f61"
          "ffffffff"
          "ffffffff");
  REQUIRE(hex(setDataBody("/a", "", -1)) ==
          "000000022f61"
          "00000000"
          "ffffffff");
  std::string bytes("\xff\xff\xff\xff\0\0\0\0", 8);
  Reader reader(bytes);
  REQUIRE_FALSE(reader.buffer().has_value());
  REQUIRE(reader.buffer().value().empty());
}

TEST_CASE("a stat has its eleven fields in order") {
  auto bytes = statBytes();
  REQUIRE(bytes.size() == 68);
  Reader reader(bytes);
  auto stat = readStat(reader);
  REQUIRE_FALSE(reader.bad());
  REQUIRE(stat.czxid == 1);
  REQUIRE(stat.mtimeMs == 4);
  REQUIRE(stat.version == 5);
  REQUIRE(stat.ephemeralOwner == 8);
  REQUIRE(stat.numChildren == 10);
  REQUIRE(stat.pzxid == 11);
}

TEST_CASE("a failed multi gives one error for each part (ZooKeeper: MultiResponse)") {
  std::string bytes;
  Writer writer(bytes);
  for (int error : {0, -101, -2}) {
    writer.int32(-1);
    writer.boolean(false);
    writer.int32(error);
    writer.int32(error);
  }
  writer.int32(-1);
  writer.boolean(true);
  writer.int32(-1);
  Reader reader(bytes);
  auto results = readMulti(reader);
  REQUIRE(results.size() == 3);
  REQUIRE(results[0].error == Error::OK);
  REQUIRE(results[1].error == Error::NO_NODE);
  REQUIRE(results[2].error == Error::RUNTIME_INCONSISTENCY);
}

TEST_CASE("a multi creates with the op that its mode needs") {
  Part container;
  container.op = Op::CREATE2;
  container.path = "/c";
  container.mode = Mode::CONTAINER;
  auto body = multiBody({container});
  Reader reader(body);
  REQUIRE(reader.int32() == 19);
  REQUIRE(hex(body).substr(hex(body).size() - 18) == "ffffffff01ffffffff");
}

TEST_CASE("replies cut short or with huge counts are bad, and nothing more") {
  auto stat = statBytes();
  for (std::size_t size = 0; size < stat.size(); size++) {
    Reader reader(std::string_view(stat).substr(0, size));
    readStat(reader);
    REQUIRE(reader.bad());
  }
  Reader huge(std::string_view("\x7f\xff\xff\xff", 4));
  REQUIRE(readTexts(huge).empty());
  REQUIRE(huge.bad());

  std::mt19937 random(42);
  INFO("seed 42");
  for (int round = 0; round < 20000; round++) {
    std::string noise(random() % 64, '\0');
    for (auto& c : noise) c = static_cast<char>(random() % 4 == 0 ? random() : 0);
    Reader a(noise), b(noise), c(noise), d(noise);
    readMulti(a);
    readTexts(b);
    readAcls(c);
    readNotice(d);
  }
}

TEST_CASE("lists of servers are taken apart as ZooKeeper's clients do") {
  REQUIRE(splitEndpoints("a:1,b:2").size() == 2);
  REQUIRE(splitEndpoint("[::1]:2181")->host == "::1");
  REQUIRE_FALSE(splitEndpoint("localhost"));
}

TEST_CASE("every error has a name and a sentence") {
  REQUIRE(std::string(name(Error::NO_NODE)) == "NoNode");
  REQUIRE(std::string(text(Error::BAD_VERSION)) == "the node has another version");
  REQUIRE(std::string(name(static_cast<Error>(-999))) == "Unknown");
}

}  // namespace polyquorum::zookeeper_client
