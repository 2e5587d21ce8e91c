// SPDX-License-Identifier: Apache-2.0
// The life of a segment: recovery, opening, sealing, and how a node that missed a seal gets to the next
// segment. See "Segments" in docs/architecture.md.
#include <kj/debug.h>
#include <algorithm>
#include "kernel/driver.h"
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

constexpr kj::Duration TIP_INTERVAL = 1 * kj::SECONDS;
constexpr core::Nanos ASK_INTERVAL = 200'000'000;
constexpr core::Index CAUGHT_UP = 5000;  // so near to the end a healed member may vote again
constexpr core::Index RETRY_ENTRIES = 1000;  // until an image that failed is tried again
constexpr core::Nanos REMIND_INTERVAL = 60'000'000'000;
constexpr core::Token SEAL_TOKEN = core::Token{1} << 63;

}  // namespace

// -------------------------------------------------------------------------------------- recovery

kj::Promise<void> Driver::recover(storage::Storage::OpenResults::Reader opened, Segment::Reader seed) {
  if (settings.witness != nullptr) settings.witness->booted(opened);
  chain.extend(opened.getChain());
  if (chain.empty()) {
    chain.append(seed);
    PendingWrite write;
    write.next = copySegment(seed);
    queue.add(kj::mv(write));
  }
  auto seeded = kj::Promise<void>(kj::READY_NOW);
  KJ_IF_MAYBE(durable, queue.flush()) seeded = kj::mv(*durable);
  for (auto log : opened.getLogs()) {
    core::Index damagedTo = 0;
    for (auto range : log.getDamaged()) {
      damagedTo = std::max(damagedTo, range.getLast());
      this->log(sdk::Level::ERROR, kj::str("log.damaged segment=", log.getSegment(), " first=",
                                           range.getFirst(), " last=", range.getLast()));
    }
    if (log.getSegment() != chain.size() - 1) continue;
    for (auto run : log.getRuns()) {
      foundLog.push_back({run.getFirst(), run.getCount(), run.getStamp()});
    }
    auto end = foundLog.empty() ? 0 : foundLog.back().first + foundLog.back().count - 1;
    if (damagedTo > end) foundLog.push_back({damagedTo + 1, 0, 0});  // the log went on up to here
    for (auto fact : log.getFacts()) foundFacts.emplace_back(fact.getName().cStr(), fact.getValue());
  }
  firstKept = foundLog.empty() ? 1 : foundLog.front().first;
  if (opened.hasSnapshot()) {
    seeded = images.load().then([this]() {
      if (settings.witness != nullptr) settings.witness->installed(replica.state());
    });
  } else {
    replica.state().enter(chain.at(0));
  }
  return seeded.then([this]() { return replaySealed(chain.holding(replica.appliedIndex() + 1) + 1); })
      .then([this]() {
        auto last = replica.appliedIndex();
        for (auto& run : foundLog) {
          if (run.count > 0) last = std::max(last, run.first + run.count - 1);
        }
        replica.log.restart(last);
        // Not all servers take their images at the same time.
        auto every = settings.snapshots.every;
        imageWanted = replica.appliedIndex() + every / 2 + environment.random() % (every / 2 + 1);
      });
}

kj::Promise<void> Driver::replaySealed(std::uint32_t next) {
  if (next >= chain.size()) return kj::READY_NOW;
  auto base = chain.at(next).getBase();
  if (replica.committedIndex() < base) replica.commit(base);
  while (replica.apply(4096)) {}
  KJ_IF_MAYBE(read, replica.refill()) {
    return read->then([this, next]() { return replaySealed(next); });
  }
  KJ_ASSERT(replica.appliedIndex() == base, "a sealed segment is not whole on this disk", base);
  replica.state().enter(chain.at(next));
  return replaySealed(next + 1);
}

kj::Promise<void> Driver::start(Desk& theDesk, Member::Reader member,
                                capnp::List<Member>::Reader members) {
  desk = &theDesk;
  return postOffice.start(settings.identity.cluster, member, members)
      .then([this]() { return openSegment(kj::mv(foundLog), kj::mv(foundFacts)); })
      .then([this]() {
        tasks->add(tellTips());
        tasks->add(watchRoom());
        schedule();
      });
}

// ------------------------------------------------------------------------------ opening, closing

kj::Promise<void> Driver::openSegment(std::vector<core::Run> log, std::vector<core::Fact> facts) {
  auto segment = chain.current();
  auto ofLife = ++life;
  // A durable segment names this very life. Not "this life or a later one": clocks of lives go back.
  if (settings.identity.lost != 0 && mayVote()) {
    settings.identity.lost = 0;
    KJ_IF_MAYBE(healed, settings.healed) (*healed)();
  }
  return cores.consensus(segment)
      .then([this, segment, ofLife, log = kj::mv(log),
             facts = kj::mv(facts)](consensus::Consensus::Client consensus) mutable {
        return cores.election(segment).then(
            [this, ofLife, log = kj::mv(log), facts = kj::mv(facts),
             consensus = kj::mv(consensus)](election::Election::Client election) mutable {
              KJ_ASSERT(ofLife == life, "two segments were opened at once");
              seatCores(kj::mv(log), kj::mv(facts), kj::mv(consensus), kj::mv(election));
            });
      });
}

/// Seats both cores at once and opens consensus; the election follows when consensus has given
/// evidence, see release().
void Driver::seatCores(std::vector<core::Run> log, std::vector<core::Fact> facts,
                       consensus::Consensus::Client consensus, election::Election::Client election) {
  consensusSeat = kj::heap<ConsensusSeat>(self, kj::mv(consensus));
  electionSeat = kj::heap<ElectionSeat>(self, kj::mv(election));
  electionOpened = false;
  electionFacts.clear();
  auto segment = chain.current();
  SeatEvent event{SeatEvent::OPENED};
  event.opened = std::make_unique<OpenedNews>();
  auto& opened = *event.opened;
  opened.mayVote = mayVote();
  opened.members = chain.members();
  auto at = replica.at();
  opened.base = at.index > segment.getBase() ? at : core::Position{0, segment.getBase()};
  opened.log = kj::mv(log);
  for (auto& [name, value] : facts) {
    if (name.starts_with("consensus.")) opened.facts.emplace_back(name.substr(10), value);
    if (name.starts_with("election.")) electionFacts.emplace_back(name.substr(9), value);
  }
  opened.seed = environment.random();
  this->log(sdk::Level::INFO, kj::str("segment.opened id=", segment.getId(), " base=",
                                      segment.getBase(), " mayVote=", opened.mayVote));
  tell(consensusSeat, kj::mv(event));
  for (auto& [peer, link] : postOffice.links()) {
    tell(consensusSeat, SeatEvent{SeatEvent::PEER_UP, peer, link.link, link.incarnation});
  }
  tellEarly(LANE_CONSENSUS);
  for (auto& [peer, tip] : tips) {
    if (tip.segment >= chain.size()) ask(peer, 0);  // this was told while no core was there
  }
  schedule();
}

void Driver::openElection() {
  electionOpened = true;
  SeatEvent event{SeatEvent::OPENED};
  event.opened = std::make_unique<OpenedNews>();
  event.opened->members = chain.members();
  event.opened->facts = kj::mv(electionFacts);
  event.opened->evidence = evidence;
  event.opened->seed = environment.random();
  tell(electionSeat, kj::mv(event));
  for (auto& [peer, link] : postOffice.links()) {
    tell(electionSeat, SeatEvent{SeatEvent::PEER_UP, peer, link.link, link.incarnation});
  }
  tellEarly(LANE_ELECTION);
}

void Driver::tellEarly(Lane lane) {
  auto segment = chain.size() - 1;
  for (auto& mail : early.take(lane, segment)) {
    if (postOffice.up(mail.peer, mail.link)) letter(lane, {segment, kj::mv(mail)});
  }
}

void Driver::closeCores() {
  life++;
  images.coresClosed();
  KJ_IF_MAYBE(seat, consensusSeat) retired.push_back(kj::mv(*seat));
  KJ_IF_MAYBE(seat, electionSeat) retired.push_back(kj::mv(*seat));
  consensusSeat = nullptr;
  electionSeat = nullptr;
  electionOpened = false;
  stand({});
}

void Driver::sealed(Segment::Reader next) {
  log(sdk::Level::INFO, kj::str("segment.sealed id=", chain.size() - 1, " base=", next.getBase()));
  closeCores();
  replica.log.truncateFrom(next.getBase() + 1);
  PendingWrite write;
  write.segment = chain.size() - 1;
  write.truncateFrom = next.getBase() + 1;
  write.next = copySegment(next);
  auto opened = write.next;
  queue.add(kj::mv(write));
  Claims claims{chain.size() - 1};
  claims.then = kj::Function<void()>([this, opened]() {
    chain.append(opened->getRoot<Segment>().asReader());
    enterSegment();
  });
  queue.hold(kj::mv(claims));
}

/// The chain's last segment begins here and now, with an empty log.
void Driver::enterSegment() {
  desk->entered(replica.state().enter(chain.current()));
  desk->settle();
  replica.resume();
  tips.clear();
  tasks->add(openSegment({}, {}).then([this]() {
    for (auto& [peer, link] : postOffice.links()) sendTip(peer, link.link);
  }));
}

// ------------------------------------------------------------------------------ tips and laggards

void Driver::sendTip(core::MemberId to, core::Link link) {
  capnp::MallocMessageBuilder message(64);
  auto tip = message.initRoot<wire::Chain>().initTip();
  tip.setSegment(chain.size() - 1);
  tip.setApplied(replica.appliedIndex());
  tip.setLost(settings.identity.lost);
  tip.setIncarnation(settings.identity.incarnation);
  tip.setFull(room.full());
  postOffice.send(LANE_CHAIN, to, link, flatten(message));
}

void Driver::ask(core::MemberId peer, core::Link link) {
  auto& last = asked[peer];
  if (last != 0 && now() - last < ASK_INTERVAL) return;
  last = now();
  capnp::MallocMessageBuilder message(64);
  auto tip = message.initRoot<wire::Chain>().initAsk();
  tip.setSegment(chain.size() - 1);
  tip.setApplied(replica.appliedIndex());
  postOffice.send(LANE_CHAIN, peer, link, flatten(message));
  schedule();
}

kj::Promise<void> Driver::tellTips() {
  return environment.timer().afterDelay(TIP_INTERVAL).then([this]() {
    for (auto& [peer, link] : postOffice.links()) sendTip(peer, link.link);
    heal();
    tellIfForgotten();
    schedule();
    return tellTips();
  });
}

/// With fewer voters than a quorum that remember their promises no leader would be safe. Only a person
/// can decide to begin anew. (promises.md, P1.4 and P1.6)
void Driver::tellIfForgotten() {
  using Standing = core::Standing;
  if (standing.phase == Standing::FOLLOWING || standing.phase == Standing::LEADING) return;
  if (forgottenToldAt != 0 && now() - forgottenToldAt < REMIND_INTERVAL) return;
  std::size_t voters = 0, forgot = 0;
  for (auto& member : chain.members()) {
    if (member.role != core::Role::VOTER) continue;
    voters++;
    auto tip = tips.find(member.id);
    if (tip != tips.end() && tip->second.segment + 1 > chain.size()) return;  // this node is behind
    auto lost = member.id == self ? settings.identity.lost : tip == tips.end() ? 0 : tip->second.lost;
    auto life = member.id == self ? settings.identity.incarnation
                                  : tip == tips.end() ? 0 : tip->second.incarnation;
    if (!chain.mayVote(member.id, lost, life)) forgot++;
  }
  if (voters - forgot > voters / 2) return;
  forgottenToldAt = now();
  log(sdk::Level::ERROR,
      kj::str("quorum.forgot voters=", voters, " forgot=", forgot,
              ": so many lost their log and promises that "
              "no leader is safe. Put back a data directory that was lost; or, to begin with an "
              "empty tree, "
              "stop all servers, delete their data directories and start them with --bootstrap"));
}

void Driver::chainLetter(core::MemberId from, core::Link link, wire::Chain::Reader letter) {
  auto current = chain.size() - 1;
  switch (letter.which()) {
    case wire::Chain::TIP: {
      auto tip = letter.getTip();
      auto applied = replica.appliedIndex();
      tips[from] = {tip.getSegment(), applied - std::min(applied, tip.getApplied()), tip.getLost(),
                    tip.getIncarnation(), tip.getFull()};
      if (tip.getSegment() > current && !closed()) ask(from, link);
      break;
    }
    case wire::Chain::ASK:
      if (letter.getAsk().getSegment() < current && !images.sendingTo(from)) {
        chainImages.insert(from);
        images.send(from, link, chain.current().getBase());
      }
      break;
  }
}

/// A leader names the new life of a member that lost its promises, once it has caught up: the next
/// segment lets it vote again.
void Driver::heal() {
  if (standing.phase != core::Standing::LEADING || sealToken != 0 || replica.hungry()) return;
  for (auto& [peer, tip] : tips) {
    if (tip.lost == 0 || tip.segment != chain.size() - 1 || !chain.voter(peer)) continue;
    if (chain.mayVote(peer, tip.lost, tip.incarnation)) continue;
    if (tip.lag > CAUGHT_UP) continue;
    log(sdk::Level::INFO, kj::str("seal.proposed heals=", peer, " incarnation=", tip.incarnation));
    auto next = chain.healed(peer, tip.incarnation, 0);
    sealToken = SEAL_TOKEN | ++sealCount;
    return propose(sealToken, makeSeal(next->getRoot<Segment>().asReader()), self);
  }
}

// ---------------------------------------------------------------------------------------- images

kj::Promise<storage::Sink::Client> Driver::image(core::MemberId from, core::Link link,
                                                 Snapshot::Reader header) {
  return images.receive(from, link, header);
}

void Driver::adoptOwn(core::Position at, std::uint32_t segment) {
  auto every = settings.snapshots.every;
  PendingWrite write;
  write.segment = segment;
  write.base = at;
  // Laggards are served from the log for as long as one interval between images.
  write.trim = at.index > every ? at.index - every + 1 : 0;
  auto trim = write.trim;
  queue.add(kj::mv(write));
  Claims claims{segment};
  claims.then = kj::Function<void()>([this, at, trim]() {
    log(sdk::Level::INFO, kj::str("snapshot.taken index=", at.index));
    images.nowInUse(at.index);
    if (trim <= firstKept) return;
    firstKept = trim;
    SeatEvent event{SeatEvent::TRIMMED};
    event.index = trim;
    tell(consensusSeat, kj::mv(event));
  });
  queue.hold(kj::mv(claims));
  schedule();
}

void Driver::ownFailed(const kj::Exception& why) {
  log(sdk::Level::WARNING, kj::str("snapshot.failed why=\"", why.getDescription(), "\""));
  imageWanted = replica.appliedIndex() + std::min(settings.snapshots.every, RETRY_ENTRIES);
}

void Driver::imageArrived(core::MemberId peer, core::Link link, Snapshot::Reader header) {
  core::Position at{header.getAt().getStamp(), header.getAt().getIndex()};
  auto theirs = header.getChain();
  // One write names the next segment already; a second one would open it twice. Who lags then asks again.
  if (closed()) return images.letGo();
  if (theirs.size() <= chain.size()) {
    if (!images.offered(at.index)) return;  // the cores that wanted it are gone
    SeatEvent event{SeatEvent::SNAPSHOT_ARRIVED, peer, link};
    event.at = at;
    return tell(consensusSeat, kj::mv(event));
  }
  // From a later segment: this node missed a seal. Nothing of the old segment is given up before the
  // write that names the next one is durable.
  log(sdk::Level::INFO, kj::str("segment.missed id=", chain.size() - 1, " image=", at.index));
  closeCores();
  replica.hold();
  for (auto id = chain.size(); id < theirs.size(); id++) {
    PendingWrite write;
    write.segment = id - 1;
    if (id == chain.size()) {
      write.base = at;
      write.trim = at.index + 1;
    }
    write.next = copySegment(theirs[id]);
    queue.add(kj::mv(write));
  }
  firstKept = at.index + 1;
  Claims claims{chain.size() - 1};
  claims.then = kj::Function<void()>([this]() { tasks->add(installImage(true)); });
  queue.hold(kj::mv(claims));
  flush();  // before another image can be staged
  schedule();
}

kj::Promise<void> Driver::installImage(bool newSegment) {
  return images.load().then([this, newSegment]() {
    if (settings.witness != nullptr) settings.witness->installed(replica.state());
    log(sdk::Level::INFO, kj::str("snapshot.installed index=", replica.appliedIndex()));
    // What an earlier segment left above is void.
    if (newSegment && !MUTANT("kernel.void.image")) {
      replica.log.truncateFrom(replica.appliedIndex() + 1);
    }
    replica.resume();
    desk->stateReplaced();
    schedule();
    if (!newSegment) return kj::Promise<void>(kj::READY_NOW);
    replica.log.restart(replica.appliedIndex());
    tips.clear();
    return openSegment({}, {});
  });
}

void Driver::imageSent(core::MemberId peer, core::Link link, core::Position at, bool whole) {
  if (chainImages.erase(peer) > 0) return;
  SeatEvent event{SeatEvent::SNAPSHOT_SENT, peer, link};
  event.at = at;
  event.whole = whole;
  tell(consensusSeat, kj::mv(event));
}

// ------------------------------------------------------------------------------------ handing over

kj::Promise<void> Driver::handOver() {
  if (standing.phase != core::Standing::LEADING || chain.members().size() == 1) return kj::READY_NOW;
  tell(consensusSeat, SeatEvent{SeatEvent::HAND_OVER});
  auto given = kj::newPromiseAndFulfiller<void>();
  handedOver = kj::mv(given.fulfiller);
  return given.promise.exclusiveJoin(environment.timer().afterDelay(1 * kj::SECONDS));
}

}  // namespace polyquorum::kernel
