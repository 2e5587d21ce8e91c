// SPDX-License-Identifier: Apache-2.0
// The driver's turn: who is stepped when, what leaves when. What effects mean is in driver_effects.cpp,
// the life of segments in driver_segments.cpp.
#include "kernel/driver.h"
#include <kj/debug.h>
#include <algorithm>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

constexpr unsigned STEPS_PER_TURN = 16;        // then back to the loop: sockets are never starved
constexpr std::size_t APPLIED_PER_TURN = 4096;
constexpr std::size_t TAIL_BYTES = 32 << 20;   // of the log kept in memory for laggards
constexpr auto ROOM_INTERVAL = 1 * kj::SECONDS, ROOM_INTERVAL_NEAR = 100 * kj::MILLISECONDS;
// What the state takes beside paths and data, measured (bench/compare): of a node, of a session.
constexpr std::uint64_t NODE_BYTES = 160, SESSION_BYTES = 400;

}  // namespace

Driver::Driver(DriverSettings given, storage::Storage::Client storage,
               transport::Transport::Client transport, CoreMaker& cores,
               sdk::Environment& environment)
    : settings(kj::mv(given)), self(settings.identity.server), storage(storage), cores(cores),
      environment(environment), postOffice(self, kj::mv(transport), *this),
      queue(storage, [this](Claims&& claims) { release(kj::mv(claims)); }, settings.witness),
      replica(storage, chain, *this), images(storage, postOffice, replica, chain, *this, environment),
      room(settings.memoryMax), contactAt(now()), leaderlessSince(now()) {
  tasks->add(images.failed());
}

core::Nanos Driver::now() const {
  return (environment.timer().now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS;
}

void Driver::schedule() {
  if (stopped) return;
  if (turning) {
    again = true;
  } else {
    turnsEnd.last();
  }
}

void Driver::turn() {
  turning = true;
  again = false;
  retired.clear();
  step(STEPS_PER_TURN);
}

/// One core after the other until neither has anything to do, or so many times; then the turn ends.
void Driver::step(unsigned left) {
  if (left > 0) {
    auto time = now();
    KJ_IF_MAYBE(seat, electionSeat) {
      if ((*seat)->due(time)) return await((*seat)->step(time), left);
    }
    KJ_IF_MAYBE(seat, consensusSeat) {
      if ((*seat)->due(time)) return await((*seat)->step(time), left);
    }
  } else {
    again = true;
  }
  turning = false;
  finishTurn();
}

template <typename Response>
void Driver::await(kj::Promise<Response> stepped, unsigned left) {
  tasks->add(stepped.then([this, left, ofLife = life](Response response) {
    if (stopped) return;
    if (ofLife == life) perform(response.getEffects());
    if (!stopped) step(left - 1);
  }));
}

void Driver::flush() {
  KJ_IF_MAYBE(durable, queue.flush()) {
    tasks->add(durable->then([this]() { schedule(); }));
  }
  if (!postOffice.idle()) tasks->add(postOffice.flush());
}

void Driver::finishTurn() {
  flush();  // the disk and the network work while entries are applied
  bool any = replica.apply(APPLIED_PER_TURN);
  if (any) {
    replica.log.shrink(TAIL_BYTES, replica.appliedIndex() + 1);
    desk->settle();
    takeImageIfDue();
  }
  KJ_IF_MAYBE(read, replica.refill()) {
    tasks->add(read->then([this]() { schedule(); }));
  }
  images.takeIfWished();
  flush();
  arm();
  if (again || replica.hungry()) schedule();
}

void Driver::takeImageIfDue() {
  if (replica.appliedIndex() < imageWanted || !images.mayTake()) return;
  imageWanted = replica.appliedIndex() + settings.snapshots.every;
  images.take();
}

void Driver::arm() {
  auto wake = core::NEVER;
  KJ_IF_MAYBE(seat, electionSeat) wake = std::min(wake, (*seat)->wake());
  KJ_IF_MAYBE(seat, consensusSeat) wake = std::min(wake, (*seat)->wake());
  if (wake >= armedFor) return;  // an earlier alarm only costs one look
  armedFor = wake;
  alarm = environment.timer()
              .atTime(kj::origin<kj::TimePoint>() + wake * kj::NANOSECONDS)
              .then([this]() {
                armedFor = core::NEVER;
                schedule();  // the turn arms the next one
              })
              .eagerlyEvaluate([this](kj::Exception&& why) { failure.taskFailed(kj::mv(why)); });
}

void Driver::stop() {
  stopped = true;
  images.stop();
  alarm = kj::NEVER_DONE;
  turnsEnd.cancel();
  tasks = nullptr;
  consensusSeat = nullptr;
  electionSeat = nullptr;
}

// -------------------------------------------------------------------------------------- DeskHost

void Driver::propose(core::Token token, BodyRef body, core::MemberId home) {
  lastTimeMs = std::max(lastTimeMs, environment.wallTimeMs());
  body->stamp(lastTimeMs);
  SeatEvent event{SeatEvent::PROPOSAL};
  event.number = token;
  event.peer = home;
  event.body = kj::mv(body);
  tell(consensusSeat, kj::mv(event));
}

void Driver::read(core::Token token) {
  SeatEvent event{SeatEvent::READ};
  event.number = token;
  tell(consensusSeat, kj::mv(event));
}

void Driver::post(core::MemberId to, kj::Array<kj::byte> letter) {
  postOffice.send(LANE_DESK, to, 0, kj::mv(letter));
  schedule();
}

/// At a leader whose disk is full nothing can be logged, and without a quorum of disks nothing decided.
std::string Driver::refuses() {
  lookAtMemory();
  if (room.full()) return room.why();
  std::size_t voters = 0, roomy = 0;
  for (auto& member : chain.members()) {
    auto tip = tips.find(member.id);
    bool full = tip != tips.end() && tip->second.full;
    if (full && member.id == standing.leader) return "the leader has no room for more; see its status";
    if (member.role != core::Role::VOTER) continue;
    voters++;
    if (!full) roomy++;
  }
  return roomy > voters / 2 ? "" : "most voters have no room for more; see their status";
}

void Driver::lookAtMemory() {
  auto& tree = replica.state();
  room.memory(tree.dataBytes() + tree.nodeCount() * NODE_BYTES +
              tree.sessionCount() * SESSION_BYTES + replica.log.bytes());
}

/// The disk is looked at before it is full.
kj::Promise<void> Driver::watchRoom() {
  return storage.usageRequest().send().then([this](auto usage) {
    lookAtMemory();
    bool wasFull = room.full();
    room.disk(usage.getBytesFree(), usage.getBytesNeeded());
    if (room.full() && !wasFull) {
      log(sdk::Level::WARNING, kj::str("room.none why=\"", room.why().c_str(), "\""));
    } else if (wasFull && !room.full()) {
      log(sdk::Level::INFO, "room.found");
    }
    return environment.timer().afterDelay(room.near() ? ROOM_INTERVAL_NEAR : ROOM_INTERVAL);
  }).then([this]() { return watchRoom(); });
}

void Driver::fill(coordination::Status::Builder status) {
  status.setSelf(self);
  status.setCluster(settings.identity.cluster);
  status.setPhase(static_cast<consensus::Standing::Phase>(standing.phase));
  status.setLeader(standing.leader);
  status.setFence(standing.fence);
  status.setApplied(replica.appliedIndex());
  status.setCommitted(replica.committedIndex());
  status.setSegment(chain.size() - 1);
  auto members = chain.current().getMembers();
  auto out = status.initMembers(members.size());
  for (unsigned i = 0; i < members.size(); i++) {
    out[i].setId(members[i].getId());
    out[i].setRole(members[i].getRole());
    out[i].setUp(members[i].getId() == self || postOffice.up(members[i].getId(), 0));
    out[i].setAddresses(members[i].getAddresses());
  }
  auto& tree = replica.state();
  status.setNodes(tree.nodeCount());
  status.setDataBytes(tree.dataBytes());
  status.setEphemerals(tree.ephemeralCount());
  status.setSessions(tree.sessionCount());
  status.setDigest(tree.digest());
  status.setStartedMs(settings.startedMs);
  status.setDurable(settings.durable);
  auto plugins = status.initPlugins(settings.wired.size());
  for (unsigned i = 0; i < plugins.size(); i++) {
    plugins[i].setKind(settings.wired[i].kind);
    plugins[i].setName(settings.wired[i].name);
    plugins[i].setVersion(settings.wired[i].version);
  }
  status.setRefusing(refuses());
  status.setMayVote(mayVote());
  status.setElectionMs(electionMs);
  bool leading = standing.phase == core::Standing::LEADING;
  status.setLeaderSeenMs(leading ? 0 : (now() - contactAt) / 1'000'000);
}

// ------------------------------------------------------------------------------------- Recipient

void Driver::linkUp(core::MemberId peer, core::Link link, std::uint64_t incarnation) {
  log(sdk::Level::DEBUG, kj::str("link.up peer=", peer, " link=", link));
  auto event = [&]() {
    SeatEvent up{SeatEvent::PEER_UP, peer, link, incarnation};
    return up;
  };
  tell(consensusSeat, event());
  if (electionOpened) tell(electionSeat, event());
  desk->linkUp(peer);
  sendTip(peer, link);
  schedule();
}

void Driver::linkDown(core::MemberId peer, core::Link link) {
  log(sdk::Level::DEBUG, kj::str("link.down peer=", peer, " link=", link));
  tell(consensusSeat, SeatEvent{SeatEvent::PEER_DOWN, peer, link});
  if (electionOpened) tell(electionSeat, SeatEvent{SeatEvent::PEER_DOWN, peer, link});
  desk->linkDown(peer);
  tips.erase(peer);
}

void Driver::letter(Lane lane, Decoded&& letter) {
  auto current = chain.size() - 1;
  auto peer = letter.mail.peer;
  bool waits = closed() || (lane == LANE_ELECTION && !electionOpened);
  if (letter.segment == current ? waits : closed() && letter.segment > current) {
    if (!early.keep(lane, kj::mv(letter))) {
      log(sdk::Level::WARNING, kj::str("letter.dropped peer=", peer, ": too many wait for the cores"));
    }
    return;
  }
  if (letter.segment != current && !MUTANT("kernel.segment.letter")) {
    if (letter.segment < current) {
      sendTip(peer, letter.mail.link);
    } else {
      ask(peer, letter.mail.link);
    }
    return;
  }
  SeatEvent event{SeatEvent::RECEIVED};
  event.mail = kj::mv(letter.mail);
  if (lane == LANE_CONSENSUS) {
    tell(consensusSeat, kj::mv(event));
  } else {
    tell(electionSeat, kj::mv(event));
  }
}

void Driver::deskLetter(core::MemberId from, kj::ArrayPtr<const kj::byte> bytes) {
  desk->received(from, bytes);
  schedule();
}

void Driver::badParcel(core::MemberId from, kj::Exception&& why) {
  log(sdk::Level::WARNING, kj::str("parcel.bad peer=", from, " why=\"", why.getDescription(), "\""));
}

// ------------------------------------------------------------------------------- ReplicaListener

void Driver::applied(core::Index index, kj::Maybe<Body::Reader> body, const state::Applied& applied) {
  if (settings.witness != nullptr) settings.witness->applied(index, body, applied, replica.state());
  if (desk != nullptr) desk->applied(index, body, applied);
}

}  // namespace polyquorum::kernel
