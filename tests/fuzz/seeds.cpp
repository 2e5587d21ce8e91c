// SPDX-License-Identifier: Apache-2.0
// Writes the first samples of the corpus, made by the encoders themselves: fuzz_seeds FOLDER. To be
// run again when a format changes; what fuzzers found lies beside them and is kept.
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include "kernel/desk_lane.capnp.h"
#include "kernel/mail.h"
#include "kernel/post_office.h"
#include "plugins/storage/file/image_file.h"
#include "plugins/storage/file/catalog.h"
#include "plugins/transport/tcp/wire.h"
#include "state/trial.h"

namespace polyquorum::fuzz {
namespace {

namespace fs = std::filesystem;
fs::path folder;

void save(const char* target, const char* name, const std::string& bytes) {
  fs::create_directories(folder / target);
  std::ofstream(folder / target / name, std::ios::binary)
      .write(bytes.data(), static_cast<long>(bytes.size()));
}

std::string text(kj::ArrayPtr<const kj::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}
std::string text(capnp::MessageBuilder& message) {
  auto words = capnp::messageToFlatArray(message);
  return text(words.asBytes());
}

// --------------------------------------------------------------------------------- ZooKeeper wire

/// Jute: big endian.
struct Jute {
  std::string out;
  Jute& number(std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) out.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }
  Jute& i32(std::int64_t value) { return number(static_cast<std::uint64_t>(value), 4); }
  Jute& i64(std::int64_t value) { return number(static_cast<std::uint64_t>(value), 8); }
  Jute& flag(bool value) { return number(value, 1); }
  Jute& string(const std::string& value) {
    i32(static_cast<std::int64_t>(value.size()));
    out += value;
    return *this;
  }
  Jute& acl() { return i32(1).i32(31).string("world").string("anyone"); }
};

void frames() {
  auto request = [](const char* name, std::int32_t type, Jute body) {
    save("zookeeper_frame", name, "\1" + Jute().i32(type).out + body.out);
  };
  save("zookeeper_frame", "connect",
       std::string(1, '\0') +
           Jute().i32(0).i64(7).i32(4000).i64(0).string(std::string(16, 'p')).flag(true).out);
  request("create", 1, Jute().string("/a/b").string("data").acl().i32(3));
  request("delete", 2, Jute().string("/a").i32(-1));
  request("exists", 3, Jute().string("/a").flag(true));
  request("get_data", 4, Jute().string("/a").flag(false));
  request("set_data", 5, Jute().string("/a").string("data").i32(3));
  request("set_acl", 7, Jute().string("/a").acl().i32(-1));
  request("sync", 9, Jute().string("/"));
  request("children2", 12, Jute().string("/").flag(true));
  request("create_ttl", 21, Jute().string("/t").string("").acl().i32(5).i64(1000));
  request("set_watches2", 105,
          Jute().i64(5).i32(1).string("/a").i32(0).i32(1).string("/b").i32(0).i32(1).string("/c"));
  request("add_watch", 106, Jute().string("/a").i32(1));
  request("auth", 100, Jute().i32(0).string("digest").string("bob:secret"));
  auto part = [](Jute& out, std::int32_t type) -> Jute& {
    return out.i32(type).flag(false).i32(-1);
  };
  Jute multi;
  part(multi, 1).string("/m").string("x").acl().i32(0);
  part(multi, 13).string("/m").i32(0);
  part(multi, 5).string("/m").string("y").i32(-1);
  part(multi, 2).string("/m").i32(-1);
  multi.i32(-1).flag(true).i32(-1);
  request("multi", 14, multi);
  Jute reads;
  part(reads, 4).string("/a").flag(false);
  part(reads, 8).string("/").flag(false);
  reads.i32(-1).flag(true).i32(-1);
  request("multi_read", 22, reads);
}

// ------------------------------------------------------------------------------- between the
// kernels

void parcels() {
  auto lane = [](kernel::Lane lane) { return std::string(1, static_cast<char>(lane)); };
  kernel::Mail mail;
  mail.kind = 3;
  mail.numbers = {1, 2, 1ull << 40};
  save("parcel", "vote",
       lane(kernel::LANE_ELECTION) + text(kernel::encode(0, mail).letter.asBytes()));
  auto body = kernel::makeCommand({5, 6, 7, 7}, kj::StringPtr("operatio").asBytes());
  for (core::Index index = 1; index < 4; index++) {
    kernel::MailEntry entry{index, 1, nullptr};
    if (index != 2) entry.body = body->share();
    mail.entries.push_back(kj::mv(entry));
  }
  auto encoded = kernel::encode(2, mail);
  auto bytes = text(encoded.letter.asBytes());
  for (auto& one : encoded.bodies) bytes += text(one->bytes());
  save("parcel", "entries", lane(kernel::LANE_CONSENSUS) + bytes);

  capnp::MallocMessageBuilder desk;
  auto letter = desk.initRoot<kernel::DeskLetter>();
  letter.initCommands(1).set(0, body->bytes());
  letter.initTouches(1)[0].setSession(9);
  letter.setRead(4);
  save("parcel", "desk", lane(kernel::LANE_DESK) + text(desk));

  capnp::MallocMessageBuilder chain;
  auto tip = chain.initRoot<kernel::wire::Chain>().initTip();
  tip.setSegment(1);
  tip.setApplied(1000);
  save("parcel", "tip", lane(kernel::LANE_CHAIN) + text(chain));
}

void connections() {
  tcp::Greeting greeting;
  greeting.from = 1;
  greeting.to = 2;
  greeting.frameMax = 1 << 20;
  greeting.cluster = "fuzz";
  auto hello = text(tcp::encodeGreeting(tcp::Kind::HELLO, greeting));
  save("tcp_frames", "hello", "\4" + hello);
  auto parcel = text(tcp::encodeFrame(tcp::Kind::PARCEL, 1, kj::StringPtr("letter").asBytes()));
  save("tcp_frames", "link", "\6" + hello + parcel + parcel);
  save("tcp_frames", "sealed", std::string("\7\5\1\0\6letter\13\2\0\0\5\0\0\3abc", 21));
}

// ------------------------------------------------------------------------------------ state and
// disk

std::string operation(const state::trial::Fill& fill) {
  capnp::MallocMessageBuilder message;
  auto root = message.initRoot<Operation>();
  fill(root);
  state::trial::setIdentities(root.initIdentities(1), {{"ip", "127.0.0.1"}});
  return text(message);
}

void bodies() {
  using namespace state::trial;
  save("body", "create", "\1" + operation(create("/x", SEQUENTIAL)));
  save("body", "ephemeral", "\1" + operation(create("/a/e", EPHEMERAL)));
  save("body", "delete", "\1" + operation(erase("/a/b")));
  save("body", "set_data", "\1" + operation(setData("/a", "text")));
  save("body", "set_acl", "\1" + operation(setAclOf("/a", OPEN)));
  save("body", "multi", "\3" + operation(multi({create("/m"), check("/m", 0), erase("/m")})));
  save("body", "detach", "\1" + operation(detach()));
  save("body", "attach", std::string(1, '\0') + operation(attach()));
  save("body", "expire", std::string(1, '\0') + operation(expire({1})));
  save("body", "reap", std::string(1, '\0') + operation(reap({"/a", "/nowhere"})));
}

std::string image() {
  using namespace state::trial;
  Trial trial;
  Client client(trial);
  client(create("/a", CONTAINER));
  client(create("/a/b", EPHEMERAL));
  client(create("/a/c"));
  client(erase("/a/c"));
  client(setData("/a", "some data"));
  std::string out;
  auto capture = trial.state->capture();
  while (capture->next(1 << 20, out)) {
  }
  return out;
}

void files() {
  auto state = image();
  save("state_image", "tree", "\1" + state);
  save("state_image", "whole", "\377" + state);

  capnp::MallocMessageBuilder message;
  auto header = message.initRoot<Snapshot>();
  header.initAt().setIndex(6);
  header.initChain(1)[0].setConsensus("zab");
  auto content = kj::newInMemoryFile(kj::nullClock());
  file::ImageWriter writer(content->clone(), "snapshot", header.asReader());
  writer.add(kj::arrayPtr(reinterpret_cast<const kj::byte*>(state.data()), state.size()));
  writer.finish(writer.take());
  auto all = content->readAllBytes();
  save("image_file", "snapshot", text(all));

  // Records: kind, flags, segment, first, previous last, size, body; see wal_scan.cpp.
  file::Catalog catalog;
  catalog.join(header.getChain()[0].asReader());
  auto context = catalog.writeContext();
  auto record = [](char kind, char flags, const std::string& body) {
    std::string out{kind, flags, 0, 1, 0};
    out.push_back(static_cast<char>(body.size()));
    out.push_back(static_cast<char>(body.size() >> 8));
    return out + body;
  };
  std::string entry(24, '\0');
  entry[0] = 1;
  entry[8] = 1;
  entry[16] = 8;
  auto write = record(1, 0x12, std::string(8, '\0') + entry + "operatio");
  save("wal_scan", "sealed", "\1" + record(2, 2, text(context.asBytes())) + write + write);
  save("wal_scan", "zeros", std::string(600, '\0'));
}

}  // namespace
}  // namespace polyquorum::fuzz

int main(int count, char** words) {
  using namespace polyquorum::fuzz;
  if (count != 2) {
    std::cerr << "usage: fuzz_seeds FOLDER\n";
    return 2;
  }
  folder = words[1];
  frames();
  parcels();
  connections();
  bodies();
  files();
  save("config", "small",
       "cluster:\n  name: a\n  servers: [{ id: 1, peer: 127.0.0.1:1, zookeeper: 127.0.0.1:2, data: "
       "d }]\n"
       "plugins:\n  election: { use: e }\n  consensus: { use: c }\n  storage: { use: s }\n"
       "  transport: { use: t }\n  api: [{ use: zookeeper }]\n");
  return 0;
}
