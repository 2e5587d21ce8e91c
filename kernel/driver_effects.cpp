// SPDX-License-Identifier: Apache-2.0
// Performing what cores ask for: writes, letters and claims, nominations and feedback, reads of the log.
#include <kj/debug.h>
#include <algorithm>
#include "kernel/driver.h"
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

constexpr kj::Duration HOPELESS_PAUSE = 200 * kj::MILLISECONDS;
constexpr core::Token OWN_TOKENS = core::Token{1} << 63;  // of the driver's own proposals

core::Position position(Position::Reader at) { return {at.getStamp(), at.getIndex()}; }

/// Facts on disk carry their owner's name in front.
std::vector<core::Fact> owned(const char* owner, capnp::List<Fact>::Reader facts) {
  std::vector<core::Fact> out;
  for (auto fact : facts) {
    out.emplace_back(std::string(owner) + "." + fact.getName().cStr(), fact.getValue());
  }
  return out;
}

}  // namespace

// ------------------------------------------------------------------------------------- consensus

void Driver::perform(consensus::Effects::Reader effects) {
  auto& seat = *KJ_ASSERT_NONNULL(consensusSeat);
  auto segment = chain.size() - 1;
  for (auto note : effects.getNotes()) log(sdk::Level::DEBUG, note);
  if (effects.hasPersist()) persist(effects.getPersist());
  if (images.offered() && !effects.getKeepsImage() && !seat.waits(SeatEvent::SNAPSHOT_ARRIVED)) {
    if (!MUTANT("kernel.image.claim")) images.letGo();
  }
  for (auto letter : effects.getNow()) send(LANE_CONSENSUS, segment, seat.letter(letter));

  Claims claims{segment, LANE_CONSENSUS};
  claims.letters.reserve(effects.getAfterPersist().size());
  for (auto letter : effects.getAfterPersist()) claims.letters.push_back(seat.letter(letter));
  if (effects.hasEvidence()) claims.evidence = kernel::read(effects.getEvidence());
  queue.hold(kj::mv(claims));

  for (auto feedback : effects.getFeedback()) {
    this->feedback(static_cast<core::Feedback::What>(feedback.getWhat()), feedback.getPeer(),
                   feedback.getFence());
  }
  for (auto wanted : effects.getFetch()) {
    fetch(wanted.getToken(), wanted.getFirst(), wanted.getLast(), wanted.getBytesMax());
  }
  for (auto wanted : effects.getSnapshots()) {
    images.send(wanted.getPeer(), wanted.getLink(), wanted.getAtLeast());
  }
  if (effects.getCommitted() != 0) replica.commit(effects.getCommitted());
  if (effects.hasStanding()) {
    auto next = effects.getStanding();
    stand({static_cast<core::Standing::Phase>(next.getPhase()), next.getLeader(), next.getFence()});
  }
  for (auto readable : effects.getReadable()) desk->readable(readable.getToken(), readable.getIndex());
  for (auto refused : effects.getRefused()) {
    if (refused.getToken() & OWN_TOKENS) {
      sealToken = 0;
    } else {
      desk->refused(refused.getToken(), static_cast<core::Refused::Why>(refused.getWhy()));
    }
  }
  seat.done(effects);
  // A leader that stepped and still leads has its quorum: the core's own clock sees to that.
  if (standing.phase == core::Standing::LEADING) heard();
}

void Driver::persist(consensus::Batch::Reader batch) {
  auto& seat = *KJ_ASSERT_NONNULL(consensusSeat);
  PendingWrite write;
  write.segment = chain.size() - 1;
  if (batch.hasBase() && batch.getBase().getIndex() != 0) {
    auto base = position(batch.getBase());
    KJ_ASSERT(images.offered(base.index), "a core adopted an image that it had let go", base.index);
    write.base = base;
    write.trim = base.index + 1;
    replica.hold();  // until the image is installed
    replica.log.restart(base.index);
    firstKept = base.index + 1;
  }
  write.truncateFrom = batch.getTruncateFrom();
  if (write.truncateFrom != 0) {
    KJ_ASSERT(write.truncateFrom > replica.committedIndex(), "a core cut what is decided");
    replica.log.truncateFrom(write.truncateFrom);
  }
  write.entries = seat.entries(batch.getEntries());
  for (auto& entry : write.entries) {
    auto copy = entry.clone();
    if (MUTANT("M5") && standing.phase == core::Standing::RECOVERING) copy.body = nullptr;
    replica.log.put(copy.index, copy.stamp, kj::mv(copy.body));
  }
  write.facts = owned("consensus", batch.getFacts());
  bool adopts = write.base.has_value();
  queue.add(kj::mv(write));
  if (adopts) {
    Claims install{chain.size() - 1, LANE_CONSENSUS};
    install.then = kj::Function<void()>([this]() { tasks->add(installImage(false)); });
    queue.hold(kj::mv(install));
    flush();  // before another image can be staged
  }
}

void Driver::send(Lane lane, std::uint32_t segment, Mail&& mail) {
  if (segment != chain.size() - 1) return;  // of a core that is gone
  if (mail.peer != self) return postOffice.send(lane, segment, mail);
  SeatEvent event{SeatEvent::RECEIVED};
  event.mail = kj::mv(mail);
  if (lane == LANE_CONSENSUS) {
    tell(consensusSeat, kj::mv(event));
  } else {
    tell(electionSeat, kj::mv(event));
  }
}

void Driver::release(Claims&& claims) {
  for (auto& mail : claims.letters) send(claims.lane, claims.segment, kj::mv(mail));
  if (claims.evidence && claims.segment == chain.size() - 1) {
    evidence = *claims.evidence;
    if (electionOpened) {
      SeatEvent event{SeatEvent::EVIDENCE};
      event.evidence = evidence;
      tell(electionSeat, kj::mv(event));
    } else if (electionSeat != nullptr) {
      openElection();
    }
  }
  KJ_IF_MAYBE(then, claims.then) (*then)();
  schedule();
}

void Driver::fetch(core::Token token, core::Index first, core::Index last, std::uint32_t bytesMax) {
  auto answer = [this, token](core::Index kept, std::vector<MailEntry>&& entries) {
    SeatEvent event{SeatEvent::FETCHED};
    event.number = token;
    event.index = kept;
    event.mail.entries = kj::mv(entries);
    tell(consensusSeat, kj::mv(event));
  };
  if (replica.log.find(first) != nullptr) {
    std::vector<MailEntry> entries;
    std::size_t bytes = 0;
    for (auto index = first; index <= last; index++) {
      auto* slot = replica.log.find(index);
      if (slot == nullptr) break;
      MailEntry entry{index, slot->stamp, nullptr};
      KJ_IF_MAYBE(body, slot->body) {
        bytes += (*body)->bytes().size();
        if (bytes > bytesMax && !entries.empty()) break;
        entry.body = const_cast<SharedBody&>(**body).share();
      }
      entries.push_back(kj::mv(entry));
    }
    return answer(firstKept, kj::mv(entries));
  }
  flush();  // storage sees what was written before
  auto request = storage.readRequest();
  request.setSegment(chain.size() - 1);
  request.setFirst(first);
  request.setLast(last);
  request.setBytesMax(bytesMax);
  tasks->add(request.send().then([this, answer, ofLife = life](auto response) {
    if (ofLife != life) return;
    std::vector<MailEntry> entries;
    for (auto entry : response.getEntries()) {
      MailEntry copy{entry.getIndex(), entry.getStamp(), nullptr};
      if (entry.getBody().size() > 0) copy.body = copyBody(entry.getBody());
      entries.push_back(kj::mv(copy));
    }
    for (auto range : response.getDamaged()) {
      log(sdk::Level::ERROR, kj::str("log.damaged first=", range.getFirst(), " last=", range.getLast()));
    }
    answer(std::max(firstKept, response.getFirst()), kj::mv(entries));
  }));
}

void Driver::stand(const core::Standing& next) {
  bool served = standing.phase >= core::Standing::FOLLOWING;
  bool serves = next.phase >= core::Standing::FOLLOWING;
  if (served && !serves) leaderlessSince = now();
  if (!served && serves) electionMs = (now() - leaderlessSince) / 1'000'000;
  if (next.phase != standing.phase || next.leader != standing.leader) {
    static const char* const NAMES[] = {"idle", "claiming", "recovering", "following", "leading"};
    log(sdk::Level::INFO, kj::str("standing.changed phase=", NAMES[next.phase], " leader=", next.leader,
                                  " fence=", next.fence, " applied=", replica.appliedIndex(),
                                  " committed=", replica.committedIndex()));
  }
  standing = next;
  if (settings.witness != nullptr) settings.witness->standing(chain.size() - 1, standing);
  sealToken = 0;
  if (standing.phase != core::Standing::LEADING) {
    KJ_IF_MAYBE(seat, consensusSeat) (*seat)->withdraw();
    KJ_IF_MAYBE(fulfiller, handedOver) (*fulfiller)->fulfill();
  }
  desk->standing(standing, replica.log.last());
  if (serves) heard();
}

void Driver::heard() {
  contactAt = now();
  desk->contact();
}

// -------------------------------------------------------------------------------------- election

void Driver::perform(election::Effects::Reader effects) {
  auto& seat = *KJ_ASSERT_NONNULL(electionSeat);
  auto segment = chain.size() - 1;
  auto mail = [](election::Letter::Reader letter) {
    return Mail{letter.getPeer(), letter.getLink(), letter.getKind(), numbersOf(letter.getNumbers()),
                {}};
  };
  for (auto note : effects.getNotes()) log(sdk::Level::DEBUG, note);
  if (effects.getPersist().size() > 0) {
    PendingWrite write;
    write.segment = segment;
    write.facts = owned("election", effects.getPersist());
    queue.add(kj::mv(write));
  }
  for (auto letter : effects.getNow()) send(LANE_ELECTION, segment, mail(letter));
  Claims claims{segment, LANE_ELECTION};
  for (auto letter : effects.getAfterPersist()) claims.letters.push_back(mail(letter));
  queue.hold(kj::mv(claims));
  seat.done(effects);
  if (effects.hasNominate()) {
    nominate(effects.getNominate().getLeader(), effects.getNominate().getRound());
  }
}

void Driver::nominate(core::MemberId leader, std::uint64_t round) {
  bool possible = leader == 0 || (chain.voter(leader) &&
                                  (leader != self || mayVote()));
  if (possible) {
    SeatEvent event{SeatEvent::NOMINATED, leader};
    event.number = round;
    return tell(consensusSeat, kj::mv(event));
  }
  // Never silence: an impossible nomination is answered after a pause.
  tasks->add(environment.timer().afterDelay(HOPELESS_PAUSE).then([this, leader, ofLife = life]() {
    if (ofLife != life) return;
    feedback(leader == self ? core::Feedback::QUORUM_LOST : core::Feedback::LOST, leader, 0);
  }));
}

void Driver::feedback(core::Feedback::What what, core::MemberId peer, core::Fence fence) {
  if (what == core::Feedback::LEADER_ALIVE || what == core::Feedback::ESTABLISHED) heard();
  if (!electionOpened) return;
  SeatEvent event{SeatEvent::FEEDBACK, peer};
  event.what = what;
  event.number = fence;
  tell(electionSeat, kj::mv(event));
}

}  // namespace polyquorum::kernel
