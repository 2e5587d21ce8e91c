// SPDX-License-Identifier: Apache-2.0
// The outside world of one simulated life; see environment.h.
#include "simulator/environment.h"
#include <kj/debug.h>
#include <algorithm>

namespace polyquorum::simulator {
namespace {

constexpr std::int64_t EPOCH_MS = 1'700'000'000'000;  // where simulated wall clocks begin

}  // namespace

std::int64_t SimulatedEnvironment::wallTimeMs() {
  return EPOCH_MS + wallSkewMs + (clock.now() - kj::origin<kj::TimePoint>()) / kj::MILLISECONDS;
}

boost::asio::io_context& SimulatedEnvironment::io() {
  kj::throwFatalException(
      KJ_EXCEPTION(UNIMPLEMENTED, "a plugin asked for sockets inside the simulator"));
}

kj::Promise<void> SimulatedEnvironment::offload(sdk::Queue queue, kj::Function<void()> work) {
  auto& busy = busyUntil[static_cast<std::size_t>(queue)];
  auto least = timing.least / kj::MICROSECONDS, most = timing.most / kj::MICROSECONDS;
  auto takes = chance.between(least, most) * kj::MICROSECONDS;
  if (chance.chance(timing.stallPercent)) takes += timing.stall;
  busy = std::max(busy, clock.now()) + takes;
  return clock.atTime(busy)
      .exclusiveJoin(died.addBranch())
      .then([this, &busy, work = kj::mv(work)]() mutable -> kj::Promise<void> {
        auto before = disk.syncs;
        work();
        if (disk.syncs == before || timing.sync == 0 * kj::SECONDS) return kj::READY_NOW;
        busy = std::max(busy, clock.now() + timing.sync);
        return clock.afterDelay(timing.sync).exclusiveJoin(died.addBranch());
      });
}

}  // namespace polyquorum::simulator
