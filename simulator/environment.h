// SPDX-License-Identifier: Apache-2.0
// The outside world of one simulated life: virtual timer, seeded chance, the simulated disk, slow helper
// threads that are no threads. Networks and APIs are not here: they are replaced at their interfaces.
#pragma once
#include <kj/async.h>
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
  double stallPercent = 0;                      ///< of jobs that take `stall` longer
  kj::Duration stall = 2 * kj::SECONDS;
};

using LogSink = std::function<void(sdk::Level, kj::StringPtr)>;

class SimulatedEnvironment final : public sdk::Environment {
public:
  SimulatedEnvironment(kj::Timer& timer, Disk& disk, Random random, std::int64_t wallSkewMs, LogSink sink)
      : clock(timer), disk(disk), chance(random), wallSkewMs(wallSkewMs), sink(std::move(sink)) {}

  kj::Timer& timer() override { return clock; }
  std::int64_t wallTimeMs() override;
  std::uint64_t random() override { return chance.next(); }
  kj::Own<const kj::Directory> directory(kj::StringPtr purpose) override { return disk.open(); }
  boost::asio::io_context& io() override;
  kj::Promise<void> offload(kj::Function<void()> work) override;
  void log(sdk::Level level, kj::StringPtr line) override { sink(level, line); }

  /// This life is over: no job that waits is done any more.
  void end() { *alive = false; }

  DiskTiming timing;

private:
  kj::Timer& clock;
  Disk& disk;
  Random chance;
  const std::int64_t wallSkewMs;
  LogSink sink;
  kj::TimePoint busyUntil = kj::origin<kj::TimePoint>();
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

}  // namespace polyquorum::simulator
