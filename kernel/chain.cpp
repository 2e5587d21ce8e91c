// SPDX-License-Identifier: Apache-2.0
// The chain of segments; see chain.h.
#include "kernel/chain.h"
#include <kj/debug.h>
#include "sdk/mutant.h"

namespace polyquorum::kernel {

SegmentMessage copySegment(Segment::Reader segment) {
  auto message = std::make_shared<capnp::MallocMessageBuilder>(segment.totalSize().wordCount + 8);
  message->setRoot(segment);
  return message;
}

SegmentMessage seedSegment(const Config& config) {
  auto message = std::make_shared<capnp::MallocMessageBuilder>();
  auto segment = message->initRoot<Segment>();
  segment.setConsensus(config.consensus.name);
  segment.setElection(config.election.name);
  segment.setRevision(config.revision);
  auto options = segment.initOptions(config.consensus.options.size() + config.election.options.size());
  unsigned place = 0;
  for (auto* use : {&config.consensus, &config.election}) {
    for (auto& option : use->options) {
      auto out = options[place++];
      out.setName(use->kind + "." + option.name);
      out.setValue(option.value);
    }
  }
  auto members = segment.initMembers(config.servers.size());
  for (unsigned i = 0; i < config.servers.size(); i++) {
    auto& row = config.servers[i];
    members[i].setId(row.id);
    members[i].setRole(row.observer ? Role::LEARNER : Role::VOTER);
    auto addresses = members[i].initAddresses(1 + row.apis.size());
    addresses[0].setPurpose("peer");
    addresses[0].setAt(row.peer);
    for (unsigned k = 0; k < row.apis.size(); k++) {
      addresses[k + 1].setPurpose(row.apis[k].first);
      addresses[k + 1].setAt(row.apis[k].second);
    }
  }
  return message;
}

std::uint32_t Chain::holding(core::Index index) const {
  std::uint32_t id = segments.size() - 1;
  while (id > 0 && at(id).getBase() >= index) id--;
  return id;
}

void Chain::append(Segment::Reader next) {
  KJ_REQUIRE(next.getId() == segments.size(), "a segment out of turn", next.getId());
  segments.push_back(copySegment(next));
}

void Chain::extend(capnp::List<Segment>::Reader other) {
  for (auto segment : other) {
    if (segment.getId() == segments.size()) append(segment);
  }
}

void Chain::write(capnp::List<Segment>::Builder out) const {
  for (unsigned i = 0; i < segments.size(); i++) out.setWithCaveats(i, at(i));
}

std::vector<core::Member> Chain::members() const {
  std::vector<core::Member> out;
  for (auto member : current().getMembers()) {
    out.push_back({member.getId(),
                   member.getRole() == Role::VOTER ? core::Role::VOTER : core::Role::LEARNER});
  }
  return out;
}

bool Chain::voter(core::MemberId id) const {
  for (auto member : current().getMembers()) {
    if (member.getId() == id) return member.getRole() == Role::VOTER;
  }
  return false;
}

std::uint64_t Chain::incarnation(core::MemberId id) const {
  for (auto member : current().getMembers()) {
    if (member.getId() == id) return member.getIncarnation();
  }
  return 0;
}

bool Chain::mayVote(core::MemberId self, std::uint64_t lost, std::uint64_t incarnation) const {
  if (MUTANT("M30")) return true;
  return lost == 0 || this->incarnation(self) == incarnation;
}

SegmentMessage Chain::healed(core::MemberId id, std::uint64_t incarnation, core::Index base) const {
  auto message = copySegment(current());
  auto next = message->getRoot<Segment>();
  next.setId(segments.size());
  next.setBase(base);
  for (auto member : next.getMembers()) {
    if (member.getId() == id) member.setIncarnation(incarnation);
  }
  return message;
}

}  // namespace polyquorum::kernel
