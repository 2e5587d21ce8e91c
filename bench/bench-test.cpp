// SPDX-License-Identifier: Apache-2.0
// Buckets, mixes and reports; no server.
#include <catch2/catch.hpp>
#include <cmath>
#include <algorithm>
#include <random>
#include <sstream>
#include <vector>
#include "bench/bench.h"
#include "bench/histogram.h"
#include "bench/report.h"
#include "bench/timeline.h"

namespace polyquorum::bench {

TEST_CASE("quantiles of a histogram are at most 1 % above the true ones") {
  std::mt19937_64 random(7);
  INFO("seed 7");
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 100'000; i++) {
    auto value = random() >> (random() % 60 + 4);
    values.push_back(value);
    histogram.add(value);
  }
  std::sort(values.begin(), values.end());
  for (double share : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    auto rank = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(share * 100'000)));
    auto truth = values[rank - 1];
    auto found = histogram.quantile(share);
    REQUIRE(found >= truth);
    REQUIRE(double(found - truth) <= double(truth) * 0.01 + 1);
  }
  REQUIRE(histogram.max() == values.back());
  REQUIRE(histogram.min() == values.front());
}

TEST_CASE("a histogram holds nothing, the smallest and the largest value") {
  Histogram histogram;
  REQUIRE(histogram.quantile(0.5) == 0);
  histogram.add(0);
  histogram.add(~std::uint64_t(0));
  REQUIRE(histogram.quantile(0.5) == 0);
  REQUIRE(histogram.quantile(1) == ~std::uint64_t(0));
}

TEST_CASE("merged histograms count as one") {
  Histogram a, b;
  for (std::uint64_t i = 1; i <= 100; i++) (i % 2 ? a : b).add(i);
  a.merge(b);
  REQUIRE(a.count() == 100);
  REQUIRE(a.quantile(0.5) == 50);
  REQUIRE(a.mean() == Approx(50.5));
}

TEST_CASE("a mix is read from words and shares, and refused if it is not whole") {
  REQUIRE(parseMix("get").get == 100);
  auto mix = parseMix("set=10,get=80,create=5,delete=5");
  REQUIRE(mix.set == 10);
  REQUIRE(mix.remove == 5);
  for (auto* bad : {"", "set=10", "set=100,get=1", "put", "set,get", "set=-5,get=105", "set=x"}) {
    REQUIRE_THROWS_AS(parseMix(bad), BenchProblem);
  }
}

TEST_CASE("a report is one JSON object, or a table with the same numbers") {
  Report report("mix");
  report.number("ops_per_s", 1234.5);
  report.text("server", "a \"quoted\" name");
  Histogram histogram;
  histogram.add(5000);
  report.latency("latency", histogram);
  report.error(zookeeper_client::Error::NO_NODE);
  std::ostringstream json, table;
  report.write(json, true);
  report.write(table, false);
  REQUIRE(json.str() ==
          "{\"test\":\"mix\",\"ops_per_s\":1234.500,\"server\":\"a \\\"quoted\\\" name\","
          "\"latency_us\":{\"count\":1,\"mean\":5.0,\"p50\":5.0,\"p90\":5.0,\"p99\":5.0,"
          "\"p999\":5.0,\"max\":5.0},\"errors\":{\"NoNode\":1}}\n");
  REQUIRE(table.str().find("1234.5") != std::string::npos);
  REQUIRE(table.str().find("NoNode") != std::string::npos);
  REQUIRE(report.failed());
}

TEST_CASE("a timeline has a row for each second, also for the silent ones") {
  constexpr std::uint64_t MS = 1'000'000;
  Timeline timeline(20 * MS);
  timeline.add(0, 20 * MS);
  timeline.add(999 * MS, 5 * MS);
  timeline.add(3000 * MS, 2100 * MS);
  auto& seconds = timeline.finish(4.5);
  REQUIRE(seconds.size() == 5);
  REQUIRE(seconds[0].answered == 2);
  REQUIRE(seconds[0].slow == 0);  // 20 ms are not yet slow
  REQUIRE(seconds[0].max == 20 * MS);
  REQUIRE(seconds[1].answered == 0);
  REQUIRE(seconds[1].max == 0);
  REQUIRE(seconds[3].answered == 1);
  REQUIRE(seconds[3].slow == 1);
  REQUIRE(seconds[3].p50 == 2100 * MS);

  Report report("mix");
  report.timeline(77, {seconds[0], seconds[1]});
  std::ostringstream json, table;
  report.write(json, true);
  report.write(table, false);
  REQUIRE(json.str() ==
          "{\"test\":\"mix\",\"timeline\":{\"begin_monotonic_ns\":77,\"seconds\":["
          "{\"ops\":2,\"slow\":0,\"p50_us\":5013.5,\"p99_us\":20000.0,\"max_us\":20000.0},"
          "{\"ops\":0,\"slow\":0,\"p50_us\":0.0,\"p99_us\":0.0,\"max_us\":0.0}]},\"errors\":{}}\n");
  REQUIRE(table.str().find("20000.0") != std::string::npos);
}

TEST_CASE("what cannot be asked is refused with a sentence before anything is opened") {
  BenchOptions options;
  std::ostringstream out;
  options.depth = 0;
  REQUIRE_THROWS_AS(runBench(options, out), BenchProblem);
  options.depth = 1;
  options.root = "bench";
  REQUIRE_THROWS_AS(runBench(options, out), BenchProblem);
  options.root = "/bench";
  options.servers = "";
  REQUIRE_THROWS_AS(runBench(options, out), BenchProblem);
}

}  // namespace polyquorum::bench
