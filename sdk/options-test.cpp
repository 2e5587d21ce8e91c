// SPDX-License-Identifier: Apache-2.0
// Options: each type, and each message with its place, its reason and its cure.
#include "sdk/options.h"
#include <capnp/message.h>
#include <kj/exception.h>
#include <catch2/catch.hpp>

namespace polyquorum::sdk {
namespace {

using Rows = std::vector<std::pair<const char*, const char*>>;

/// Options as if written one a line in cluster.yaml.
struct Written {
  capnp::MallocMessageBuilder message;
  capnp::List<polyquorum::Option>::Reader list;

  explicit Written(const Rows& rows) {
    auto orphan = message.getOrphanage().newOrphan<capnp::List<polyquorum::Option>>(rows.size());
    auto out = orphan.get();
    for (unsigned i = 0; i < rows.size(); i++) {
      out[i].setName(rows[i].first);
      out[i].setValue(rows[i].second);
      out[i].setPlace(kj::str("cluster.yaml:", i + 1, ":3"));
    }
    kept = kj::mv(orphan);
    list = kept.getReader();
  }

private:
  capnp::Orphan<capnp::List<polyquorum::Option>> kept;
};

std::string complaint(Options& options) {
  KJ_IF_MAYBE(exception, kj::runCatchingExceptions([&] { options.finish(); })) {
    return exception->getDescription().cStr();
  }
  return "";
}

constexpr auto MS = kj::MILLISECONDS;

TEST_CASE("options: what is absent has its initial value") {
  Written written(Rows{});
  Options options(written.list);

  CHECK(options.duration("wait", 200 * MS, 1 * MS, 9000 * MS) == 200 * MS);
  CHECK(options.number("count", 7, 0, 9) == 7);
  CHECK(options.bytes("size", 4096, 0, 8192) == 4096);
  CHECK(options.flag("sync", true));
  CHECK(options.text("name", "ada") == "ada");
  CHECK(options.choice("mode", "adopt", {"adopt", "abort"}) == "adopt");
  CHECK(options.list("words", {"a", "b"}) == std::vector<std::string>{"a", "b"});
  CHECK(complaint(options) == "");
}

TEST_CASE("options: each type reads what is written") {
  Written written({{"wait", "2s"}, {"count", "-3"}, {"size", "64KiB"}, {"sync", "false"},
                   {"name", "grace"}, {"mode", "abort"}, {"words", "ruok, srvr, mntr"}});
  Options options(written.list);

  CHECK(options.duration("wait", 1 * MS, 1 * MS, 9 * kj::SECONDS) == 2 * kj::SECONDS);
  CHECK(options.number("count", 7, -5, 9) == -3);
  CHECK(options.bytes("size", 1, 0, 1 << 20) == 65536);
  CHECK_FALSE(options.flag("sync", true));
  CHECK(options.text("name", "") == "grace");
  CHECK(options.choice("mode", "adopt", {"adopt", "abort"}) == "abort");
  CHECK(options.list("words", {}) == std::vector<std::string>{"ruok", "srvr", "mntr"});
  CHECK(complaint(options) == "");
}

TEST_CASE("options: bounds are inclusive") {
  Written written({{"low", "1ms"}, {"high", "60s"}, {"least", "0"}, {"most", "8KiB"}});
  Options options(written.list);

  options.duration("low", 5 * MS, 1 * MS, 60 * kj::SECONDS);
  options.duration("high", 5 * MS, 1 * MS, 60 * kj::SECONDS);
  options.number("least", 5, 0, 9);
  options.bytes("most", 5, 0, 8192);

  CHECK(complaint(options) == "");
}

TEST_CASE("options: every bad value is told at once, with place, key, reason and cure") {
  Written written({{"wait", "fast"}, {"count", "7x"}, {"size", "3 apples"}, {"sync", "yes"},
                   {"mode", "maybe"}, {"tick", "2h"}, {"port", "70000"}, {"cache", "2GiB"}});
  Options options(written.list);

  CHECK(options.duration("wait", 200 * MS, 1 * MS, 60 * kj::SECONDS) == 200 * MS);
  options.number("count", 7, 0, 9);
  options.bytes("size", 1, 0, 10);
  options.flag("sync", true);
  CHECK(options.choice("mode", "adopt", {"adopt", "abort"}) == "adopt");
  CHECK(options.duration("tick", 200 * MS, 1 * MS, 60 * kj::SECONDS) == 200 * MS);
  options.number("port", 1, 1, 65535);
  options.bytes("cache", 1, 1024, 1 << 20);

  CHECK(complaint(options) ==
        "cluster.yaml:1:3: wait: \"fast\" is not a duration; write e.g. 100ms, 2s or 5m\n"
        "cluster.yaml:2:3: count: \"7x\" is not a whole number; write e.g. 7\n"
        "cluster.yaml:3:3: size: \"3 apples\" is not a size; write e.g. 1048576, 64KiB or 1GiB\n"
        "cluster.yaml:4:3: sync: \"yes\" is neither true nor false; write true or false\n"
        "cluster.yaml:5:3: mode: \"maybe\" is not known; write adopt or abort\n"
        "cluster.yaml:6:3: tick: 2h is out of range; write 1ms to 60s\n"
        "cluster.yaml:7:3: port: 70000 is out of range; write 1 to 65535\n"
        "cluster.yaml:8:3: cache: 2GiB is out of range; write 1024 to 1048576 bytes");
}

TEST_CASE("options: an unknown one is told with the nearest known name, if one is near") {
  Written written({{"finaliseWait", "1s"}, {"zzzzzzzz", "1"}});
  Options options(written.list);
  options.duration("finalizeWait", 1 * MS, 1 * MS, 60 * kj::SECONDS);

  CHECK(complaint(options) ==
        "cluster.yaml:1:3: finaliseWait: there is no such option; did you mean finalizeWait?\n"
        "cluster.yaml:2:3: zzzzzzzz: there is no such option");
}

TEST_CASE("options: one written twice is told where") {
  Written written({{"wait", "1s"}, {"wait", "2s"}});
  Options options(written.list);
  options.duration("wait", 1 * MS, 1 * MS, 60 * kj::SECONDS);

  CHECK(complaint(options) == "cluster.yaml:2:3: wait: written twice; keep one (the other is at "
                              "cluster.yaml:1:3)");
}

TEST_CASE("options: a plugin may refuse a value, or a combination, in its own words") {
  Written written(Rows{{"max", "1s"}});
  Options options(written.list);
  options.duration("max", 1 * MS, 1 * MS, 60 * kj::SECONDS);
  options.refuse("max", "is below min; write at least 2s");
  options.refuse("absent", "is needed with max");

  CHECK(complaint(options) == "cluster.yaml:1:3: max: is below min; write at least 2s\n"
                              "absent: is needed with max");
}

TEST_CASE("options: durations and sizes refuse what only looks like them") {
  kj::Duration duration = 0 * MS;
  CHECK(parseDuration("5m", duration));
  CHECK(duration == 5 * kj::MINUTES);
  CHECK(parseDuration("7d", duration));
  CHECK(duration == 7 * kj::DAYS);
  for (auto bad : {"", "5", "ms", "-5ms", "1.5s", "5 s", "5sec", "99999999999999999999s",
                   "999999999h", "1000000000d"}) {
    INFO(bad);
    CHECK_FALSE(parseDuration(bad, duration));
  }
  std::uint64_t bytes = 0;
  CHECK(parseBytes("1GiB", bytes));
  CHECK(bytes == std::uint64_t{1} << 30);
  for (auto bad : {"", "KiB", "-1", "1.5MiB", "64kb", "99999999999GiB", "18446744073709551616"}) {
    INFO(bad);
    CHECK_FALSE(parseBytes(bad, bytes));
  }
}

TEST_CASE("options: the nearest word is near, or none") {
  std::vector<std::string> words{"finalizeWait", "notificationMin", "notificationMax"};
  CHECK(nearest("finalizewait", words) == "finalizeWait");
  CHECK(nearest("notificationMx", words) == "notificationMax");
  CHECK(nearest("discovery", words) == "");
  CHECK(nearest("", words) == "");
}

}  // namespace
}  // namespace polyquorum::sdk
