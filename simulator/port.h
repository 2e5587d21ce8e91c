// SPDX-License-Identifier: Apache-2.0
// Virtual time: a KJ event port that never sleeps but jumps to the next timer. No thread, no clock.
#pragma once
#include <kj/async.h>
#include <kj/debug.h>
#include <kj/timer.h>

namespace polyquorum::simulator {

class Port final : public kj::EventPort {
public:
  /// Time begins at one hour, so that no instant of a run is the origin.
  Port() : clock(kj::origin<kj::TimePoint>() + 1 * kj::HOURS) {}

  kj::Timer& timer() { return clock; }

  bool wait() override {
    KJ_IF_MAYBE(next, clock.nextEvent()) {
      clock.advanceTo(*next);
    } else {
      KJ_FAIL_ASSERT("the simulated world stands still: nothing will ever happen again");
    }
    return false;
  }
  bool poll() override { return false; }

private:
  kj::TimerImpl clock;
};

}  // namespace polyquorum::simulator
