// SPDX-License-Identifier: Apache-2.0
// Measures the file storage on a real disk: grouped writes, a lone write beside a raw one, open.
// Usage: storage_bench <folder> [entries]. Prints one line for each figure.
#include <fcntl.h>
#include <kj/async-unix.h>
#include <kj/debug.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include "plugins/storage/file/file_storage.h"
#include "sdk/environment.h"

namespace polyquorum::file {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double processorSeconds() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
         (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

/// One real helper thread, as the kernel has.
class BenchEnvironment final : public sdk::Environment {
public:
  BenchEnvironment(kj::Own<const kj::Directory> folder, kj::UnixEventPort& port)
      : folder(kj::mv(folder)), port(port), helper([this]() { serve(); }) {}
  ~BenchEnvironment() noexcept(false) {
    {
      std::lock_guard<std::mutex> guard(mutex);
      ending = true;
    }
    wake.notify_one();
    helper.join();
  }
  kj::Timer& timer() override { return port.getTimer(); }
  std::int64_t wallTimeMs() override { return 0; }
  std::uint64_t random() override { return 12345; }
  kj::Own<const kj::Directory> directory(kj::StringPtr) override { return folder->clone(); }
  boost::asio::io_context& io() override { KJ_UNIMPLEMENTED("no io"); }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()> work) override {
    auto pair = kj::newPromiseAndCrossThreadFulfiller<void>();
    {
      std::lock_guard<std::mutex> guard(mutex);
      jobs.push_back(Job{kj::mv(work), kj::mv(pair.fulfiller)});
    }
    wake.notify_one();
    return kj::mv(pair.promise);
  }
  void log(sdk::Level, kj::StringPtr line) override { std::fprintf(stderr, "%s\n", line.cStr()); }

private:
  struct Job {
    kj::Function<void()> work;
    kj::Own<kj::CrossThreadPromiseFulfiller<void>> done;
  };
  kj::Own<const kj::Directory> folder;
  kj::UnixEventPort& port;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;
  bool ending = false;
  std::thread helper;

  void serve() {
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
      wake.wait(lock, [this]() { return ending || !jobs.empty(); });
      if (jobs.empty()) return;
      auto job = kj::mv(jobs.front());
      jobs.pop_front();
      lock.unlock();
      KJ_IF_MAYBE(e, kj::runCatchingExceptions([&]() { job.work(); })) {
        job.done->reject(kj::mv(*e));
      } else {
        job.done->fulfill();
      }
      lock.lock();
    }
  }
};

kj::Promise<void> writeEntries(storage::Storage::Client& client, std::uint64_t first,
                               unsigned count, unsigned bytes) {
  static const std::string body(bytes, 'b');
  auto request = client.writeRequest();
  auto entries = request.initWrites(1)[0].initEntries(count);
  for (unsigned i = 0; i < count; i++) {
    entries[i].setIndex(first + i);
    entries[i].setStamp(1);
    entries[i].setBody(capnp::Data::Reader(reinterpret_cast<const capnp::byte*>(body.data()),
                                           body.size()));
  }
  return request.send().ignoreResult();
}

kj::Promise<void> lane(storage::Storage::Client& client, std::uint64_t& next, std::uint64_t end) {
  if (next > end) return kj::READY_NOW;
  auto first = next;
  next += 64;
  return writeEntries(client, first, 64, 150).then([&client, &next, end]() {
    return lane(client, next, end);
  });
}

void percentiles(const char* what, std::vector<double>& seconds) {
  std::sort(seconds.begin(), seconds.end());
  std::printf("%s p50 %.0f us p99 %.0f us\n", what, seconds[seconds.size() / 2] * 1e6,
              seconds[seconds.size() * 99 / 100] * 1e6);
}

void rawWrites(const std::string& folder, unsigned count) {
  auto name = folder + "/raw";
  int fd = open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  std::string zeros(16 << 20, 0), page(4096, 'p');
  KJ_SYSCALL(pwrite(fd, zeros.data(), zeros.size(), 0));
  KJ_SYSCALL(fsync(fd));
  std::vector<double> seconds;
  for (unsigned i = 0; i < count; i++) {
    auto start = Clock::now();
    KJ_SYSCALL(pwrite(fd, page.data(), 512, i * 512));
    KJ_SYSCALL(fdatasync(fd));
    seconds.push_back(secondsSince(start));
  }
  close(fd);
  unlink(name.c_str());
  percentiles("raw pwrite 512 B + fdatasync, zero-filled file:", seconds);
}

void openAgain(kj::Directory const& folder, kj::UnixEventPort& port, kj::WaitScope& scope) {
  BenchEnvironment environment(folder.clone(), port);
  storage::Storage::Client client = kj::heap<FileStorage>(environment, Settings());
  auto start = Clock::now();
  auto processor = processorSeconds();
  auto opened = client.openRequest().send().wait(scope);
  auto seconds = secondsSince(start);
  std::uint64_t entries = 0;
  for (auto log : opened.getLogs()) {
    for (auto run : log.getRuns()) entries += run.getCount();
  }
  std::printf("open: %.1f ms, %.1f ms of processor, for %llu entries\n", seconds * 1e3,
              (processorSeconds() - processor) * 1e3, static_cast<unsigned long long>(entries));
}

void run(const std::string& path, std::uint64_t total) {
  kj::UnixEventPort port;
  kj::EventLoop loop(port);
  kj::WaitScope scope(loop);
  auto root = kj::newDiskFilesystem();
  auto folder = root->getRoot().openSubdir(
      root->getCurrentPath().evalNative(path), kj::WriteMode::CREATE | kj::WriteMode::MODIFY);
  openAgain(*folder, port, scope);
  {
    BenchEnvironment environment(folder->clone(), port);
    storage::Storage::Client client = kj::heap<FileStorage>(environment, Settings());
    client.openRequest().send().wait(scope);
    std::uint64_t next = 1;
    auto start = Clock::now();
    auto processor = processorSeconds();
    kj::Vector<kj::Promise<void>> lanes;
    for (int i = 0; i < 4; i++) lanes.add(lane(client, next, total));
    kj::joinPromises(lanes.releaseAsArray()).wait(scope);
    auto seconds = secondsSince(start);
    std::printf("grouped: %.0f entries/s, %.2f us of processor each (64 x 150 B, 4 at once)\n",
                (next - 1) / seconds, (processorSeconds() - processor) / (next - 1) * 1e6);
    std::vector<double> lone;
    for (int i = 0; i < 2000; i++) {
      auto begun = Clock::now();
      writeEntries(client, next++, 1, 150).wait(scope);
      lone.push_back(secondsSince(begun));
    }
    percentiles("lone write through the storage:", lone);
  }
  rawWrites(path, 2000);
  openAgain(*folder, port, scope);
}

}  // namespace
}  // namespace polyquorum::file

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: storage_bench <empty folder> [entries]\n");
    return 2;
  }
  polyquorum::file::run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000);
}
