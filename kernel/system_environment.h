// SPDX-License-Identifier: Apache-2.0
// The outside world of a real process: clocks, chance, disk, helper threads, log lines on stderr.
// The only room below the plugins that asks the operating system for any of these.
#pragma once
#include <kj/memory.h>
#include <string>
#include "sdk/environment.h"

namespace polyquorum::kernel {

class EventPort;

struct SystemSettings {
  std::string data;                     ///< absolute; made with mode 0700 if absent
  std::string log;                      ///< absolute; empty: the data directory
  sdk::Level level = sdk::Level::INFO;  ///< less important lines are dropped
  int logFd = 2;                        ///< where lines go; not closed
  /// Refuse a data directory that another process uses, by a lock on data/server.lock.
  bool lock = true;
};

/// Thread: the loop's, except for what the work given to offload() does. The port outlives it.
/// Destroying it waits for the job that runs and drops those that wait.
class SystemEnvironment final : public sdk::Environment {
 public:
  /// Throws FAILED with the cure if the directory cannot be made or is in use.
  SystemEnvironment(EventPort& port, const SystemSettings& settings);
  ~SystemEnvironment() noexcept(false);
  KJ_DISALLOW_COPY(SystemEnvironment);

  kj::Timer& timer() override;
  std::int64_t wallTimeMs() override;
  std::uint64_t random() override;
  kj::Own<const kj::Directory> directory(kj::StringPtr purpose) override;
  boost::asio::io_context& io() override;
  kj::Promise<void> offload(sdk::Queue queue, kj::Function<void()> work) override;
  void log(sdk::Level level, kj::StringPtr line) override;

 private:
  struct State;
  kj::Own<State> state;
};

/// "2026-11-25T16:08:26.123Z INFO leader.elected term=7\n": every byte that is not printable ASCII
/// is escaped as \\xNN, so that nobody can forge a second line or move the terminal's cursor.
std::string logLine(std::int64_t wallTimeMs, sdk::Level level, kj::StringPtr line);

/// "debug", "info", "warning" or "error"; false if it is none.
bool parseLevel(const std::string& text, sdk::Level& out);

}  // namespace polyquorum::kernel
