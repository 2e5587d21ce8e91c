// SPDX-License-Identifier: Apache-2.0
// The sessions' door of one node: numbers commands, forwards them to the leader's desk, keeps pending
// replies in session order, serves reads, watches and pings. Knows no protocol and no socket.
#pragma once
#include <kj/async.h>
#include <kj/memory.h>
#include <kj/timer.h>
#include <cstdint>
#include <string>
#include "interfaces/coordination.capnp.h"
#include "kernel/body.h"
#include "kernel/config.h"
#include "sdk/core.h"
#include "sdk/environment.h"
#include "state/state.h"

namespace polyquorum::kernel {

/// What the desk may ask of the driver. Everything is on the loop's thread; the calls only queue
/// work, which the driver does at the end of this turn. They never call back into the desk.
class DeskHost {
public:
  virtual ~DeskHost() noexcept(false) {}

  /// Leader only. Puts the body into the log, stamped with the cluster's time. The answer is
  /// Desk::applied with this body, or Desk::refused(token); none if this node stops leading. home: the
  /// member whose client waits for it.
  virtual void propose(core::Token token, BodyRef body, core::MemberId home) = 0;

  /// Leader only. Answered by Desk::readable or Desk::refused; none if this node stops leading.
  virtual void read(core::Token token) = 0;

  /// One letter to the desk of another member. In order within a link; lost with it.
  virtual void post(core::MemberId to, kj::Array<kj::byte> letter) = 0;

  /// Why writes that make the state grow are not taken now; empty: they are.
  virtual std::string refuses() = 0;

  /// What is applied here.
  virtual state::State& state() = 0;

  /// Fills all of a status that the desk does not know: every field but sessions', watches' and
  /// pending's.
  virtual void fill(coordination::Status::Builder status) = 0;
};

/// What a desk is made of; all outlive it.
struct DeskSettings {
  core::MemberId self = 0;
  std::uint64_t incarnation = 0;    ///< of this life of the process; makes tickets unique
  SessionSettings sessions;
  ReapSettings reaping;
  LimitSettings limits;
};

class Desk {
public:
  virtual ~Desk() noexcept(false) {}

  // --- towards API plugins

  /// The capability that one API plugin gets. Its deliveries go to outbox once that is set.
  virtual coordination::Desk::Client door(unsigned api) = 0;
  virtual void setOutbox(unsigned api, coordination::Outbox::Client outbox) = 0;

  // --- told by the driver

  /// Standing changed. through: last index of the log when this node began to lead; the desk
  /// proposes nothing before it is applied, so that each session's next sequence is known.
  /// Everything pending here goes, in session order, to the new leader (once per standing and link).
  virtual void standing(const core::Standing& standing, core::Index through) = 0;

  /// The leader was heard now (or this node leads with a quorum). Feeds pings and adrift.
  virtual void contact() = 0;

  /// One entry was applied, in order. body is null for a no-op.
  virtual void applied(core::Index index, kj::Maybe<polyquorum::Body::Reader> body,
                       const state::Applied& applied) = 0;

  /// The state shows the members of a new segment, between two entries. See State::enter.
  virtual void entered(const state::Applied& applied) = 0;

  /// Everything committed so far is applied: answers what waited for an index.
  virtual void settle() = 0;

  virtual void readable(core::Token token, core::Index index) = 0;
  virtual void refused(core::Token token, core::Refused::Why why) = 0;

  /// A letter from the desk of a member.
  virtual void received(core::MemberId from, kj::ArrayPtr<const kj::byte> letter) = 0;
  virtual void linkUp(core::MemberId peer) = 0;
  virtual void linkDown(core::MemberId peer) = 0;

  /// The state was replaced by a snapshot: events may have been missed. Every session connected here
  /// is adrift. The new state is at DeskHost::state().
  virtual void stateReplaced() = 0;

  /// No more requests are taken; resolves when all that was delivered has left.
  virtual kj::Promise<void> stop() = 0;

  /// Rejects if an API plugin throws from deliver.
  virtual kj::Promise<void> failed() = 0;
};

/// host, environment outlive the desk.
kj::Own<Desk> makeDesk(const DeskSettings& settings, DeskHost& host, sdk::Environment& environment);

}  // namespace polyquorum::kernel
