// SPDX-License-Identifier: Apache-2.0
// One re-armable timer of a room. Not for deadlines of single requests: those share one alarm.
#pragma once
#include <kj/async.h>
#include <kj/function.h>
#include <kj/timer.h>

namespace polyquorum::kernel {

/// Rings once per arming. May be armed again from inside its own ring.
class Alarm {
public:
  /// timer and failures outlive the alarm; ring's exceptions go to failures.
  Alarm(kj::Timer& timer, kj::TaskSet::ErrorHandler& failures, kj::Function<void()> ring)
      : timer(timer), failures(failures), ring(kj::mv(ring)) {}
  KJ_DISALLOW_COPY(Alarm);

  /// Rings at this moment, or earlier if it was already armed for an earlier one.
  void by(kj::TimePoint moment) {
    if (armed && moment >= when) return;
    when = moment;
    armed = true;
    if (!ringing) {
      waiting = wait().eagerlyEvaluate(
          [this](kj::Exception&& fault) { failures.taskFailed(kj::mv(fault)); });
    }
  }

  /// Not from inside ring.
  void stop() {
    armed = false;
    waiting = kj::READY_NOW;
  }

private:
  kj::Timer& timer;
  kj::TaskSet::ErrorHandler& failures;
  kj::Function<void()> ring;
  kj::TimePoint when = kj::origin<kj::TimePoint>();
  bool armed = false, ringing = false;
  kj::Promise<void> waiting = kj::READY_NOW;

  kj::Promise<void> wait() {
    return timer.atTime(when).then([this]() -> kj::Promise<void> {
      armed = false;
      ringing = true;
      KJ_DEFER(ringing = false);
      ring();
      if (armed) return wait();
      return kj::READY_NOW;
    });
  }
};

}  // namespace polyquorum::kernel
