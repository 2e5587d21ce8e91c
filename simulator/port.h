// SPDX-License-Identifier: Apache-2.0
// Virtual time: a KJ event port that never sleeps but jumps to the next timer. No thread, no clock.
#pragma once
#include <kj/async.h>
#include <kj/debug.h>
#include <kj/timer.h>
#include <algorithm>

namespace polyquorum::simulator {

class Port final : public kj::EventPort {
 public:
  /// Time begins at one hour, so that no instant of a run is the origin.
  Port() : clock(kj::origin<kj::TimePoint>() + 1 * kj::HOURS) {}

  kj::Timer& timer() { return clock; }

  bool wait() override {
    polls = 0;
    KJ_IF_MAYBE (next, clock.nextEvent()) {
      clock.advanceTo(std::max(clock.now(), *next));  // one may be set in the past
    } else {
      KJ_FAIL_ASSERT("the simulated world stands still: nothing will ever happen again");
    }
    return false;
  }
  /// Asked after many events without a wait: time stands still while the world is busy with itself.
  bool poll() override {
    KJ_ASSERT(++polls < POLLS_MAX, "livelock: millions of events in one instant");
    return false;
  }

 private:
  static constexpr unsigned POLLS_MAX = 20;
  kj::TimerImpl clock;
  unsigned polls = 0;
};

}  // namespace polyquorum::simulator
