// SPDX-License-Identifier: Apache-2.0
// The heart: steps both cores of the current segment and performs what they ask for, under three laws:
// one queue of writes, claims wait for it, entries are applied in order. Knows no protocol.
#pragma once
#include <kj/async.h>
#include <kj/function.h>
#include <kj/timer.h>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include "kernel/chain.h"
#include "kernel/failure.h"
#include "kernel/config.h"
#include "kernel/desk.h"
#include "kernel/early_letters.h"
#include "kernel/identity.h"
#include "kernel/images.h"
#include "kernel/post_office.h"
#include "kernel/replica.h"
#include "kernel/room.h"
#include "kernel/seat.h"
#include "kernel/witness.h"
#include "kernel/write_queue.h"
#include "sdk/environment.h"
#include "sdk/later.h"

namespace polyquorum::kernel {

/// Makes the cores of a segment from its plugins.
class CoreMaker {
public:
  virtual ~CoreMaker() noexcept(false) {}
  virtual kj::Promise<consensus::Consensus::Client> consensus(Segment::Reader segment) = 0;
  virtual kj::Promise<election::Election::Client> election(Segment::Reader segment) = 0;
};

/// A plugin of this node, for status.
struct Wired {
  std::string kind, name, version;
};

struct DriverSettings {
  Identity identity;
  SnapshotSettings snapshots;
  std::vector<Wired> wired;
  std::uint64_t memoryMax = LimitSettings().memoryBytes;
  bool durable = false;
  std::int64_t startedMs = 0;
  Witness* witness = nullptr;
  kj::Maybe<kj::Function<void()>> healed;  ///< makes it durable that no promise is lost any more
};

class Driver final : public DeskHost, private Recipient, private ReplicaListener, private ImagesHost {
public:
  /// All references outlive the driver.
  Driver(DriverSettings settings, storage::Storage::Client storage,
         transport::Transport::Client transport, CoreMaker& cores, sdk::Environment& environment);

  /// Loads the state and what is decided beyond it. opened: what storage.open() gave. seed: the first
  /// segment, used if this disk has none.
  kj::Promise<void> recover(storage::Storage::OpenResults::Reader opened, Segment::Reader seed);
  /// Joins the members: listens, dials, opens the current segment. desk outlives the driver's work.
  kj::Promise<void> start(Desk& desk, Member::Reader self, capnp::List<Member>::Reader members);

  /// Rejects when the node must stop.
  kj::Promise<void> failed() { return failure.happened(); }

  /// Leadership is handed over if it is here; resolves when that was seen or after a second.
  kj::Promise<void> handOver();  ///< a cluster of one has nobody to give it to
  /// Nothing more is done; drops the cores.
  void stop();

  // DeskHost
  void propose(core::Token token, BodyRef body, core::MemberId home) override;
  void read(core::Token token) override;
  void post(core::MemberId to, kj::Array<kj::byte> letter) override;
  std::string refuses() override;
  state::State& state() override { return replica.state(); }
  void fill(coordination::Status::Builder status) override;

private:
  struct PeerTip {
    std::uint32_t segment = 0;
    core::Index lag = 0;                ///< entries it was behind this node when its tip came
    std::uint64_t lost = 0, incarnation = 0;
    bool full = false;
  };

  DriverSettings settings;
  const core::MemberId self;
  storage::Storage::Client storage;
  CoreMaker& cores;
  sdk::Environment& environment;
  Desk* desk = nullptr;

  Chain chain;
  PostOffice postOffice;
  WriteQueue queue;
  Replica replica;
  Images images;
  Room room;
  Failure failure;

  // The current segment.
  kj::Maybe<kj::Own<ConsensusSeat>> consensusSeat;
  kj::Maybe<kj::Own<ElectionSeat>> electionSeat;
  bool electionOpened = false;
  std::vector<core::Fact> electionFacts;
  EarlyLetters early;                   ///< for cores that are not there yet
  core::Standing standing;
  core::Evidence evidence;
  core::Index firstKept = 1;            ///< lowest index still in the log
  std::map<core::MemberId, PeerTip> tips;
  std::uint64_t sealToken = 0;          ///< of a seal that this leader proposed and nobody answered
  std::uint64_t sealCount = 0;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> handedOver;

  std::set<core::MemberId> chainImages; ///< receivers of an image that no core asked for
  std::map<core::MemberId, core::Nanos> asked;

  // What recovery found for openSegment.
  std::vector<core::Run> foundLog;
  std::vector<core::Fact> foundFacts;

  core::Nanos contactAt;                ///< last word from a leader, or its start
  core::Nanos leaderlessSince;          ///< or since its start
  core::Nanos forgottenToldAt = 0;
  std::uint64_t electionMs = 0;
  std::int64_t lastTimeMs = 0;
  core::Index imageWanted = 0;          ///< applied index at which the next own image is due

  // The turn.
  bool turning = false, again = false, stopped = false;
  std::uint64_t life = 0;               ///< counts openings and closings of segments
  std::vector<kj::Own<Seat>> retired;   ///< closed while they were being stepped
  core::Nanos armedFor = core::NEVER;
  kj::Promise<void> alarm = kj::NEVER_DONE;
  kj::Own<kj::TaskSet> tasks = kj::heap<kj::TaskSet>(failure);
  sdk::Later turnsEnd{failure, [this]() { turn(); }};

  core::Nanos now() const;
  bool mayVote() const {
    return chain.mayVote(self, settings.identity.lost, settings.identity.incarnation);
  }
  void schedule();
  void turn();
  void step(unsigned left);
  template <typename Response>
  void await(kj::Promise<Response> stepped, unsigned left);
  void finishTurn();
  void flush();
  void takeImageIfDue();
  kj::Promise<void> watchRoom();
  void lookAtMemory();
  void arm();

  // Effects; see driver_effects.cpp.
  void perform(consensus::Effects::Reader effects);
  void perform(election::Effects::Reader effects);
  void persist(consensus::Batch::Reader batch);
  void send(Lane lane, std::uint32_t segment, Mail&& mail);
  void release(Claims&& claims);
  void nominate(core::MemberId leader, std::uint64_t round);
  void stand(const core::Standing& next);
  void feedback(core::Feedback::What what, core::MemberId peer, core::Fence fence);
  void fetch(core::Token token, core::Index first, core::Index last, std::uint32_t bytesMax);
  void heard();
  template <typename Seat>
  void tell(kj::Maybe<kj::Own<Seat>>& seat, SeatEvent&& event) {
    KJ_IF_MAYBE(held, seat) {
      (*held)->tell(kj::mv(event));
      schedule();
    }
  }

  // Segments; see driver_segments.cpp.
  kj::Promise<void> openSegment(std::vector<core::Run> log, std::vector<core::Fact> facts);
  kj::Promise<void> replaySealed(std::uint32_t next);
  void seatCores(std::vector<core::Run> log, std::vector<core::Fact> facts,
                 consensus::Consensus::Client consensus, election::Election::Client election);
  void openElection();
  void tellEarly(Lane lane);
  bool closed() const { return consensusSeat == nullptr; }  ///< between two segments
  void closeCores();
  void enterSegment();
  void sealed(Segment::Reader next) override;
  void sendTip(core::MemberId to, core::Link link);
  kj::Promise<void> tellTips();
  void tellIfForgotten();
  void heal();
  void ask(core::MemberId peer, core::Link link);
  kj::Promise<void> installImage(bool newSegment);

  // Recipient
  void linkUp(core::MemberId peer, core::Link link, std::uint64_t incarnation) override;
  void linkDown(core::MemberId peer, core::Link link) override;
  void letter(Lane lane, Decoded&& letter) override;
  void deskLetter(core::MemberId from, kj::ArrayPtr<const kj::byte> bytes) override;
  void chainLetter(core::MemberId from, core::Link link, wire::Chain::Reader letter) override;
  kj::Promise<storage::Sink::Client> image(core::MemberId from, core::Link link,
                                           Snapshot::Reader header) override;
  void badParcel(core::MemberId from, kj::Exception&& why) override;

  // ReplicaListener
  void applied(core::Index index, kj::Maybe<Body::Reader> body,
               const state::Applied& applied) override;

  // ImagesHost
  void adoptOwn(core::Position at, std::uint32_t segment) override;
  void ownFailed(const kj::Exception& why) override;
  void imageArrived(core::MemberId peer, core::Link link, Snapshot::Reader header) override;
  void imageSent(core::MemberId peer, core::Link link, core::Position at, bool whole) override;

  void log(sdk::Level level, kj::StringPtr line) { environment.log(level, line); }
};

}  // namespace polyquorum::kernel
