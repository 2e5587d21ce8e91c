// SPDX-License-Identifier: Apache-2.0
// What a local cluster is made of: its YAML, its processes, what servers say of themselves.
#include "cli/local_cluster.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include "cli/exit.h"
#include "tests/support/folder.h"

namespace polyquorum::cli {
namespace {

using test::Folder;

/// A server that says one thing to whoever connects, once.
class Parrot {
 public:
  explicit Parrot(const std::string& answer) {
    fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(fd, 1) == 0);
    socklen_t size = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread = std::thread([this, answer]() {
      int client = accept(fd, nullptr, nullptr);
      char word[4];
      if (recv(client, word, 4, MSG_WAITALL) == 4) {
        (void)!write(client, answer.data(), answer.size());
      }
      close(client);
    });
  }
  ~Parrot() {
    thread.join();
    close(fd);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port); }

 private:
  int fd;
  unsigned port;
  std::thread thread;
};

// As Debian's ZooKeeper 3.8.0 writes it.
const char* SRVR =
    "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2022-06-12 05:40 UTC\n"
    "Latency min/avg/max: 0/0.5/3\nReceived: 12\nSent: 11\nConnections: 2\nOutstanding: 0\n"
    "Zxid: 0x100000003\nMode: leader\nNode count: 7\n"
    "Proposal sizes last/min/max: 48/48/48\n";

TEST_CASE("local cluster: what srvr says is read (ZooKeeper 3.8.0)") {
  auto state = parseSrvr(SRVR);

  REQUIRE(state.serving);
  REQUIRE(state.mode == "leader");
  REQUIRE(state.zxid == "0x100000003");
  REQUIRE(state.nodes == "7");
  REQUIRE(state.connections == "2");
  REQUIRE(state.latency == "0/0.5/3");
}

TEST_CASE("local cluster: a server without a leader answers, but does not serve") {
  auto state = parseSrvr("This ZooKeeper instance is not currently serving requests\n");
  REQUIRE(state.answered);
  REQUIRE_FALSE(state.serving);
  REQUIRE_FALSE(parseSrvr("").answered);
}

TEST_CASE("local cluster: servers are asked over the network, and nobody hangs") {
  Parrot parrot(SRVR);
  int deaf = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(deaf, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(listen(deaf, 1) == 0);
  socklen_t size = sizeof(address);
  getsockname(deaf, reinterpret_cast<sockaddr*>(&address), &size);

  auto states = askServers(
      {parrot.address(), "127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "", "[::1]:1"},
      200);
  close(deaf);

  REQUIRE(states[0].mode == "leader");
  REQUIRE_FALSE(states[1].answered);
  REQUIRE_FALSE(states[2].answered);
  REQUIRE_FALSE(states[3].answered);
}

TEST_CASE("local cluster: the YAML it writes is a good configuration, with ports of its own") {
  ClusterWish wish;
  wish.servers = 5;
  for (unsigned base : {2181u, 2885u, 2888u, 40000u}) {
    wish.basePort = base;
    auto config = kernel::parseConfig(clusterYaml(wish), "c.yaml", "/tmp");
    REQUIRE(config.servers.size() == 5);
    REQUIRE(zookeeperAddresses(config).size() == 5);
  }
}

TEST_CASE("local cluster: a folder without a cluster is refused with the next step") {
  Folder folder;
  REQUIRE_THROWS_WITH(LocalCluster::find(folder.path), Catch::Contains("polyquorum cluster up"));
}

TEST_CASE("local cluster: servers of other machines are not started here") {
  Folder folder;
  std::ofstream(folder.path + "/a.yaml")
      << "cluster:\n  name: a\n  insecure: true\n  servers:\n"
         "    - { id: 1, peer: 'far.example:1', zookeeper: 127.0.0.1:2, data: d }\n"
         "plugins:\n  election: { use: e }\n  consensus: { use: c }\n  storage: { use: s }\n"
         "  transport: { use: t }\n  api: [ { use: zookeeper } ]\n";
  REQUIRE_THROWS_WITH(LocalCluster::prepare(folder.path, folder.path + "/a.yaml", {}),
                      Catch::Contains("far.example:1, which is not this machine"));
}

TEST_CASE("processes: this process is alive, and its number alone does not prove it") {
  Folder folder;
  auto file = folder.path + "/pid";
  REQUIRE(readPidFile(file).pid == 0);
  std::ifstream stat("/proc/self/stat");
  std::string word;
  ProcessId self{getpid(), 0};
  for (int i = 1; i <= 22; i++) stat >> word;
  self.startTime = std::stoull(word);
  writePidFile(file, self);
  auto read = readPidFile(file);

  REQUIRE(isAlive(read));
  read.startTime++;
  REQUIRE_FALSE(isAlive(read));
  REQUIRE_FALSE(sendSignal(read, 0));
  REQUIRE(waitForEnd(read, 10));
}

}  // namespace
}  // namespace polyquorum::cli
