// SPDX-License-Identifier: Apache-2.0
// Admission of commands at the leader; see desk_leader.h.
#include "kernel/desk_leader.h"
#include <algorithm>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

constexpr std::size_t FLYING_MAX = 4096, FLYING_BYTES_MAX = 16 << 20;
constexpr std::size_t EARLY_MAX = 1 << 20;
constexpr auto RETRY_AFTER = 5 * kj::MILLISECONDS;

}  // namespace

void AppliedTickets::add(std::uint64_t ticket) {
  if (!known.insert(ticket).second) return;
  if (ring.size() < KEPT) {
    ring.push_back(ticket);
    return;
  }
  known.erase(ring[oldest]);
  ring[oldest] = ticket;
  oldest = (oldest + 1) % KEPT;
}

DeskLeader::DeskLeader(const DeskSettings& settings, DeskHost& host,
                       sdk::Environment& environment, kj::TaskSet::ErrorHandler& failures,
                       Tickets& tickets, Readable readable)
    : settings(settings),
      host(host),
      timer(environment.timer()),
      environment(environment),
      tickets(tickets),
      tellReadable(kj::mv(readable)),
      clock(settings.sessions.tickMs),
      clockAlarm(timer, failures, [this] { ringClock(); }),
      reapAlarm(timer, failures, [this] { ringReaper(); }),
      retryAlarm(timer, failures,
                 [this] {
                   refusing = false;
                   pump();
                 }),
      asking(failures, [this]() { askGathered(); }) {}

void DeskLeader::begin(core::Index last) {
  end();
  leads = true;
  through = last;
  // A new leader grants every session a full timeout (P2.5): nobody knows what it missed.
  host.state().eachSession([&](const state::SessionView& session) {
    clock.add(session.id, session.incarnation, session.timeoutMs, timer.now());
  });
  armClock();
  if (settings.reaping.intervalMs > 0) {
    reapAlarm.by(timer.now() + settings.reaping.intervalMs * kj::MILLISECONDS);
  }
  opened = host.state().index() >= through;
}

void DeskLeader::end() {
  leads = opened = refusing = false;
  early.clear();
  queue.clear();
  again.clear();
  flying.clear();
  flyingCount = flyingBytes = 0;
  turns.clear();
  ticketsHere.clear();
  gathered.clear();
  reads.clear();
  clock.clear();
}

void DeskLeader::take(BodyRef body, core::MemberId home) {
  CommandId id;
  {
    BodyReader reader(*body);
    auto view = reader.get();
    if (!view.isOperation()) return;  // seals are the driver's
    id = {view.getSession(), view.getIncarnation(), view.getSequence(), view.getUnanswered()};
  }
  take(kj::mv(body), id, home);
}

void DeskLeader::take(BodyRef body, const CommandId& id, core::MemberId home) {
  if (!leads) return;
  Command command{kj::mv(body), id.session, id.incarnation, id.sequence, home, 0};
  if (!opened) {
    if (early.size() < EARLY_MAX) early.push_back(kj::mv(command));
    return;
  }
  admit(kj::mv(command));
  pump();
}

DeskLeader::Turn* DeskLeader::turnOf(std::uint64_t session, std::uint64_t incarnation) {
  auto at = turns.find(session);
  if (at != turns.end() && at->second.incarnation >= incarnation) return &at->second;
  auto view = host.state().session(session);
  if (!view) return nullptr;
  auto& turn = turns[session];
  turn = {view->incarnation, view->sequence + 1};
  return &turn;
}

/// A session's next command, and each once at a time (hole 20): else retries and reordering would
/// fill the log with duplicates and gaps. The tree judges again, as the last word.
DeskLeader::Verdict DeskLeader::judge(const Command& command) {
  if (command.session == 0) {
    if (ticketsApplied.has(command.sequence)) return Verdict::DROP;
    return ticketsHere.insert(command.sequence).second ? Verdict::PROPOSE : Verdict::DROP;
  }
  if (ahead(command.incarnation) && !MUTANT("kernel.command.ahead")) return Verdict::LATER;
  // Its end is on its way: it is answered sessionExpired where that is applied. If this node stops
  // leading before, the command is sent again to the next leader.
  if (clock.closing(command.session) && !MUTANT("M27")) return Verdict::DROP;
  auto* turn = turnOf(command.session, command.incarnation);
  if (turn == nullptr && MUTANT("M27")) return Verdict::PROPOSE;
  if (turn == nullptr) return Verdict::DROP;  // ended; its home will see it
  if (turn->incarnation < command.incarnation) return Verdict::LATER;
  bool past = turn->incarnation > command.incarnation;
  if (past && MUTANT("M28.moved")) return Verdict::PROPOSE;
  if (!past && command.sequence < turn->next && MUTANT("kernel.sequence.repeat")) return Verdict::PROPOSE;
  if (past || turn->next != command.sequence) {
    return Verdict::DROP;
  }
  turn->next++;
  return Verdict::PROPOSE;
}

void DeskLeader::admit(Command command) {
  switch (judge(command)) {
    case Verdict::PROPOSE:
      // A sign of life, like the touch that follows it and may be lost.
      clock.touch(command.session, timer.now());
      queue.push_back(kj::mv(command));
      break;
    case Verdict::LATER:
      if (early.size() < EARLY_MAX) early.push_back(kj::mv(command));
      break;
    case Verdict::DROP: break;
  }
}

void DeskLeader::admitEarly() {
  auto waiting = std::move(early);
  early.clear();
  for (auto& command : waiting) admit(kj::mv(command));
}

void DeskLeader::pump() {
  if (!opened || refusing) return;
  if (!again.empty()) {
    // In the order in which they were proposed, which is each session's order.
    std::sort(again.begin(), again.end(),
              [](const Command& a, const Command& b) { return a.token > b.token; });
    for (auto& command : again) queue.push_front(kj::mv(command));
    again.clear();
  }
  while (!queue.empty() && flyingCount < FLYING_MAX && flyingBytes < FLYING_BYTES_MAX) {
    auto command = kj::mv(queue.front());
    queue.pop_front();
    propose(kj::mv(command));
  }
}

void DeskLeader::propose(Command command) {
  command.token = ++lastProposal;
  flyingCount++;
  flyingBytes += command.body->bytes().size();
  host.propose(command.token, command.body->share(), command.home);
  flying.push_back({kj::mv(command), false});
}

/// The tree has not seen it, and it is what the tree waits for or later.
bool DeskLeader::stillNext(const Command& command) const {
  if (command.session == 0) return false;
  auto view = host.state().session(command.session);
  return view && view->incarnation == command.incarnation && view->sequence < command.sequence;
}

void DeskLeader::land(const polyquorum::Body::Reader& body, const state::Applied& applied) {
  auto matches = [&](const Flying& one) {
    auto& command = one.command;
    return !one.gone && command.sequence == body.getSequence() &&
           command.session == body.getSession() && command.incarnation == body.getIncarnation();
  };
  // Proposed in this order, so decided in this order: nearly always the first.
  auto at = std::find_if(flying.begin(), flying.end(), matches);
  if (at == flying.end()) return;
  at->gone = true;
  flyingCount--;
  flyingBytes -= at->command.body->bytes().size();
  if (applied.stale && stillNext(at->command)) {
    // An earlier command of its session was refused. The body in the log must not be stamped again.
    at->command.body = copyBody(at->command.body->bytes());
    again.push_back(kj::mv(at->command));
  } else if (at->command.session == 0) {
    ticketsHere.erase(at->command.sequence);
  }
  while (!flying.empty() && flying.front().gone) flying.pop_front();
}

void DeskLeader::applied(core::Index index, kj::Maybe<polyquorum::Body::Reader> maybeBody,
                         const state::Applied& applied) {
  KJ_IF_MAYBE (body, maybeBody) {
    if (body->isOperation()) {
      if (body->getSession() == 0 && body->getSequence() != 0) {
        ticketsApplied.add(body->getSequence());
      }
      if (!flying.empty()) land(*body, applied);
    }
  }
  if (!leads) return;
  for (auto& change : applied.sessions) {
    if (change.what == state::SessionChange::ENDED) {
      turns.erase(change.session);
      clock.remove(change.session);
    } else {
      clock.add(change.session, change.incarnation, change.timeoutMs, timer.now());
      armClock();
    }
  }
  if (!opened && index >= through) opened = true;
}

void DeskLeader::settle() {
  if (!opened) return;
  if (!early.empty()) admitEarly();
  if (flyingCount == 0) refusing = false;
  pump();
}

void DeskLeader::stateReplaced() {
  if (!leads) return;
  begin(through);
}

void DeskLeader::refused(core::Token token, core::Refused::Why why) {
  auto read = reads.find(token);
  if (read != reads.end()) {
    auto group = std::move(read->second);
    reads.erase(read);
    if (why == core::Refused::OVERLOADED) {
      for (auto& reading : group) this->read(reading.home, reading.barrier);
    }
    return;
  }
  if (flying.empty() || token < flying.front().command.token) return;
  auto place = token - flying.front().command.token;
  if (place >= flying.size() || flying[place].gone) return;
  auto& one = flying[place];
  KJ_ASSERT(one.command.token == token);
  one.gone = true;
  flyingCount--;
  flyingBytes -= one.command.body->bytes().size();
  if (why == core::Refused::OVERLOADED) {
    again.push_back(Command{one.command.body->share(), one.command.session,
                            one.command.incarnation, one.command.sequence, one.command.home,
                            token});
    refusing = true;
    retryAlarm.by(timer.now() + RETRY_AFTER);
  } else if (one.command.session == 0) {
    ticketsHere.erase(one.command.sequence);
  } else {
    turns.erase(one.command.session);  // asked anew of the state
  }
  while (!flying.empty() && flying.front().gone) flying.pop_front();
}

}  // namespace polyquorum::kernel
