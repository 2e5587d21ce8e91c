// SPDX-License-Identifier: Apache-2.0
// A learner whose history is better than its leader's gives it away (discovery: adopt). The session
// has promised the epoch, so this log cannot change while it lasts.
#include "plugins/consensus/zab/learner.h"

namespace polyquorum::zab {

void Learner::onPull(core::Index from) {
  bool possible = stage == PROMISED && from > 0 && from <= ledger.last().index;
  if (!possible) return fail("pull_out_of_place");
  progressAt = ledger.now;
  serving = Serving{from};
  if (ledger.log.first() > from) {
    serveSnapshot();
  } else {
    serving->fetch = ledger.fetch(from, ledger.last().index);
  }
}

void Learner::fetched(const core::Fetched& fetched) {
  if (!serving || serving->fetch != fetched.token) return;
  serving->fetch = 0;
  progressAt = ledger.now;
  auto answer = letter(leaderId, link, PULLED, {session, epoch});
  auto next = serving->from;
  for (auto& entry : fetched.entries) {
    if (entry.index != next || ledger.log.stampAt(next) != entry.stamp) break;
    answer.entries.push_back(entry);
    next++;
  }
  if (answer.entries.empty()) return serveSnapshot();
  ledger.claim(std::move(answer));
}

void Learner::serveSnapshot() {
  serving->retryAt = core::NEVER;
  // Its entries left the log, so a snapshot holds them. Damaged ones it may hold if decided.
  auto first = ledger.log.first();
  auto atLeast = first > serving->from ? first - 1 : serving->from;
  if (atLeast > ledger.committed() && first <= serving->from) return fail("damaged_log");
  if (!serving->snapshot) serving->snapshotSince = ledger.now;
  serving->snapshot = true;
  serving->busyAt = ledger.now;
  ledger.sendSnapshot(leaderId, link, atLeast);
}

void Learner::sent(const core::SnapshotSent& snapshot) {
  if (!serving || snapshot.peer != leaderId || snapshot.link != link) return;
  serving->snapshot = false;
  serving->busyAt = core::NEVER;
  if (!snapshot.whole) serving->retryAt = ledger.now + ledger.settings.heartbeat;
}

}  // namespace polyquorum::zab
