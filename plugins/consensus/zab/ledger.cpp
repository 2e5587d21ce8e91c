// SPDX-License-Identifier: Apache-2.0
// Keeping log, epochs and effects in step; see ledger.h.
#include "plugins/consensus/zab/ledger.h"
#include <stdexcept>
#include "sdk/mutant.h"

namespace polyquorum::zab {
namespace {

constexpr const char* ACCEPTED = "accepted";   // ZooKeeper's acceptedEpoch
constexpr const char* VIEW = "view";           // ZooKeeper's currentEpoch
constexpr const char* DAMAGED = "damaged";     // 1: acknowledged entries are missing on this disk

}  // namespace

void Ledger::open(const core::ConsensusOpened& opened) {
  selfId = opened.self;
  mayVote = opened.mayVote;
  for (auto& member : opened.members) {
    members.push_back(member.id);
    if (member.role == core::Role::VOTER) voters.push_back(member.id);
  }
  std::sort(members.begin(), members.end());
  std::sort(voters.begin(), voters.end());
  for (auto& [name, value] : opened.facts) {
    if (name == ACCEPTED) acceptedEpoch = value;
    if (name == VIEW) viewEpoch = value;
    if (name == DAMAGED) damaged = value != 0;
  }
  acceptedEpoch = std::max(acceptedEpoch, viewEpoch);
  committedIndex = opened.base.index;
  if (auto hole = log.open(opened.base, opened.log)) {
    note("log.damaged from=" + std::to_string(*hole));
    damaged = true;
    unproved = hole;
    batch.fact(DAMAGED, 1);
  }
  evidenceChanged = evidenceUrgent = true;
}

core::ConsensusEffects Ledger::finish(core::Nanos wakeAt) {
  effects.persist = batch.take();
  // The election needs evidence when it elects, and now and then; not for each entry.
  bool due = evidenceChanged && now - evidenceAt >= settings.heartbeat;
  if (evidenceUrgent || due) {
    effects.evidence = core::Evidence{viewEpoch, log.last(), committedIndex, sound()};
    evidenceAt = now;
    evidenceChanged = evidenceUrgent = false;
  }
  effects.wakeAt = wakeAt;
  return std::exchange(effects, {});
}

core::Link Ledger::linkTo(core::MemberId peer) const {
  auto found = links.find(peer);
  return found == links.end() || found->second.empty() ? 0 : found->second.back();
}

void Ledger::peerUp(core::MemberId peer, core::Link link) { links[peer].push_back(link); }

void Ledger::peerDown(core::MemberId peer, core::Link link) { std::erase(links[peer], link); }

void Ledger::promise(core::Fence epoch) {
  if (epoch <= acceptedEpoch) throw std::logic_error("an epoch is promised twice");
  if (!votes()) throw std::logic_error("a member without vote promises");
  acceptedEpoch = epoch;
  if (MUTANT("zab.persist.accepted")) return;
  batch.fact(ACCEPTED, epoch);
}

void Ledger::establish(core::Fence epoch) {
  if (epoch < viewEpoch + MUTANT("zab.epoch.view")) throw std::logic_error("the view goes back");
  viewEpoch = epoch;
  cutUnproved(0);
  if (!MUTANT("zab.persist.view")) batch.fact(VIEW, epoch);
  if (damaged) batch.fact(DAMAGED, 0);
  damaged = false;
  evidenceUrgent = true;
}

/// What stands above a hole is out of view, but it stays on the disk until an established history
/// replaces it: it may be the last copy, and then a person wants it. (promises.md, P1.4)
void Ledger::cutUnproved(core::Index above) {
  if (!unproved) return;
  batch.cut(std::max(*unproved, above));
  unproved.reset();
}

void Ledger::append(core::Entry entry) {
  cutUnproved(0);
  log.append(entry.index, entry.stamp);
  batch.put(std::move(entry));
  evidenceChanged = true;
}

void Ledger::cut(core::Index from) {
  if (from <= committedIndex) throw std::logic_error("a decided entry is cut");
  log.cut(from);
  if (MUTANT("M4")) batch.cut(from - 1);
  else if (!MUTANT("zab.persist.cut")) batch.cut(from);
  unproved.reset();   // that was above
  evidenceUrgent = true;
}

bool Ledger::adopt(core::Position at) {
  if (at.index <= committedIndex) return false;
  auto end = log.last().index;
  bool same = log.adopt(at);
  batch.adopt(at);
  if (!same && end > at.index) batch.cut(at.index + 1);
  cutUnproved(at.index + 1);
  evidenceUrgent = true;
  commit(at.index);
  note("snapshot.adopted index=" + std::to_string(at.index) + (same ? " suffix=kept" : ""));
  return true;
}

void Ledger::commit(core::Index index) {
  if (index <= committedIndex) return;
  if (index > log.last().index) {
    throw std::logic_error("an entry is decided that is not in the log");
  }
  committedIndex = index;
  effects.committed = index;
  evidenceChanged = true;
}

void Ledger::tell(core::Feedback::What what, core::MemberId peer, core::Fence fence) {
  effects.feedback.push_back({what, peer, fence});
}

void Ledger::stand(core::Standing::Phase phase, core::MemberId leader, core::Fence fence) {
  core::Standing next{phase, leader, fence};
  if (next == standing) return;
  standing = next;
  effects.standing = next;
  if (phase == core::Standing::IDLE && evidenceChanged) evidenceUrgent = true;
}

core::Token Ledger::fetch(core::Index first, core::Index last) {
  auto token = fresh();
  effects.fetch.push_back({token, first, last, settings.chunkBytes});
  return token;
}

}  // namespace polyquorum::zab
