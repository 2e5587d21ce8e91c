// SPDX-License-Identifier: Apache-2.0
// Starting, finding and ending server processes of this machine. Knows no cluster.
#pragma once
#include <sys/types.h>
#include <csignal>
#include <string>
#include <vector>

namespace polyquorum::cli {

/// A process that cannot be mistaken for a later one with the same number.
struct ProcessId {
  pid_t pid = 0;
  unsigned long long startTime = 0;   ///< in clock ticks since boot, from /proc
};

struct Launch {
  std::vector<std::string> arguments;   ///< of this same program, without its name
  std::string logFile;                  ///< stdout and stderr are appended to it
  bool detached = false;                ///< else it dies with this process
};

/// Throws Refusal if the program cannot be started.
ProcessId launch(const Launch& launch);

bool isAlive(const ProcessId& process);
/// False if it was gone already.
bool sendSignal(const ProcessId& process, int signal);
/// True if it ended in time, whoever its parent is.
bool waitForEnd(const ProcessId& process, int timeoutMs);

/// "pid startTime" in one small file; pid 0 if there is none.
ProcessId readPidFile(const std::string& file);
void writePidFile(const std::string& file, const ProcessId& process);

/// SIGINT, SIGTERM and SIGCHLD are kept for next() while this lives.
class SignalWait {
public:
  SignalWait();
  ~SignalWait();
  /// The signal that came, or 0 after the time. Children that ended are reaped.
  int next(int timeoutMs);

private:
  sigset_t set, before;
};

}  // namespace polyquorum::cli
