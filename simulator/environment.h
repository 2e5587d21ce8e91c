// SPDX-License-Identifier: Apache-2.0
// The outside world of one simulated life: virtual timer, seeded chance, the simulated disk, slow
// helper threads that are no threads. Networks and APIs are not here: they are replaced at their
// interfaces.
#pragma once
#include <kj/async.h>
#include <kj/debug.h>
#include <functional>
#include <string>
#include "sdk/environment.h"
#include "simulator/disk.h"
#include "simulator/random.h"

namespace polyquorum::simulator {

/// How slow a disk is; drawn per seed.
struct DiskTiming {
  kj::Duration least = 100 * kj::MICROSECONDS;
  kj::Duration most = 2 * kj::MILLISECONDS;
  double stallPercent = 0;  ///< of jobs that take `stall` longer
  kj::Duration stall = 2 * kj::SECONDS;
  kj::Duration sync = 0 * kj::SECONDS;  ///< until it is told that a sync was done
};

/// What a stopped process does not notice: everything waits here until it goes on.
class Gate {
 public:
  bool shut() const { return waiting != nullptr; }
  void close() {
    if (shut()) return;
    auto pair = kj::newPromiseAndFulfiller<void>();
    waiting = pair.promise.fork();
    opener = kj::mv(pair.fulfiller);
  }
  void open() {
    if (!shut()) return;
    opener->fulfill();
    waiting = nullptr;
  }
  kj::Promise<void> pass() {
    KJ_IF_MAYBE (fork, waiting) return fork->addBranch();
    return kj::READY_NOW;
  }

 private:
  kj::Maybe<kj::ForkedPromise<void>> waiting;
  kj::Own<kj::PromiseFulfiller<void>> opener;
};

/// Timers of one life; they ring late if the process was stopped.
class LifeTimer final : public kj::Timer {
 public:
  LifeTimer(kj::Timer& world, Gate& gate) : world(world), gate(gate) {}
  kj::TimePoint now() const override { return world.now(); }
  kj::Promise<void> atTime(kj::TimePoint time) override {
    return world.atTime(time).then([this]() { return gate.pass(); });
  }
  kj::Promise<void> afterDelay(kj::Duration delay) override { return atTime(now() + delay); }

 private:
  kj::Timer& world;
  Gate& gate;
};

using LogSink = std::function<void(sdk::Level, kj::StringPtr)>;

class SimulatedEnvironment final : public sdk::Environment {
 public:
  SimulatedEnvironment(kj::Timer& timer, Disk& disk, Random random, std::int64_t wallSkewMs,
                       LogSink sink)
      : clock(timer, gate),
        disk(disk),
        chance(random),
        wallSkewMs(wallSkewMs),
        sink(std::move(sink)) {}

  kj::Timer& timer() override { return clock; }
  std::int64_t wallTimeMs() override;
  std::uint64_t random() override { return chance.next(); }
  kj::Own<const kj::Directory> directory(kj::StringPtr purpose) override { return disk.open(); }
  boost::asio::io_context& io() override;
  kj::Promise<void> offload(sdk::Queue queue, kj::Function<void()> work) override;
  void log(sdk::Level level, kj::StringPtr line) override { sink(level, line); }

  /// This life is over: no job that waits is done any more, it fails.
  void end() { death.fulfiller->reject(KJ_EXCEPTION(FAILED, "the process is gone")); }

  DiskTiming timing;
  Gate gate;  ///< shut while the process is stopped

 private:
  LifeTimer clock;
  Disk& disk;
  Random chance;
  const std::int64_t wallSkewMs;
  LogSink sink;
  kj::TimePoint busyUntil[2] = {kj::origin<kj::TimePoint>(), kj::origin<kj::TimePoint>()};  ///< by queue
  kj::PromiseFulfillerPair<void> death = kj::newPromiseAndFulfiller<void>();
  kj::ForkedPromise<void> died = death.promise.fork();
};

}  // namespace polyquorum::simulator
