// SPDX-License-Identifier: Apache-2.0
// See processes.h.
#include "cli/processes.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include "cli/exit.h"

namespace polyquorum::cli {
namespace {

/// Field 22 of /proc/<pid>/stat; 0 if the process is gone or a zombie.
unsigned long long startTimeOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  auto end = text.rfind(')');  // the name before it may hold anything
  if (end == std::string::npos) return 0;
  std::istringstream fields(text.substr(end + 1));
  std::string field, state;
  fields >> state;
  if (state == "Z" || state == "X") return 0;
  unsigned long long value = 0;
  for (int number = 4; number <= 21; number++) fields >> field;
  fields >> value;
  return value;
}

/// In the child, between fork and exec: only async-signal-safe calls.
[[noreturn]] void becomeServer(const char* program, char** arguments, int log, bool detached,
                               pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (detached) {
    setsid();
  } else {
    setpgid(0, 0);  // Ctrl-C goes to the parent only, which stops its servers in order
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(1);
  }
  int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(log, 1);
  dup2(log, 2);
  execv(program, arguments);
  _exit(127);
}

}  // namespace

ProcessId launch(const Launch& launch) {
  int log = open(launch.logFile.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) {
    throw Refusal(FAILED, "cannot write " + launch.logFile + ": " + std::strerror(errno));
  }
  auto program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<char*> arguments{program.data()};
  auto copies = launch.arguments;
  for (auto& argument : copies) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  auto parent = getpid();
  auto pid = fork();
  if (pid == 0) becomeServer(program.c_str(), arguments.data(), log, launch.detached, parent);
  close(log);
  if (pid < 0)
    throw Refusal(FAILED, std::string("cannot start a process: ") + std::strerror(errno));
  return {pid, startTimeOf(pid)};
}

bool isAlive(const ProcessId& process) {
  return process.pid > 0 && process.startTime != 0 && startTimeOf(process.pid) == process.startTime;
}

bool sendSignal(const ProcessId& process, int signal) {
  return isAlive(process) && kill(process.pid, signal) == 0;
}

bool waitForEnd(const ProcessId& process, int timeoutMs) {
  if (!isAlive(process)) return true;
  int fd = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
  if (fd < 0) return !isAlive(process);
  pollfd entry{fd, POLLIN, 0};
  poll(&entry, 1, timeoutMs);
  close(fd);
  return !isAlive(process);
}

ProcessId readPidFile(const std::string& file) {
  ProcessId process;
  std::ifstream stream(file);
  if (!(stream >> process.pid >> process.startTime)) return {};
  return process;
}

void writePidFile(const std::string& file, const ProcessId& process) {
  auto fresh = file + ".new";
  std::ofstream(fresh) << process.pid << " " << process.startTime << "\n";
  std::error_code error;
  std::filesystem::rename(fresh, file, error);
  if (error) throw Refusal(FAILED, "cannot write " + file + ": " + error.message());
}

SignalWait::SignalWait() {
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, &before);
}

SignalWait::~SignalWait() { sigprocmask(SIG_SETMASK, &before, nullptr); }

int SignalWait::next(int timeoutMs) {
  timespec limit{timeoutMs / 1000, (timeoutMs % 1000) * 1000000L};
  int signal = sigtimedwait(&set, nullptr, &limit);
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  return signal < 0 ? 0 : signal;
}

}  // namespace polyquorum::cli
