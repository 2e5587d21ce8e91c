// SPDX-License-Identifier: Apache-2.0
// See four_letter.h.
#include "cli/four_letter.h"
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <sstream>
#include <thread>

namespace polyquorum::cli {
namespace {

constexpr std::size_t ANSWER_BYTES_MAX = 4 << 20;

using Clock = std::chrono::steady_clock;

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) close(fd);
  }
};

/// True once events are there before the deadline.
bool ready(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() < 0) return false;
    pollfd entry{fd, events, 0};
    int count = poll(&entry, 1, static_cast<int>(left.count()) + 1);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return false;
  }
}

bool connectTo(const addrinfo& info, Socket& out, Clock::time_point deadline) {
  out.fd = socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (out.fd < 0) return false;
  if (connect(out.fd, info.ai_addr, info.ai_addrlen) == 0) return true;
  if (errno != EINPROGRESS || !ready(out.fd, POLLOUT, deadline)) return false;
  int error = 0;
  socklen_t size = sizeof(error);
  return getsockopt(out.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

std::string exchange(int fd, const std::string& word, Clock::time_point deadline) {
  if (send(fd, word.data(), word.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(word.size())) {
    return "";
  }
  std::string answer;
  char piece[4096];
  while (answer.size() < ANSWER_BYTES_MAX && ready(fd, POLLIN, deadline)) {
    auto size = recv(fd, piece, sizeof(piece), 0);
    if (size == 0) return answer;
    if (size < 0 && errno != EAGAIN && errno != EINTR) return answer;
    if (size > 0) answer.append(piece, size);
  }
  return answer;
}

}  // namespace

std::string fourLetterWord(const std::string& address, const std::string& word, int timeoutMs) {
  auto deadline = Clock::now() + std::chrono::milliseconds(timeoutMs);
  auto colon = address.rfind(':');
  if (colon == std::string::npos) return "";
  auto host = address.substr(0, colon);
  auto port = address.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  addrinfo wish{}, *found = nullptr;
  wish.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host.c_str(), port.c_str(), &wish, &found) != 0) return "";
  std::string answer;
  for (auto* one = found; one != nullptr && answer.empty(); one = one->ai_next) {
    Socket socket;
    if (connectTo(*one, socket, deadline)) answer = exchange(socket.fd, word, deadline);
  }
  freeaddrinfo(found);
  return answer;
}

ServerState parseSrvr(const std::string& answer) {
  ServerState state;
  state.answered = !answer.empty();
  std::istringstream lines(answer);
  std::string line;
  while (std::getline(lines, line)) {
    auto colon = line.find(": ");
    if (colon == std::string::npos) continue;
    auto name = line.substr(0, colon);
    auto value = line.substr(colon + 2);
    if (name == "Zookeeper version") state.version = value;
    if (name.rfind("Latency", 0) == 0) state.latency = value;
    if (name == "Received") state.received = value;
    if (name == "Sent") state.sent = value;
    if (name == "Connections") state.connections = value;
    if (name == "Outstanding") state.outstanding = value;
    if (name == "Zxid") state.zxid = value;
    if (name == "Mode") state.mode = value;
    if (name == "Node count") state.nodes = value;
  }
  state.serving = !state.mode.empty();
  return state;
}

std::vector<ServerState> askServers(const std::vector<std::string>& addresses, int timeoutMs) {
  std::vector<ServerState> states(addresses.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < addresses.size(); i++) {
    threads.emplace_back([&, i]() {
      states[i] = parseSrvr(fourLetterWord(addresses[i], "srvr", timeoutMs));
    });
  }
  for (auto& thread : threads) thread.join();
  return states;
}

}  // namespace polyquorum::cli
