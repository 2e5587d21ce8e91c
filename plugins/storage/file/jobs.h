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
  explicit Jobs(sdk::Environment& environment)
      : environment(environment), gate(kj::atomicRefcounted<Gate>()) {}
  ~Jobs() noexcept(false) { *gate->closed.lockExclusive() = true; }
  KJ_DISALLOW_COPY(Jobs);

  /// Thread: the loop's. work runs in offload.
  kj::Promise<void> run(kj::Function<void()> work) {
    return environment.offload(
        [gate = kj::atomicAddRef(*gate), work = kj::mv(work)]() mutable {
          auto closed = gate->closed.lockExclusive();
          if (!*closed) work();
        });
  }

private:
  struct Gate : public kj::AtomicRefcounted {
    kj::MutexGuarded<bool> closed{false};
  };
  sdk::Environment& environment;
  kj::Own<Gate> gate;
};

}  // namespace polyquorum::file
