// SPDX-License-Identifier: Apache-2.0
// The real environment: directories, the lock, offloaded work, log lines.
#include "kernel/system_environment.h"
#include <kj/debug.h>
#include <kj/vector.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>
#include "kernel/event_port.h"
#include "tests/support/folder.h"

namespace polyquorum::kernel {
namespace {

using test::Folder;

struct Fixture {
  Folder folder;
  EventPort port;
  kj::EventLoop loop{port};
  kj::WaitScope scope{loop};
  SystemSettings settings;
  Fixture() { settings.data = folder.path + "/deep/data"; }
};

std::string descriptionOf(kj::Function<void()> work) {
  auto thrown = kj::runCatchingExceptions([&]() { work(); });
  KJ_IF_MAYBE(exception, thrown) return exception->getDescription().cStr();
  return "";
}

TEST_CASE_METHOD(Fixture, "environment: the data directory is made, for this user alone") {
  SystemEnvironment environment(port, settings);

  struct stat info;
  REQUIRE(stat(settings.data.c_str(), &info) == 0);
  REQUIRE((info.st_mode & 0777) == 0700);
  environment.directory("data")
      ->openFile(kj::Path("seen"), kj::WriteMode::CREATE)
      ->writeAll("x");
  REQUIRE(environment.directory("log")->exists(kj::Path("seen")));
}

TEST_CASE_METHOD(Fixture, "environment: a separate log directory is separate") {
  settings.log = folder.path + "/log";
  SystemEnvironment environment(port, settings);

  environment.directory("log")->openFile(kj::Path("wal"), kj::WriteMode::CREATE);

  REQUIRE(std::filesystem::exists(folder.path + "/log/wal"));
  REQUIRE_FALSE(std::filesystem::exists(settings.data + "/wal"));
  REQUIRE(descriptionOf([&]() { environment.directory("cache"); }) != "");
}

TEST_CASE_METHOD(Fixture, "environment: a data directory in use is refused with the process") {
  auto first = kj::heap<SystemEnvironment>(port, settings);

  auto text = descriptionOf([&]() { SystemEnvironment second(port, settings); });
  REQUIRE(text.find("in use by process " + std::to_string(getpid())) != std::string::npos);

  first = nullptr;
  SystemEnvironment third(port, settings);
}

TEST_CASE_METHOD(Fixture, "environment: a data directory that cannot be made names the cure") {
  settings.data = "/proc/self/nothing/data";

  auto text = descriptionOf([&]() { SystemEnvironment environment(port, settings); });

  REQUIRE(text.find("/proc/self/nothing/data cannot be opened") != std::string::npos);
  REQUIRE(text.find("name another one in the YAML") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "environment: offloaded jobs run in order on another thread") {
  SystemEnvironment environment(port, settings);
  std::vector<int> order;
  std::set<std::thread::id> threads;
  kj::Vector<kj::Promise<void>> jobs;

  for (int i = 0; i < 1000; i++) {
    jobs.add(environment.offload(sdk::Queue::PROMPT, [&, i]() {
      order.push_back(i);
      threads.insert(std::this_thread::get_id());
    }));
  }
  kj::joinPromises(jobs.releaseAsArray()).wait(scope);

  REQUIRE(order.size() == 1000);
  REQUIRE(std::is_sorted(order.begin(), order.end()));
  REQUIRE(threads.size() == 1);
  REQUIRE(threads.count(std::this_thread::get_id()) == 0);
}

TEST_CASE_METHOD(Fixture, "environment: a prompt job does not wait for a bulk job that takes long") {
  SystemEnvironment environment(port, settings);
  std::mutex gate;
  gate.lock();

  auto image = environment.offload(sdk::Queue::BULK, [&]() { std::lock_guard wait(gate); });
  environment.offload(sdk::Queue::PROMPT, []() {}).wait(scope);
  CHECK(!image.poll(scope));
  gate.unlock();
  image.wait(scope);
}

TEST_CASE_METHOD(Fixture, "environment: a throw in offloaded work rejects its promise only") {
  SystemEnvironment environment(port, settings);

  auto bad = environment.offload(sdk::Queue::PROMPT, []() { KJ_FAIL_REQUIRE("disk is on fire"); });
  auto good = environment.offload(sdk::Queue::PROMPT, []() {});

  REQUIRE(descriptionOf([&]() { bad.wait(scope); }).find("disk is on fire") != std::string::npos);
  good.wait(scope);
}

TEST_CASE_METHOD(Fixture, "environment: destroying it rejects the jobs that never ran") {
  auto environment = kj::heap<SystemEnvironment>(port, settings);
  std::atomic<bool> ran{false};
  std::mutex gate;
  gate.lock();

  auto first = environment->offload(sdk::Queue::PROMPT, [&]() { std::lock_guard wait(gate); });
  auto second = environment->offload(sdk::Queue::PROMPT, [&]() { ran = true; });
  std::thread opener([&]() {
    std::this_thread::yield();
    gate.unlock();
  });
  environment = nullptr;
  opener.join();

  // The second may have run before the end was seen; either way it is settled.
  auto text = descriptionOf([&]() { second.wait(scope); });
  REQUIRE((ran ? text == "" : text.find("stopping") != std::string::npos));
  descriptionOf([&]() { first.wait(scope); });
}

TEST_CASE_METHOD(Fixture, "environment: a lone offload comes back in well under a millisecond") {
  SystemEnvironment environment(port, settings);
  environment.offload(sdk::Queue::PROMPT, []() {}).wait(scope);
  std::vector<double> us;

  for (int i = 0; i < 500; i++) {
    auto start = std::chrono::steady_clock::now();
    environment.offload(sdk::Queue::PROMPT, []() {}).wait(scope);
    std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    us.push_back(took.count());
  }
  std::sort(us.begin(), us.end());

  INFO("offload round trip: p50 " << us[250] << " us, p99 " << us[495] << " us");
  REQUIRE(us[250] < 1000);
}

TEST_CASE_METHOD(Fixture, "environment: random bits differ") {
  SystemEnvironment environment(port, settings);
  std::set<std::uint64_t> seen;

  for (int i = 0; i < 1000; i++) seen.insert(environment.random());

  REQUIRE(seen.size() == 1000);
}

TEST_CASE("environment: a log line is one line whatever it is made of") {
  REQUIRE(logLine(1764086906123, sdk::Level::WARNING, "leader.lost peer=2") ==
          "2025-11-25T16:08:26.123Z WARNING leader.lost peer=2\n");
  REQUIRE(logLine(0, sdk::Level::INFO, "a\nb\x1b[31m\xff") ==
          "1970-01-01T00:00:00.000Z INFO a\\x0ab\\x1b[31m\\xff\n");
}

TEST_CASE_METHOD(Fixture, "environment: lines below the level are dropped") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  settings.logFd = ends[1];
  settings.level = sdk::Level::WARNING;
  SystemEnvironment environment(port, settings);

  environment.log(sdk::Level::INFO, "quiet");
  environment.log(sdk::Level::ERROR, "loud");
  close(ends[1]);
  char text[200] = {};
  auto size = read(ends[0], text, sizeof(text) - 1);
  close(ends[0]);

  REQUIRE(size > 0);
  REQUIRE(std::string(text).find("ERROR loud") != std::string::npos);
  REQUIRE(std::string(text).find("quiet") == std::string::npos);
}

}  // namespace
}  // namespace polyquorum::kernel
