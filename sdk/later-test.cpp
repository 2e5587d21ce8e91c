// SPDX-License-Identifier: Apache-2.0
// Work at the end of what the loop does now is done once, in its place.
#include "sdk/later.h"
#include <catch2/catch.hpp>
#include <kj/debug.h>
#include <string>
#include <vector>

using namespace polyquorum;

namespace {

struct Bench final : public kj::TaskSet::ErrorHandler {
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  std::vector<std::string> lines;

  void taskFailed(kj::Exception&& why) override { lines.push_back(why.getDescription().cStr()); }
  kj::Function<void()> says(const char* line) {
    return [this, line]() { lines.push_back(line); };
  }
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("what is asked for twice before it runs is done once, and can be asked for again") {
  Bench bench;
  sdk::Later work(bench, bench.says("done"));
  work.soon();
  work.soon();
  CHECK(bench.lines.empty());
  bench.scope.poll();
  CHECK(bench.lines == Lines{"done"});
  work.soon();
  bench.scope.poll();
  CHECK(bench.lines == Lines{"done", "done"});
}

TEST_CASE("soon is behind what waits by now, last behind what that brings, as evalLater and evalLast are") {
  Bench bench;
  sdk::Later last(bench, bench.says("last"));
  sdk::Later soon(bench, bench.says("soon"));
  last.last();
  auto before = kj::evalLater([&]() {
    bench.lines.push_back("before");
    return kj::evalLater([&]() { bench.lines.push_back("brought"); });
  }).eagerlyEvaluate(nullptr);
  soon.soon();
  auto after = kj::evalLater([&]() { bench.lines.push_back("after"); }).eagerlyEvaluate(nullptr);
  bench.scope.poll();
  CHECK(bench.lines == Lines{"before", "soon", "after", "brought", "last"});
}

TEST_CASE("work may ask for itself, and what it throws is told") {
  Bench bench;
  int left = 2;
  kj::Maybe<sdk::Later> work;
  work.emplace(bench, [&]() {
    bench.lines.push_back("done");
    if (left-- > 0) KJ_ASSERT_NONNULL(work).last();
    if (left == 0) kj::throwFatalException(KJ_EXCEPTION(FAILED, "thrown"));
  });
  KJ_ASSERT_NONNULL(work).last();
  bench.scope.poll();
  CHECK(bench.lines == Lines{"done", "done", "thrown", "done"});
}

TEST_CASE("what was cancelled or destroyed is not done") {
  Bench bench;
  sdk::Later cancelled(bench, bench.says("cancelled"));
  cancelled.soon();
  cancelled.cancel();
  {
    sdk::Later destroyed(bench, bench.says("destroyed"));
    destroyed.last();
  }
  bench.scope.poll();
  CHECK(bench.lines.empty());
}
