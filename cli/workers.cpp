// SPDX-License-Identifier: Apache-2.0
// Processes with a pipe; see workers.h.
#include "cli/workers.h"
#include <sys/prctl.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include "cli/exit.h"

namespace polyquorum::cli {

Worker startWorker(const std::function<void(int out)>& work) {
  int ends[2];
  if (pipe(ends) != 0) throw Refusal(FAILED, std::string("no pipe: ") + strerror(errno));
  auto pid = fork();
  if (pid < 0) throw Refusal(FAILED, std::string("no process: ") + strerror(errno));
  if (pid == 0) {
    close(ends[0]);
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // a campaign that is ended leaves nothing running
    work(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

void tellAll(int out, const void* data, std::size_t bytes) {
  auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    auto written = write(out, at, bytes);
    if (written <= 0) return;
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

}  // namespace polyquorum::cli
