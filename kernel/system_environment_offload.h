// SPDX-License-Identifier: Apache-2.0
// One helper thread with a queue: jobs in order, results back on the loop in batches. Used by
// SystemEnvironment::offload() only.
#pragma once
#include <kj/async.h>
#include <kj/function.h>
#include <kj/memory.h>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace polyquorum::kernel {

/// The thread starts with the first job. Destroying it waits for the job that runs, drops the rest
/// (their promises are rejected as DISCONNECTED).
class OffloadThread {
public:
  /// io outlives it. name: of the thread, at most 15 characters, static.
  OffloadThread(boost::asio::io_context& io, const char* name);
  ~OffloadThread() noexcept(false);
  KJ_DISALLOW_COPY(OffloadThread);

  /// Thread: the loop's. Dropping the promise does not stop the job; its result is then ignored.
  kj::Promise<void> run(kj::Function<void()> work);

private:
  struct State;
  std::shared_ptr<State> state;
};

}  // namespace polyquorum::kernel
