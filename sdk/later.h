// SPDX-License-Identifier: Apache-2.0
// Work at the end of what the loop does now, asked for any number of times, done once: what
// kj::evalLater() and evalLast() do, without a promise for each time.
#pragma once
#include <kj/async.h>
#include <kj/common.h>
#include <kj/exception.h>
#include <kj/function.h>

namespace polyquorum::sdk {

/// Thread: the loop's. Destroying it forgets what was asked for; the work must not destroy it.
class Later final : private kj::_::Event {
public:
  /// What the work throws goes to errors, which outlives this.
  Later(kj::TaskSet::ErrorHandler& errors, kj::Function<void()> work)
      : errors(errors), work(kj::mv(work)) {}

  /// Behind what waits in the loop by now. Nothing happens if it was asked for before.
  void soon() { armBreadthFirst(); }
  /// When the loop has nothing else to do, before it looks at sockets again.
  void last() { armLast(); }
  void cancel() { disarm(); }

private:
  kj::TaskSet::ErrorHandler& errors;
  kj::Function<void()> work;

  kj::Maybe<kj::Own<Event>> fire() override {
    KJ_IF_MAYBE (why, kj::runCatchingExceptions([this]() { work(); })) {
      errors.taskFailed(kj::mv(*why));
    }
    return nullptr;
  }
  void traceEvent(kj::_::TraceBuilder&) override {}
};

}  // namespace polyquorum::sdk
