// SPDX-License-Identifier: Apache-2.0
// What is decided here and what of it is applied: the state, the log's newest part, and the loop between
// them. The driver's law 3 lives here. Sends nothing and writes nothing.
#pragma once
#include <kj/async.h>
#include <deque>
#include <memory>
#include "interfaces/storage.capnp.h"
#include "kernel/chain.h"
#include "kernel/log.h"
#include "kernel/mail.h"
#include "state/state.h"

namespace polyquorum::kernel {

/// Whom the replica tells, in the order of entries.
class ReplicaListener {
public:
  virtual ~ReplicaListener() noexcept(false) {}
  virtual void applied(core::Index index, kj::Maybe<Body::Reader> body,
                       const state::Applied& applied) = 0;
  /// A valid seal was applied at next's base. Nothing more is applied before Replica::resume().
  virtual void sealed(Segment::Reader next) = 0;
};

class Replica {
public:
  Replica(storage::Storage::Client storage, Chain& chain, ReplicaListener& listener)
      : storage(kj::mv(storage)), chain(chain), listener(listener), tree(state::State::create()) {}

  Log log;

  state::State& state() { return *tree; }
  core::Position at() const { return position; }
  core::Index appliedIndex() const { return position.index; }
  core::Index committedIndex() const { return committed; }

  /// Everything up to index is decided. Never goes back.
  void commit(core::Index index);

  /// Applies up to countMax decided entries; true if at least one was.
  bool apply(std::size_t countMax);
  /// There is more to apply at once.
  bool hungry() const { return holds == 0 && !reading && position.index < committed && !missing; }

  /// Between hold and resume nothing is applied: a segment closes, or an image is installed.
  /// Holds count.
  void hold() { holds++; }
  void resume() { holds--; }
  bool held() const { return holds > 0; }

  /// Entries decided but no longer in memory are read from the disk; the promise resolves when there
  /// is something to apply. Null if none are needed now.
  kj::Maybe<kj::Promise<void>> refill();

  /// The state becomes this image's.
  void install(std::unique_ptr<state::State> image, core::Position at);

private:
  storage::Storage::Client storage;
  Chain& chain;
  ReplicaListener& listener;
  std::unique_ptr<state::State> tree;
  core::Position position;   ///< of the last entry applied; stamp 0 if that is its segment's base
  core::Index committed = 0;
  int holds = 0;
  bool reading = false, missing = false;
  std::deque<MailEntry> replay;  ///< decided entries from the disk, the next one in front

  void applyOne(core::Fence stamp, kj::Maybe<BodyRef> body);
};

}  // namespace polyquorum::kernel
