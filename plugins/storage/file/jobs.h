// SPDX-License-Identifier: Apache-2.0
// Offloaded work that may outlive the promise of it, but never the object it works for.
#pragma once
#include <kj/async.h>
#include <kj/function.h>
#include <kj/mutex.h>
#include <kj/refcount.h>
#include "sdk/environment.h"

namespace polyquorum::file {

/// Make it the owner's last member. Destroying it waits for the job that runs; later ones do
/// nothing.
class Jobs {
public:
  Jobs(sdk::Environment& environment, sdk::Queue queue)
      : environment(environment), queue(queue), gate(kj::atomicRefcounted<Gate>()) {}
  ~Jobs() noexcept(false) { *gate->closed.lockExclusive() = true; }
  KJ_DISALLOW_COPY(Jobs);

  /// Thread: the loop's. work runs in offload, on the queue.
  kj::Promise<void> run(kj::Function<void()> work) {
    return environment.offload(
        queue, [gate = kj::atomicAddRef(*gate), work = kj::mv(work)]() mutable {
          auto closed = gate->closed.lockExclusive();
          if (!*closed) work();
        });
  }

private:
  struct Gate : public kj::AtomicRefcounted {
    kj::MutexGuarded<bool> closed{false};
  };
  sdk::Environment& environment;
  sdk::Queue queue;
  kj::Own<Gate> gate;
};

}  // namespace polyquorum::file
