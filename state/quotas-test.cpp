// SPDX-License-Identifier: Apache-2.0
// Quotas as ZooKeeper 3.9 counts and enforces them (DataTree, ZooKeeperServer.checkQuota,
// StatsTrack).
#include <catch2/catch.hpp>
#include "state/quotas.h"
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;

namespace {

Born with(const char* data) {
  Born born;
  born.data = data;
  return born;
}

void limit(Trial& trial, const std::string& path, const char* text) {
  trial(create("/zookeeper/quota" + path));
  trial(create("/zookeeper/quota" + path + "/zookeeper_limits", with(text)));
  trial(create("/zookeeper/quota" + path + "/zookeeper_stats", with("count=0,bytes=0")));
}

std::string stats(const Trial& trial, const std::string& path) {
  return trial.text("/zookeeper/quota" + path + "/zookeeper_stats");
}

}  // namespace

TEST_CASE("quota texts: soft, hard, absent, broken (StatsTrack)") {
  auto numbers = parseQuota("count=5,bytes=10=;countHardLimit=7;byteHardLimit=-1");
  CHECK(numbers.count == 5);
  CHECK(numbers.bytes == 10);
  CHECK(numbers.countHard == 7);
  CHECK(numbers.bytesHard == -1);
  CHECK(parseQuota("").count == -1);
  CHECK(parseQuota("count=,bytes=x,=,,;").bytes == -1);
  CHECK(parseQuota("count=99999999999999999999").count == -1);
  CHECK(quotaTarget("/zookeeper/quota/a/b/zookeeper_limits", LIMITS_NAME) == "/a/b");
  CHECK(quotaTarget("/zookeeper/quota/zookeeper_limits", LIMITS_NAME) == "/");
  CHECK(quotaTarget("/zookeeper/quota/azookeeper_limits", LIMITS_NAME).empty());
  CHECK(quotaTarget("/zookeeper/quotas/a/zookeeper_limits", LIMITS_NAME).empty());
}

TEST_CASE("stats are counted when their node is made, then kept up to date") {
  Trial trial;
  trial(create("/a", with("12345")));
  trial(create("/a/b", with("123")));
  trial(create("/ab", with("not below /a")));
  limit(trial, "/a", "count=3,bytes=-1");

  CHECK(stats(trial, "/a") == "count=2,bytes=8");
  trial(create("/a/c", with("1")));
  CHECK(stats(trial, "/a") == "count=3,bytes=9");
  trial(setData("/a", "1"));
  CHECK(stats(trial, "/a") == "count=3,bytes=5");
  trial(erase("/a/b"));
  CHECK(stats(trial, "/a") == "count=2,bytes=2");
  auto stat = trial.stat("/zookeeper/quota/a/zookeeper_stats");
  CHECK(stat.getVersion() == 0);
  CHECK(stat.getMzxid() == stat.getCzxid());
}

TEST_CASE("only hard limits refuse, and only if quotas are enforced") {
  Trial trial;
  trial(create("/a", with("12")));
  limit(trial, "/a", "count=1,bytes=1=;countHardLimit=2;byteHardLimit=4");

  trial.enforceQuota = true;
  CHECK(trial.error(create("/a/1", with("12345"))) == Error::QUOTA_EXCEEDED);
  CHECK(trial.error(create("/a/1", with("12"))) == Error::OK);
  CHECK(trial.error(create("/a/2")) == Error::QUOTA_EXCEEDED);
  CHECK(trial.error(setData("/a", "123")) == Error::QUOTA_EXCEEDED);
  CHECK(trial.error(setData("/a", "123", 99)) == Error::QUOTA_EXCEEDED);  // before the version
  CHECK(trial.error(setData("/a", "1")) == Error::OK);
  trial.enforceQuota = false;
  CHECK(trial.error(create("/a/2", with("lots"))) == Error::OK);
  CHECK(stats(trial, "/a") == "count=3,bytes=7");
  trial.enforceQuota = true;
  CHECK(trial.error(setData("/a/2", "less")) == Error::OK);  // no growth is never refused
  CHECK(trial.error(erase("/a/2")) == Error::OK);
}

TEST_CASE("the longest path with limits counts alone; removing limits ends it") {
  Trial trial;
  trial(create("/a"));
  trial(create("/a/b"));
  limit(trial, "/a", "count=9");
  limit(trial, "/a/b", "count=9");
  trial(create("/a/b/c"));
  CHECK(stats(trial, "/a") == "count=2,bytes=0");
  CHECK(stats(trial, "/a/b") == "count=2,bytes=0");
  trial(erase("/zookeeper/quota/a/b/zookeeper_limits"));
  trial(create("/a/b/d"));
  CHECK(stats(trial, "/a") == "count=3,bytes=0");
  CHECK(stats(trial, "/a/b") == "count=2,bytes=0");
}

TEST_CASE("a rolled back multi takes quota counts and limits back too") {
  Trial trial;
  trial(create("/a"));
  limit(trial, "/a", "count=9");
  trial(multi({create("/a/b", with("xyz")), erase("/zookeeper/quota/a/zookeeper_limits"),
               create("/a/c"), check("/none")}));
  CHECK(stats(trial, "/a") == "count=1,bytes=0");
  trial(create("/a/b", with("xyz")));
  CHECK(stats(trial, "/a") == "count=2,bytes=3");
}

TEST_CASE("quotas are found again in a loaded image") {
  Trial trial;
  trial(create("/a"));
  limit(trial, "/a", "count=9=;countHardLimit=1");
  trial.state = load(image(*trial.state));
  trial.enforceQuota = true;
  CHECK(trial.error(create("/a/b")) == Error::QUOTA_EXCEEDED);
}
