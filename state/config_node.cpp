// SPDX-License-Identifier: Apache-2.0
// What /zookeeper/config shows: the members of the segment, in the format of ZooKeeper's dynamic
// configuration.
#include <charconv>
#include "state/machine.h"

namespace polyquorum::state {
namespace {

std::string hexadecimal(std::uint64_t number) {
  char text[16];
  auto end = std::to_chars(text, text + sizeof(text), number, 16).ptr;
  return std::string(text, end);
}

/// "server.1=host:2888:2888:participant;host:2181". We have one port between peers where ZooKeeper
/// has two; the client's address is there only if the member serves ZooKeeper's protocol.
std::string line(polyquorum::Member::Reader member) {
  std::string peer, client;
  for (auto address : member.getAddresses()) {
    auto purpose = view(address.getPurpose());
    if (purpose == "peer") peer = view(address.getAt());
    if (purpose == "zookeeper") client = view(address.getAt());
  }
  auto colon = peer.rfind(':');
  auto port = colon == peer.npos ? std::string() : peer.substr(colon);
  auto role = member.getRole() == Role::VOTER ? ":participant" : ":observer";
  auto text = "server." + std::to_string(member.getId()) + "=" + peer + port + role;
  return client.empty() ? text : text + ";" + client;
}

}  // namespace

/// Source: QuorumVerifier.toString, ZooKeeperServer's initConfigInZKDatabase.
const Applied& Machine::enter(polyquorum::Segment::Reader segment) {
  applied = {};
  if (now.index != segment.getBase()) return applied;  // told again after a restart
  std::string text;
  for (auto member : segment.getMembers()) text += line(member) + "\n";
  text += "version=" + hexadecimal(segment.getBase());
  auto slot = tree.find("/zookeeper/config");
  tree.replaceData(slot, {text, true});
  tree.stampConfig(slot, now);
  note("/zookeeper/config", polyquorum::Change::What::DATA_CHANGED, tree.at(slot).acl);
  return applied;
}

}  // namespace polyquorum::state
