// SPDX-License-Identifier: Apache-2.0
// See system_environment.h.
#include "kernel/system_environment.h"
#include <errno.h>
#include <fcntl.h>
#include <kj/debug.h>
#include <kj/io.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>
#include <chrono>
#include <ctime>
#include "kernel/event_port.h"
#include "kernel/system_environment_offload.h"

namespace polyquorum::kernel {
namespace {

constexpr kj::StringPtr LOCK_FILE = "server.lock"_kj;
constexpr const char* LEVELS[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

/// Fresh bits, fetched from the kernel a page at a time.
class Chance {
public:
  std::uint64_t next() {
    if (used == COUNT) refill();
    auto word = words[used];
    words[used++] = 0;
    return word;
  }

private:
  static constexpr std::size_t COUNT = 32;  // 256 bytes: getrandom() never gives fewer at once
  std::uint64_t words[COUNT];
  std::size_t used = COUNT;

  void refill() {
    ssize_t size;
    KJ_SYSCALL(size = getrandom(words, sizeof(words), 0));
    KJ_ASSERT(size == sizeof(words));
    used = 0;
  }
};

kj::Path toPath(const std::string& absolute) {
  KJ_REQUIRE(!absolute.empty() && absolute[0] == '/', "a directory must be absolute",
             absolute.c_str());
  return kj::Path::parse(kj::StringPtr(absolute.c_str()).slice(1));
}

kj::Own<const kj::Directory> openFolder(const kj::Filesystem& disk, const std::string& path,
                                        const char* purpose) {
  kj::Own<const kj::Directory> folder;
  auto thrown = kj::runCatchingExceptions([&]() {
    folder = disk.getRoot().openSubdir(toPath(path), kj::WriteMode::CREATE | kj::WriteMode::MODIFY |
                                                         kj::WriteMode::CREATE_PARENT |
                                                         kj::WriteMode::PRIVATE);
  });
  KJ_IF_MAYBE(exception, thrown) {
    kj::throwFatalException(KJ_EXCEPTION(
        FAILED, kj::str("the ", purpose, " directory ", path.c_str(), " cannot be opened: ",
                        exception->getDescription(), "; make it writable for this user or name "
                        "another one in the YAML")));
  }
  return folder;
}

/// Held for the life of the process; the operating system drops it whatever happens.
kj::AutoCloseFd lockFolder(const std::string& path) {
  auto file = kj::str(path.c_str(), "/", LOCK_FILE);
  int fd;
  KJ_SYSCALL(fd = open(file.cStr(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), file);
  kj::AutoCloseFd lock(fd);
  char text[32] = {};
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    while (size > 0 && (text[size - 1] < '0' || text[size - 1] > '9')) text[--size] = 0;
    kj::throwFatalException(KJ_EXCEPTION(
        FAILED, kj::str("the data directory ", path.c_str(), " is in use by process ", text,
                        "; stop that one first, or give this server a directory of its own")));
  }
  auto pid = kj::str(getpid(), "\n");
  KJ_SYSCALL(ftruncate(fd, 0));
  KJ_SYSCALL(pwrite(fd, pid.begin(), pid.size(), 0));
  return lock;
}

}  // namespace

struct SystemEnvironment::State {
  State(EventPort& port, const SystemSettings& settings)
      : port(port), settings(settings), disk(kj::newDiskFilesystem()) {}

  EventPort& port;
  SystemSettings settings;
  kj::Own<kj::Filesystem> disk;
  kj::AutoCloseFd lock;
  Chance chance;
  OffloadThread prompt{port.io(), "offload"}, bulk{port.io(), "bulk"};
};

SystemEnvironment::SystemEnvironment(EventPort& port, const SystemSettings& settings)
    : state(kj::heap<State>(port, settings)) {
  openFolder(*state->disk, settings.data, "data");
  if (settings.lock) state->lock = lockFolder(settings.data);
}

SystemEnvironment::~SystemEnvironment() noexcept(false) {}

kj::Timer& SystemEnvironment::timer() { return state->port.timer(); }
boost::asio::io_context& SystemEnvironment::io() { return state->port.io(); }

std::int64_t SystemEnvironment::wallTimeMs() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::uint64_t SystemEnvironment::random() { return state->chance.next(); }

kj::Own<const kj::Directory> SystemEnvironment::directory(kj::StringPtr purpose) {
  auto& settings = state->settings;
  if (purpose == "data") return openFolder(*state->disk, settings.data, "data");
  KJ_REQUIRE(purpose == "log", "there are directories for data and log only", purpose);
  return openFolder(*state->disk, settings.log.empty() ? settings.data : settings.log, "log");
}

kj::Promise<void> SystemEnvironment::offload(sdk::Queue queue, kj::Function<void()> work) {
  return (queue == sdk::Queue::BULK ? state->bulk : state->prompt).run(kj::mv(work));
}

void SystemEnvironment::log(sdk::Level level, kj::StringPtr line) {
  if (level < state->settings.level) return;
  auto text = logLine(wallTimeMs(), level, line);
  // One write, so that lines of several processes on one terminal do not mix. A log that cannot be
  // written is no reason to stop serving.
  ssize_t written = write(state->settings.logFd, text.data(), text.size());
  (void)written;
}

std::string logLine(std::int64_t wallTimeMs, sdk::Level level, kj::StringPtr line) {
  std::time_t seconds = wallTimeMs / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char stamp[64];
  auto size = std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(stamp + size, sizeof(stamp) - size, ".%03dZ ", static_cast<int>(wallTimeMs % 1000));
  std::string text = stamp;
  text += LEVELS[static_cast<unsigned>(level)];
  text += ' ';
  for (unsigned char c : line) {
    if (c >= ' ' && c < 0x7f) {
      text += static_cast<char>(c);
    } else {
      char escaped[5];
      std::snprintf(escaped, sizeof(escaped), "\\x%02x", c);
      text += escaped;
    }
  }
  text += '\n';
  return text;
}

bool parseLevel(const std::string& text, sdk::Level& out) {
  if (text == "debug") out = sdk::Level::DEBUG;
  else if (text == "info") out = sdk::Level::INFO;
  else if (text == "warning") out = sdk::Level::WARNING;
  else if (text == "error") out = sdk::Level::ERROR;
  else return false;
  return true;
}

}  // namespace polyquorum::kernel
