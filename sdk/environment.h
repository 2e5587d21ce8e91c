// SPDX-License-Identifier: Apache-2.0
// The outside world as a plugin sees it: time, chance, disk, network, log. No implementation lives
// here: the kernel has the real one, the simulator another.
#pragma once
#include <kj/async.h>
#include <kj/filesystem.h>
#include <kj/function.h>
#include <kj/string.h>
#include <kj/timer.h>
#include <cstdint>

namespace boost::asio {
class io_context;
}

namespace polyquorum::sdk {

enum class Level : std::uint8_t { DEBUG, INFO, WARNING, ERROR };

/// Of offloaded work: jobs of one queue run in order, the queues beside each other.
enum class Queue : std::uint8_t {
  PROMPT,  ///< somebody waits for each job: the log's flushes
  BULK,    ///< long jobs that nobody waits for: images, purges
};

/// Given to a plugin when it is created; outlives every instance of it. One thread: the loop's.
/// Pure cores (election, consensus) must use nothing of it but log().
class Environment {
public:
  virtual ~Environment() noexcept(false) {}

  /// Monotonic timers of the event loop; virtual time in the simulator.
  virtual kj::Timer& timer() = 0;

  /// Wall time in milliseconds since 1970. For stamps and for eyes; never for safety.
  virtual std::int64_t wallTimeMs() = 0;

  /// 64 fresh random bits; seeded in the simulator.
  virtual std::uint64_t random() = 0;

  /// A folder of this node that the plugin alone uses, made if absent. purpose "data" is the data
  /// directory, "log" the separate log directory (the same folder if none is configured).
  /// Files obey kj::File: datasync() and sync() may be called from offload().
  virtual kj::Own<const kj::Directory> directory(kj::StringPtr purpose) = 0;

  /// The loop's io_context, for transports and APIs only. Throws UNIMPLEMENTED in the simulator.
  virtual boost::asio::io_context& io() = 0;

  /// Runs work on the queue's helper thread; resolves on the loop. work touches nothing that the
  /// loop or the other queue touches meanwhile. A throw in work rejects the promise.
  virtual kj::Promise<void> offload(Queue queue, kj::Function<void()> work) = 0;

  /// One event, one line: `noun.verb key=value`.
  virtual void log(Level level, kj::StringPtr line) = 0;
};

}  // namespace polyquorum::sdk
