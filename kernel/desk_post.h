// SPDX-License-Identifier: Apache-2.0
// Letters between desks: gathered per member during a turn, then handed to the driver. Also knows
// which members are linked. Reads no letter.
#pragma once
#include <cstdint>
#include <map>
#include <vector>
#include "kernel/body.h"
#include "kernel/desk.h"

namespace polyquorum::kernel {

class DeskPost {
public:
  explicit DeskPost(DeskHost& host) : host(host) {}
  KJ_DISALLOW_COPY(DeskPost);

  bool linked(core::MemberId peer) const { return links.count(peer) != 0; }
  /// Linked members, and how many links each has: a new link may be up before the old one's end is
  /// known.
  const std::map<core::MemberId, unsigned>& peers() const { return links; }
  void up(core::MemberId peer) { links[peer]++; }
  /// With its last link, what was gathered for it is dropped.
  void down(core::MemberId peer);

  void command(core::MemberId to, BodyRef body);
  void touch(core::MemberId to, std::uint64_t session, std::uint64_t incarnation, std::uint32_t ageMs);
  /// After the touches that were gathered now.
  void told(core::MemberId to, core::Nanos at) { bags[to].told = at; }
  void heard(core::MemberId to, core::Nanos told) { bags[to].heard = told; }
  void ending(core::MemberId to, std::uint64_t session, std::uint64_t incarnation) {
    bags[to].ending.push_back({session, incarnation});
  }
  void read(core::MemberId to, std::uint64_t barrier);
  void readable(core::MemberId to, std::uint64_t barrier, core::Index index);
  void ready(core::MemberId to);

  /// At the end of every call into the desk.
  void flush() {
    if (!bags.empty()) sendAll();
  }

private:
  struct Touch {
    std::uint64_t session, incarnation;
    std::uint32_t ageMs;
  };
  struct Ending {
    std::uint64_t session, incarnation;
  };
  struct Bag {
    std::vector<BodyRef> commands;
    std::vector<Touch> touches;
    std::uint64_t read = 0, readable = 0;
    core::Index index = 0;
    core::Nanos told = 0, heard = 0;
    std::vector<Ending> ending;
    bool ready = false;
  };

  void sendAll();
  void send(core::MemberId to, const Bag& bag);
  /// Sends commands from first on, as many as fit into one letter; returns where to go on.
  std::size_t sendSome(core::MemberId to, const Bag& bag, std::size_t first);

  DeskHost& host;
  std::map<core::MemberId, unsigned> links;
  std::map<core::MemberId, Bag> bags;
};

}  // namespace polyquorum::kernel
