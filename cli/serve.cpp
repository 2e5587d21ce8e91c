// SPDX-License-Identifier: Apache-2.0
// See serve.h.
#include "cli/serve.h"
#include <kj/debug.h>
#include <signal.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include "cli/output.h"
#include "kernel/arena.h"
#include "kernel/event_port.h"
#include "kernel/loader.h"
#include "kernel/node.h"
#include "kernel/system_environment.h"

namespace polyquorum::cli {
namespace {

constexpr auto STOP_LIMIT = 10 * kj::SECONDS;  // then the log on disk is good enough

/// KJ would run its own events for ever before it looks at sockets again; this often it looks.
constexpr std::uint32_t EVENTS_BETWEEN_POLLS = 512;

long long sinceStartMs(std::chrono::steady_clock::time_point start) {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now() - start).count();
}

/// The first SIGTERM or SIGINT fulfils; the second ends the process.
class Signals {
 public:
  explicit Signals(boost::asio::io_context& io) : set(io, SIGTERM, SIGINT) {
    auto paf = kj::newPromiseAndFulfiller<int>();
    fulfiller = kj::mv(paf.fulfiller);
    promise = kj::mv(paf.promise);
    listen();
  }
  kj::Promise<int> first() { return kj::mv(promise); }

 private:
  boost::asio::signal_set set;
  kj::Own<kj::PromiseFulfiller<int>> fulfiller;
  kj::Promise<int> promise = nullptr;
  bool seen = false;

  void listen() {
    set.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (seen) _exit(128 + signal);
      seen = true;
      fulfiller->fulfill(kj::cp(signal));
      listen();
    });
  }
};

const kernel::ServerRow& rowOf(const kernel::Config& config, std::uint32_t id) {
  auto* row = config.server(id);
  if (row != nullptr) return *row;
  std::string all;
  for (auto& other : config.servers) all += (all.empty() ? "" : ", ") + std::to_string(other.id);
  throw Refusal(USAGE, "there is no server " + std::to_string(id) + " in " + config.file +
                           "; its servers are " + all);
}

std::string doors(const kernel::ServerRow& row) {
  std::string text;
  for (auto& [api, address] : row.apis) text += " " + api + "=" + address;
  return text;
}

}  // namespace

Exit serve(const kernel::Config& given, const ServeSettings& settings) {
  auto start = std::chrono::steady_clock::now();
  rowOf(given, settings.id);
  auto wiring = kernel::load(given);
  auto config = kernel::completed(given, wiring);
  auto& row = rowOf(config, settings.id);
  signal(SIGPIPE, SIG_IGN);
  kernel::useArena();
  kernel::EventPort port;
  port.setBusyPoll(config.loop.busyPollUs * kj::MICROSECONDS);
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  scope.setBusyPollInterval(EVENTS_BETWEEN_POLLS);
  Signals signals(port.io());
  kernel::SystemEnvironment environment(port, {row.data, row.log, settings.level});
  auto log = [&](sdk::Level level, const std::string& line) {
    environment.log(level, line.c_str());
  };
  for (auto& hint : config.hints) log(sdk::Level::WARNING, "config.hint " + hint.text());
  if (config.insecure) log(sdk::Level::WARNING, "config.insecure true: no TLS on any address");

  auto node = kernel::startNode(config, wiring, {settings.id, settings.bootstrap}, environment);
  auto stopped = signals.first().fork();
  auto failed = node->failed().fork();
  bool serving = false;
  node->started()
      .then([&]() { serving = true; })
      .exclusiveJoin(failed.addBranch())
      .exclusiveJoin(stopped.addBranch().ignoreResult())
      .wait(scope);
  if (serving) {
    log(sdk::Level::INFO, "server.serving id=" + std::to_string(row.id) + doors(row) +
                              " startMs=" + std::to_string(sinceStartMs(start)));
    if (settings.onServing) settings.onServing();
  }
  Exit code = DONE;
  auto thrown = kj::runCatchingExceptions([&]() {
    auto ended = failed.addBranch().then([]() { return 0; });
    int signal = stopped.addBranch().exclusiveJoin(kj::mv(ended)).wait(scope);
    log(sdk::Level::INFO, "server.stopping signal=" + std::to_string(signal));
    environment.timer().timeoutAfter(STOP_LIMIT, node->stop()).wait(scope);
    log(sdk::Level::INFO, "server.stopped id=" + std::to_string(row.id));
  });
  KJ_IF_MAYBE (exception, thrown) {
    log(sdk::Level::ERROR, "server.failed reason=" + plainly(exception->getDescription().cStr()));
    code = FAILED;
  }
  return code;
}

}  // namespace polyquorum::cli
