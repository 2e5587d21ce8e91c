// SPDX-License-Identifier: Apache-2.0
// Where a core sits while its segment is open: its events in order, its tickets, its timer. Steps it, and
// judges nothing of what it says.
#pragma once
#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include "interfaces/consensus.capnp.h"
#include "interfaces/election.capnp.h"
#include "kernel/mail.h"
#include "kernel/tickets.h"
#include "sdk/core.h"

namespace polyquorum::kernel {

/// What opens the life of either core.
struct OpenedNews {
  bool mayVote = true;             ///< consensus only
  std::vector<core::Member> members;
  core::Position base;             ///< consensus only
  std::vector<core::Run> log;      ///< consensus only
  std::vector<core::Fact> facts;
  core::Evidence evidence;         ///< election only
  std::uint64_t seed = 0;
};

/// One event of either core. What a kind uses is said beside it.
struct SeatEvent {
  enum Kind : std::uint8_t {
    OPENED,            // opened
    PEER_UP,           // peer, link, number (incarnation)
    PEER_DOWN,         // peer, link
    RECEIVED,          // mail
    NOMINATED,         // peer, number (round)
    PROPOSAL,          // number (token), body, peer (home)
    READ,              // number (token)
    FETCHED,           // number (token), index (first), mail.entries
    SNAPSHOT_ARRIVED,  // peer, link, at
    SNAPSHOT_SENT,     // peer, link, at, whole
    TRIMMED,           // index
    HAND_OVER,         // peer
    EVIDENCE,          // evidence
    FEEDBACK,          // what, peer, number (fence)
  } kind;
  core::MemberId peer = 0;
  core::Link link = 0;
  std::uint64_t number = 0;
  core::Index index = 0;
  core::Position at;
  bool whole = false;
  core::Feedback::What what = core::Feedback::LEADER_ALIVE;
  Mail mail;
  kj::Maybe<BodyRef> body;
  std::optional<core::Evidence> evidence;
  std::unique_ptr<OpenedNews> opened;
};

/// Common to both kinds.
class Seat {
public:
  virtual ~Seat() noexcept(false) {}
  void tell(SeatEvent&& event) { events.push_back(kj::mv(event)); }
  bool due(core::Nanos now) const { return !events.empty() || wakeAt <= now; }
  core::Nanos wake() const { return wakeAt; }

  /// An event of this kind was told and has not reached the core.
  bool waits(SeatEvent::Kind kind) const {
    return std::any_of(events.begin(), events.end(),
                       [kind](const SeatEvent& event) { return event.kind == kind; });
  }

  /// Questions that wait are taken back: this node leads no longer and their askers ask again.
  void withdraw() {
    std::erase_if(events, [](const SeatEvent& event) {
      return event.kind == SeatEvent::PROPOSAL || event.kind == SeatEvent::READ;
    });
  }

protected:
  explicit Seat(core::MemberId self) : self(self) {}
  const core::MemberId self;
  core::Nanos wakeAt = core::NEVER;  ///< stated anew by every step

  /// One step of the core with the next events; fill writes each in the core's own schema.
  template <typename Client, typename Fill>
  auto stepWith(Client& client, core::Nanos now, Fill&& fill);

private:
  std::deque<SeatEvent> events;
};

class ConsensusSeat : public Seat {
public:
  using Response = capnp::Response<consensus::Consensus::StepResults>;
  ConsensusSeat(core::MemberId self, consensus::Consensus::Client core) : Seat(self), client(kj::mv(core)) {}

  /// Never twice at once. Afterwards call done() with the effects once they were performed.
  kj::Promise<Response> step(core::Nanos now);
  /// The entries of a letter, batch or answer, their tickets replaced by bodies.
  std::vector<MailEntry> entries(capnp::List<consensus::Head>::Reader heads);
  Mail letter(consensus::Letter::Reader letter);
  void done(consensus::Effects::Reader effects);

private:
  consensus::Consensus::Client client;
  Tickets tickets;

  void fill(consensus::Event::Builder out, SeatEvent& event);
  void fill(capnp::List<consensus::Head>::Builder out, std::vector<MailEntry>& entries);
};

class ElectionSeat : public Seat {
public:
  using Response = capnp::Response<election::Election::StepResults>;
  ElectionSeat(core::MemberId self, election::Election::Client core) : Seat(self), client(kj::mv(core)) {}

  kj::Promise<Response> step(core::Nanos now);
  void done(election::Effects::Reader effects) { wakeAt = effects.getWakeAt(); }

private:
  election::Election::Client client;
  void fill(election::Event::Builder out, SeatEvent& event);
};

core::Evidence read(election::Evidence::Reader evidence);

}  // namespace polyquorum::kernel
