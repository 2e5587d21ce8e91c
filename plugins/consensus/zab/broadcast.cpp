// SPDX-License-Identifier: Apache-2.0
// Phase three as the leader sees it: proposals, acknowledgements, commits, reads, heartbeats, and
// the pacing of what each session is sent.
#include <algorithm>
#include "plugins/consensus/zab/leader.h"
#include "sdk/mutant.h"

namespace polyquorum::zab {
namespace {

constexpr std::uint64_t ENTRY_BYTES = 48;        // of an entry beside its body
constexpr std::uint64_t ROUNDS_IN_FLIGHT = 4;    // rounds of reads
constexpr std::size_t TAIL_DECIDED = 1 << 16;    // decided entries kept for fetches that are short

std::uint64_t bytesOf(const core::Entry& entry) { return ENTRY_BYTES + entry.body.bytes; }

/// What n of these reach, n > 0; 0 if there are fewer.
template <typename Number>
Number nthGreatest(std::vector<Number>& numbers, std::size_t n) {
  if (numbers.size() < n) return 0;
  auto nth = numbers.begin() + (n - 1);
  std::nth_element(numbers.begin(), nth, numbers.end(), std::greater<>());
  return *nth;
}

}  // namespace

void Leader::propose(const core::Proposal& proposal) {
  if (phase != LEADING) return ledger.refuse(proposal.token, core::Refused::NOT_LEADER);
  auto undecided = ledger.last().index - ledger.committed();
  auto bytes = ENTRY_BYTES + proposal.body.bytes;
  bool full = undecided >= ledger.settings.undecidedEntries ||
              (undecided > 0 && undecidedBytes + bytes > ledger.settings.undecidedBytes);
  if (full || heir) return ledger.refuse(proposal.token, core::Refused::OVERLOADED);
  core::Entry entry{ledger.last().index + 1, epoch, proposal.body};
  tail.push_back(entry);
  undecidedBytes += bytes;
  auto home = sessions.find(proposal.home);
  if (home != sessions.end()) home->second.wanted = entry.index;
  ledger.append(std::move(entry));
  appended = true;
}

void Leader::read(core::Token token) {
  if (phase != LEADING) return ledger.refuse(token, core::Refused::NOT_LEADER);
  newReads.push_back(token);
}

void Leader::acknowledge(Session& session, core::Index index) {
  if (session.stage < SYNCED || index >= session.next) {
    drop(session.caller.peer, "ack_out_of_place");
    return;
  }
  while (!session.inFlight.empty() && session.inFlight.front().first <= index) {
    session.inFlightBytes -= session.inFlight.front().second;
    session.inFlight.pop_front();
  }
  if (index <= session.acked) return;
  session.acked = index;
  if (session.stage == FOLLOWS) {
    acksChanged = true;
  } else {
    advanced(session);
  }
}

/// Entries of this epoch are decided by counting; those before it were by the quorum of ACK_LEADER.
/// (Raft thesis, 3.6.2; ZooKeeper's Leader.tryToCommit, without its reconfigurations.)
void Leader::countAcks() {
  if (!acksChanged || phase != LEADING) return;
  acksChanged = false;
  std::vector<core::Index> acked;
  for (auto& [peer, session] : sessions) {
    if (session.voter() && session.stage == FOLLOWS) acked.push_back(session.acked);
  }
  auto held = nthGreatest(acked, ledger.quorum() - MUTANT("zab.quorum.acks"));
  if (held <= std::max(ledger.committed(), historyEnd)) return;
  // All undecided entries are in the tail.
  std::uint64_t bytes = 0;
  for (auto index = ledger.committed() + 1; index <= held; index++) {
    bytes += bytesOf(tail[index - tail.front().index]);
  }
  undecidedBytes -= bytes;
  for (auto& [peer, session] : sessions) session.withheld += bytes;
  ledger.commit(held);
}

/// Up to where the disks of so many others hold this epoch's entries that this voter's own makes them
/// a quorum's.
core::Index Leader::heldBeside(const Session& session) const {
  if (!session.voter() || session.stage != FOLLOWS || phase != LEADING) return 0;
  std::vector<core::Index> acked;
  for (auto& [peer, other] : sessions) {
    if (&other != &session && other.voter() && other.stage == FOLLOWS) acked.push_back(other.acked);
  }
  if (MUTANT("zab.quorum.held")) acked.push_back(session.next - 1);
  auto held = nthGreatest(acked, ledger.quorum() - 1);
  return held > historyEnd ? held : 0;
}

// ---------------------------------------------------------------------------------------- sending

/// Voters get proposals, the others decided entries only (ZooKeeper's INFORM), and many in one letter:
/// nobody waits for such a member. What is decided waits for it until informInterval after the letter
/// before, unless it is a chunk by then or somebody waits for it there.
core::Index Leader::limit(Session& session) {
  if (session.voter() || MUTANT("zab.inform.undecided")) return ledger.last().index;
  if (phase != LEADING) return 0;
  auto& settings = ledger.settings;
  bool waits = session.stage == FOLLOWS && ledger.now < session.releaseAt &&
               session.withheld < settings.chunkBytes && session.wanted <= session.released;
  if (!waits && session.released < ledger.committed()) {
    session.released = ledger.committed();
    session.releaseAt = ledger.now + settings.informInterval;
    session.withheld = 0;
  }
  return session.released;
}

/// It has all but what waits for its next letter.
bool Leader::withholds(const Session& session) const {
  return phase == LEADING && !session.voter() && session.stage == FOLLOWS &&
         session.released < ledger.committed() && session.next > session.released;
}

void Leader::pump(Session& session) {
  if (session.caller.peer == ledger.self() || session.stage < SYNCED) return;
  auto& settings = ledger.settings;
  auto end = limit(session);
  while (session.next <= end && session.fetch == 0 &&
         session.inFlightBytes < settings.windowBytes) {
    if (tail.empty() || session.next < tail.front().index) {
      session.fetchLast = end;
      session.fetch = ledger.fetch(session.next, end);
      break;
    }
    auto from = tail.begin() + (session.next - tail.front().index);
    auto until = tail.begin() + (end + 1 - tail.front().index);
    auto to = from;
    for (std::uint64_t bytes = 0; to != until && bytes < settings.chunkBytes; ++to) {
      bytes += bytesOf(*to);
    }
    sendEntries(session, {from, to});
  }
  bool whole = session.next > end && (session.voter() || phase == LEADING);
  if (whole && session.stage == SYNCED) {
    session.stage = OFFERED;
    ledger.send(letter(session.caller.peer, session.caller.link, NEW_LEADER,
                       {session.caller.session, epoch, session.next - 1}));
  }
  if (session.stage == FOLLOWS && session.voter()) tell(session);
}

/// What is decided, unless the learner found that by itself; what it will find when its disk is done.
void Leader::tell(Session& session) {
  auto& caller = session.caller;
  auto committed = ledger.committed();
  if (session.commitTold < committed && std::min(session.acked, session.heldTold) < committed) {
    ledger.send(letter(caller.peer, caller.link, COMMIT, {caller.session, epoch, committed}));
  }
  session.commitTold = committed;
  auto held = heldBeside(session);
  if (held <= std::max(session.heldTold, committed)) return;
  session.heldTold = held;
  heldTold = std::max(heldTold, held);
  ledger.send(letter(caller.peer, caller.link, HELD, {caller.session, epoch, held}));
}

void Leader::sendEntries(Session& session, std::vector<core::Entry>&& entries) {
  bool follows = session.stage == FOLLOWS && phase == LEADING;
  core::Index commit = follows ? ledger.committed() : 0;
  auto sent = letter(session.caller.peer, session.caller.link,
                     session.voter() ? ENTRIES : INFORM, {session.caller.session, epoch, commit});
  if (session.voter()) {
    session.heldTold = std::max(session.heldTold, heldBeside(session));
    heldTold = std::max(heldTold, session.heldTold);
    sent.numbers.push_back(session.heldTold);
  }
  std::uint64_t bytes = 0;
  for (auto& entry : entries) bytes += bytesOf(entry);
  session.next = entries.back().index + 1;
  session.inFlight.emplace_back(entries.back().index, bytes);
  session.inFlightBytes += bytes;
  if (follows) session.commitTold = commit;
  sent.entries = std::move(entries);
  ledger.send(std::move(sent));
}

void Leader::fetched(const core::Fetched& fetched) {
  for (auto& [peer, session] : sessions) {
    if (session.fetch == 0 || session.fetch != fetched.token) continue;
    session.fetch = 0;
    std::vector<core::Entry> entries;
    auto next = session.next;
    for (auto& entry : fetched.entries) {
      bool fits = entry.index == next && ledger.log.stampAt(next) == entry.stamp;
      if (!fits || next > limit(session)) break;
      entries.push_back(entry);
      next++;
    }
    if (!entries.empty()) return sendEntries(session, std::move(entries));
    // Trimmed, or damaged on this disk: the state holds it if it is decided (seed 9100026).
    if (session.stage == FOLLOWS || session.stage == OFFERED || session.next > ledger.committed()) {
      drop(peer, "entries_gone");
      return;
    }
    return sendSnapshot(session);
  }
}

/// Forgets decided entries that will not be sent from memory.
void Leader::shortenTail() {
  auto keep = ledger.committed() + 1;
  for (auto& [peer, session] : sessions) {
    if (session.fetch != 0) keep = std::min(keep, session.fetchLast + 1);
    else if (withholds(session)) keep = std::min(keep, session.next);
  }
  auto decided = [&] {
    return !tail.empty() && tail.front().index <= ledger.committed()
               ? ledger.committed() - tail.front().index + 1
               : 0;
  };
  while (!tail.empty() && (tail.front().index < keep || decided() > TAIL_DECIDED)) {
    tail.pop_front();
  }
}

// ------------------------------------------------------------------------------------------ reads

/// One round of pings serves all reads that came since the last one. A voter that answers has not
/// promised a later epoch, so no other leader was established before the round began.
void Leader::startRound() {
  if (newReads.empty() || roundLast - roundConfirmed >= ROUNDS_IN_FLIGHT) return;
  roundLast++;
  for (auto token : newReads) {
    // What a follower may have found decided before this node did counts, too.
    auto index = std::max(ledger.committed(), MUTANT("zab.read.held") ? 0 : heldTold);
    if (MUTANT("M13")) ledger.readable(token, ledger.committed());
    else reads.push_back({token, index, roundLast});
    // Whoever asks waits until it is applied there.
    for (auto& [peer, session] : sessions) session.wanted = std::max(session.wanted, index);
  }
  newReads.clear();
  pingNow = true;
}

void Leader::confirmReads() {
  if (roundConfirmed == roundLast && reads.empty()) return;
  std::vector<std::uint64_t> rounds;
  for (auto& [peer, session] : sessions) {
    if (!session.voter() || session.stage != FOLLOWS) continue;
    rounds.push_back(peer == ledger.self() ? roundLast : session.round);
  }
  auto answered = nthGreatest(rounds, ledger.quorum() - MUTANT("zab.quorum.reads"));
  roundConfirmed = std::max(roundConfirmed, answered);
  auto round = roundConfirmed + MUTANT("zab.round.read");
  while (!reads.empty() && reads.front().round <= round &&
         reads.front().index <= ledger.committed()) {
    ledger.readable(reads.front().token, reads.front().index);
    reads.pop_front();
  }
}

// ----------------------------------------------------------------------------------------- clocks

void Leader::ping(Session& session) {
  if (session.caller.peer == ledger.self() || session.stage < INFORMED) return;
  bool patient = session.streaming &&
                 ledger.now < session.streamSince + ledger.settings.snapshotTimeout;
  if (patient) advanced(session);
  core::Index commit = session.stage == FOLLOWS && phase == LEADING ? ledger.committed() : 0;
  ledger.send(letter(session.caller.peer, session.caller.link, PING,
                     {session.caller.session, epoch, commit, roundLast,
                      session.progress + progress}));
}

/// When a quorum was heard from last.
core::Nanos Leader::quorumHeardAt() const {
  std::vector<core::Nanos> heard;
  auto needed = phase == LEADING ? FOLLOWS : INFORMED;
  for (auto& [peer, session] : sessions) {
    if (!session.voter() || session.stage < needed) continue;
    heard.push_back(peer == ledger.self() ? ledger.now : session.heardAt);
  }
  return nthGreatest(heard, ledger.quorum() - MUTANT("zab.quorum.heard"));
}

void Leader::checkClocks() {
  auto& settings = ledger.settings;
  std::vector<std::pair<core::MemberId, const char*>> gone;
  for (auto& [peer, session] : sessions) {
    if (peer == ledger.self()) continue;
    bool silent = session.stage >= INFORMED &&
                  ledger.now >= session.heardAt + settings.leaderTimeout;
    bool waits = !session.voter() && phase < LEADING;
    bool stalled = session.stage < FOLLOWS && session.stage >= INFORMED && !waits &&
                   ledger.now >= std::max(session.progressAt, progressAt) + settings.syncTimeout;
    if (silent) gone.emplace_back(peer, "silent");
    else if (stalled) gone.emplace_back(peer, "stalled");
    else if (ledger.now >= session.retryAt) sendSnapshot(session);
  }
  for (auto& [peer, why] : gone) {
    if (!drop(peer, why)) return;
  }
  bool discovering = phase == GATHERING || phase == PROMISING;
  if (discovering && ledger.now >= deadline) {
    return stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "discovery_timeout");
  }
  if (discovering) return;
  quorumAt = std::max(quorumAt, quorumHeardAt());
  if (ledger.now >= quorumAt + settings.leaderTimeout) {
    return stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "quorum_silent");
  }
  if (phase < LEADING && ledger.now >= progressAt + settings.syncTimeout) {
    stop(core::Feedback::QUORUM_LOST, ledger.self(), epoch, "no_progress");
  }
}

void Leader::finish() {
  if (phase == IDLE) return;
  checkClocks();
  if (phase == IDLE) return;
  if (appended) {
    auto& own = sessions.at(ledger.self());
    own.next = ledger.last().index + 1;
    auto ack = letter(ledger.self(), 0, ACK, {own.caller.session, epoch, ledger.last().index});
    if (MUTANT("zab.persist.own_ack")) ledger.send(std::move(ack));
    else ledger.claim(std::move(ack));
    appended = false;
  }
  countAcks();
  for (bool voters : {true, false}) {
    for (auto& [peer, session] : sessions) {
      if (session.voter() == voters) pump(session);
    }
  }
  shortenTail();
  confirmReads();
  startRound();
  bool beat = ledger.now >= pingAt;
  if (pingNow || beat) {
    for (auto& [peer, session] : sessions) {
      if (beat || session.voter()) ping(session);
    }
    if (beat) pingAt = ledger.now + ledger.settings.heartbeat;
    pingNow = false;
    confirmReads();
  }
  tryHandOver();
}

core::Nanos Leader::wakeAt() const {
  if (phase == IDLE) return core::NEVER;
  auto wake = pingAt;
  if (phase == GATHERING || phase == PROMISING) wake = std::min(wake, deadline);
  for (auto& [peer, session] : sessions) {
    if (withholds(session) && !MUTANT("zab.inform.asleep")) wake = std::min(wake, session.releaseAt);
  }
  return std::min(wake, heirUntil);
}

// ---------------------------------------------------------------------------------- handing over

void Leader::handOver(core::MemberId to) {
  bool possible = phase == LEADING && to != ledger.self() && (to == 0 || ledger.isVoter(to));
  if (!possible || ledger.quorum() == 1) return;
  heir = to;
  heirUntil = ledger.now + ledger.settings.leaderTimeout;
}

/// Once the heir has all of the log and knows that it is decided.
void Leader::tryHandOver() {
  if (!heir) return;
  auto end = ledger.last().index;
  for (auto& [peer, session] : sessions) {
    bool chosen = *heir == 0 ? peer != ledger.self() : peer == *heir;
    bool ready = session.voter() && session.stage == FOLLOWS && session.acked == end &&
                 session.commitTold == end;
    if (chosen && ready) return stop(core::Feedback::RESIGNED, peer, epoch, "resigned");
  }
  if (ledger.now < heirUntil) return;
  ledger.note("leader.keeps epoch=" + std::to_string(epoch) + " why=heir_lags");
  heir.reset();
  heirUntil = core::NEVER;
}

}  // namespace polyquorum::zab
