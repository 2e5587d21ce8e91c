// SPDX-License-Identifier: Apache-2.0
// Stepping the cores; see seat.h.
#include "kernel/seat.h"
#include <kj/debug.h>
#include <algorithm>

namespace polyquorum::kernel {
namespace {

/// So often a core looks at its clock, however much there is to do.
constexpr std::size_t EVENTS_PER_STEP = 256;

void fill(Position::Builder out, core::Position at) {
  out.setStamp(at.stamp);
  out.setIndex(at.index);
}

template <typename Opened>
void fillCommon(Opened out, core::MemberId self, const OpenedNews& opened) {
  out.setSelf(self);
  auto members = out.initMembers(opened.members.size());
  for (unsigned i = 0; i < opened.members.size(); i++) {
    members[i].setId(opened.members[i].id);
    members[i].setRole(opened.members[i].role == core::Role::VOTER ? Role::VOTER : Role::LEARNER);
  }
  auto facts = out.initFacts(opened.facts.size());
  for (unsigned i = 0; i < opened.facts.size(); i++) {
    facts[i].setName(opened.facts[i].first);
    facts[i].setValue(opened.facts[i].second);
  }
  out.setSeed(opened.seed);
}

void fill(election::Evidence::Builder out, const core::Evidence& evidence) {
  out.setViewFence(evidence.viewFence);
  fill(out.initLast(), evidence.last);
  out.setCommitted(evidence.committed);
  out.setEligible(evidence.eligible);
}

void fill(election::Peer::Builder out, const SeatEvent& event) {
  out.setId(event.peer);
  out.setLink(event.link);
  out.setIncarnation(event.number);
}

template <typename Letter>
void fillLetter(Letter out, const Mail& mail) {
  out.setPeer(mail.peer);
  out.setLink(mail.link);
  out.setKind(mail.kind);
  auto numbers = out.initNumbers(mail.numbers.size());
  for (unsigned i = 0; i < mail.numbers.size(); i++) numbers.set(i, mail.numbers[i]);
}

/// About how many words an event takes.
std::size_t words(const SeatEvent& event) {
  return 12 + event.mail.numbers.size() + 5 * event.mail.entries.size();
}

std::size_t words(const std::deque<SeatEvent>& events, std::size_t count) {
  std::size_t sum = 32;
  for (std::size_t i = 0; i < count; i++) {
    sum += words(events[i]);
    if (events[i].opened != nullptr) {
      sum += 256 + 16 * (events[i].opened->members.size() + events[i].opened->log.size() +
                         events[i].opened->facts.size());
    }
  }
  return sum;
}

}  // namespace

core::Evidence read(election::Evidence::Reader evidence) {
  auto last = evidence.getLast();
  return {evidence.getViewFence(), {last.getStamp(), last.getIndex()}, evidence.getCommitted(),
          evidence.getEligible()};
}

template <typename Client, typename Fill>
auto Seat::stepWith(Client& client, core::Nanos now, Fill&& fill) {
  auto count = std::min(events.size(), EVENTS_PER_STEP);
  auto request = client.stepRequest(capnp::MessageSize{words(events, count), 0});
  request.setNow(now);
  auto list = request.initEvents(count);
  for (unsigned i = 0; i < count; i++) {
    fill(list[i], events.front());
    events.pop_front();
  }
  wakeAt = core::NEVER;
  return request.send();
}

// ------------------------------------------------------------------------------------- consensus

kj::Promise<ConsensusSeat::Response> ConsensusSeat::step(core::Nanos now) {
  return stepWith(client, now, [this](auto out, SeatEvent& event) { fill(out, event); });
}

void ConsensusSeat::fill(capnp::List<consensus::Head>::Builder out,
                         std::vector<MailEntry>& entries) {
  for (unsigned i = 0; i < entries.size(); i++) {
    auto& entry = entries[i];
    out[i].setIndex(entry.index);
    out[i].setStamp(entry.stamp);
    KJ_IF_MAYBE(body, entry.body) {
      out[i].setBytes((*body)->bytes().size());
      out[i].setBody(tickets.give(kj::mv(*body)));
    }
  }
}

void ConsensusSeat::fill(consensus::Event::Builder out, SeatEvent& event) {
  switch (event.kind) {
    case SeatEvent::OPENED: {
      auto opened = out.initOpened();
      fillCommon(opened, self, *event.opened);
      opened.setMayVote(event.opened->mayVote);
      kernel::fill(opened.initBase(), event.opened->base);
      auto log = opened.initLog(event.opened->log.size());
      for (unsigned i = 0; i < log.size(); i++) {
        auto& run = event.opened->log[i];
        log[i].setFirst(run.first);
        log[i].setCount(run.count);
        log[i].setStamp(run.stamp);
      }
      break;
    }
    case SeatEvent::PEER_UP: kernel::fill(out.initPeerUp(), event); break;
    case SeatEvent::PEER_DOWN: kernel::fill(out.initPeerDown(), event); break;
    case SeatEvent::RECEIVED: {
      auto letter = out.initReceived();
      fillLetter(letter, event.mail);
      fill(letter.initEntries(event.mail.entries.size()), event.mail.entries);
      break;
    }
    case SeatEvent::NOMINATED: {
      auto nominated = out.initNominated();
      nominated.setLeader(event.peer);
      nominated.setRound(event.number);
      break;
    }
    case SeatEvent::PROPOSAL: {
      auto proposal = out.initProposal();
      proposal.setToken(event.number);
      proposal.setHome(event.peer);
      KJ_IF_MAYBE(body, event.body) {
        proposal.setBytes((*body)->bytes().size());
        proposal.setBody(tickets.give(kj::mv(*body)));
      }
      break;
    }
    case SeatEvent::READ: out.setRead(event.number); break;
    case SeatEvent::FETCHED: {
      auto fetched = out.initFetched();
      fetched.setToken(event.number);
      fetched.setFirst(event.index);
      fill(fetched.initEntries(event.mail.entries.size()), event.mail.entries);
      break;
    }
    case SeatEvent::SNAPSHOT_ARRIVED:
    case SeatEvent::SNAPSHOT_SENT: {
      auto image = event.kind == SeatEvent::SNAPSHOT_ARRIVED ? out.initSnapshotArrived()
                                                             : out.initSnapshotSent();
      image.setPeer(event.peer);
      image.setLink(event.link);
      kernel::fill(image.initAt(), event.at);
      image.setWhole(event.whole);
      break;
    }
    case SeatEvent::TRIMMED: out.setTrimmed(event.index); break;
    case SeatEvent::HAND_OVER: out.setHandOver(event.peer); break;
    case SeatEvent::EVIDENCE:
    case SeatEvent::FEEDBACK: KJ_FAIL_ASSERT("an event of elections was told to consensus");
  }
}

std::vector<MailEntry> ConsensusSeat::entries(capnp::List<consensus::Head>::Reader heads) {
  std::vector<MailEntry> entries;
  entries.reserve(heads.size());
  for (auto head : heads) {
    entries.push_back({head.getIndex(), head.getStamp(), tickets.find(head.getBody())});
  }
  return entries;
}

Mail ConsensusSeat::letter(consensus::Letter::Reader letter) {
  return {letter.getPeer(), letter.getLink(), letter.getKind(), numbersOf(letter.getNumbers()),
          entries(letter.getEntries())};
}

void ConsensusSeat::done(consensus::Effects::Reader effects) {
  for (auto ticket : effects.getReleased()) tickets.release(ticket);
  wakeAt = effects.getWakeAt();
}

// -------------------------------------------------------------------------------------- election

kj::Promise<ElectionSeat::Response> ElectionSeat::step(core::Nanos now) {
  return stepWith(client, now, [this](auto out, SeatEvent& event) { fill(out, event); });
}

void ElectionSeat::fill(election::Event::Builder out, SeatEvent& event) {
  switch (event.kind) {
    case SeatEvent::OPENED: {
      auto opened = out.initOpened();
      fillCommon(opened, self, *event.opened);
      kernel::fill(opened.initEvidence(), event.opened->evidence);
      break;
    }
    case SeatEvent::PEER_UP: kernel::fill(out.initPeerUp(), event); break;
    case SeatEvent::PEER_DOWN: kernel::fill(out.initPeerDown(), event); break;
    case SeatEvent::RECEIVED: fillLetter(out.initReceived(), event.mail); break;
    case SeatEvent::EVIDENCE: kernel::fill(out.initEvidence(), *event.evidence); break;
    case SeatEvent::FEEDBACK: {
      auto feedback = out.initFeedback();
      feedback.setWhat(static_cast<election::Feedback::What>(event.what));
      feedback.setPeer(event.peer);
      feedback.setFence(event.number);
      break;
    }
    default: KJ_FAIL_ASSERT("an event of consensus was told to the election");
  }
}

}  // namespace polyquorum::kernel
