// SPDX-License-Identifier: Apache-2.0
// One storage under test, spoken to in plain structs: for the cases that every storage must pass
// and for the file storage's own. Loads the plugin as the kernel would; no kernel in here.
#pragma once
#include <dlfcn.h>
#include <kj/async.h>
#include <kj/debug.h>
#include <kj/filesystem.h>
#include <kj/timer.h>
#include <map>
#include <string>
#include <utility>
#include <vector>
#include "interfaces/storage.capnp.h"
#include "sdk/environment.h"
#include "sdk/plugin.h"

namespace polyquorum::conformance {

/// Offloaded work runs on the loop, in order, in a later turn, or when told. Time moves when told.
class TestEnvironment final : public sdk::Environment {
public:
  explicit TestEnvironment(kj::Own<const kj::Directory> data)
      : data(kj::mv(data)), clock(kj::origin<kj::TimePoint>()), queue(kj::READY_NOW) {}

  kj::Timer& timer() override { return clock; }
  std::int64_t wallTimeMs() override { return 1'700'000'000'000; }
  std::uint64_t random() override {
    return seed = seed * 6364136223846793005u + 1442695040888963407u;
  }
  kj::Own<const kj::Directory> directory(kj::StringPtr purpose) override {
    if (purpose == "log") {
      KJ_IF_MAYBE(own, log_) return (*own)->clone();
    }
    return data->clone();
  }
  boost::asio::io_context& io() override { KJ_UNIMPLEMENTED("no io in a test"); }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()> work) override {
    if (!holding) return kj::evalLater([work = kj::mv(work)]() mutable { work(); });
    holding = false;
    auto pair = kj::newPromiseAndFulfiller<void>();
    held = kj::mv(pair.fulfiller);
    return pair.promise.then([work = kj::mv(work)]() mutable { work(); });
  }
  /// The next offloaded work waits until it is released; others overtake it.
  void holdNext() { holding = true; }
  void release() { held->fulfill(); }
  void log(sdk::Level, kj::StringPtr line) override { lines.push_back(line.cStr()); }

  void useLogDirectory(kj::Own<const kj::Directory> directory) { log_ = kj::mv(directory); }
  void advance(kj::Duration by) {
    now += by;
    clock.advanceTo(kj::origin<kj::TimePoint>() + now);
  }

  std::vector<std::string> lines;
  std::uint64_t seed = 1;

private:
  bool holding = false;
  kj::Own<kj::PromiseFulfiller<void>> held;
  kj::Own<const kj::Directory> data;
  kj::Maybe<kj::Own<const kj::Directory>> log_;
  kj::TimerImpl clock;
  kj::Duration now = 0 * kj::SECONDS;
  kj::Promise<void> queue;
};

struct Put {
  std::uint64_t index = 0, stamp = 0;
  std::string body;
  bool operator==(const Put& other) const {
    return index == other.index && stamp == other.stamp && body == other.body;
  }
};

struct At {
  std::uint64_t stamp = 0, index = 0;
  bool operator==(const At& other) const { return stamp == other.stamp && index == other.index; }
};

struct Link {  ///< A segment of the chain.
  std::uint32_t id = 0;
  std::uint64_t base = 0;
  bool operator==(const Link& other) const { return id == other.id && base == other.base; }
};

struct WriteOf {
  std::uint32_t segment = 0;
  At base{};
  std::uint64_t trim = 0, truncateFrom = 0;
  std::vector<Put> entries{};
  std::vector<std::pair<std::string, std::uint64_t>> facts{};
  std::vector<Link> next{};  ///< Empty or one.
};

using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

struct ReadOf {
  std::uint64_t first = 0;
  std::vector<Put> entries;
  Ranges damaged;
};

struct RunOf {
  std::uint64_t first, count, stamp;
  bool operator==(const RunOf& other) const {
    return first == other.first && count == other.count && stamp == other.stamp;
  }
};

struct LogOf {
  std::vector<RunOf> runs;
  std::map<std::string, std::uint64_t> facts;
  Ranges damaged;
};

struct OpenOf {
  std::vector<Link> chain;
  std::map<std::uint32_t, LogOf> logs;
  bool hasSnapshot = false;
  At snapshot;
};

/// Puts the plain writes into a request or message.
void fill(capnp::List<storage::Write>::Builder out, const std::vector<WriteOf>& writes);

/// A storage and its world. Destroying it without waiting is a crash of the process.
class StorageHost {
public:
  StorageHost(kj::WaitScope& scope, kj::Own<const kj::Directory> directory)
      : environment(kj::mv(directory)), scope(scope), instance(nullptr) {}

  /// Makes an instance from the plugin file, with options by name.
  void load(const char* file, const std::map<std::string, std::string>& options = {});

  OpenOf open();
  kj::Promise<void> start(const std::vector<WriteOf>& writes);
  void write(const WriteOf& write) { start({write}).wait(scope); }
  ReadOf read(std::uint32_t segment, std::uint64_t first, std::uint64_t last,
              std::uint32_t bytesMax = 1 << 20);
  /// Stages a whole image.
  void stage(At at, const std::string& image, const std::vector<Link>& chain = {},
             std::size_t chunk = 1000);
  storage::Sink::Client stageOnly(At at, std::uint64_t bytes, const std::vector<Link>& chain = {});
  /// The image in use.
  std::string image();

  TestEnvironment environment;
  kj::WaitScope& scope;
  storage::Storage::Client instance;
  plugin::Plugin::Client factory = nullptr;
};

}  // namespace polyquorum::conformance
