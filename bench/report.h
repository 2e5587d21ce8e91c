// SPDX-License-Identifier: Apache-2.0
// What a test found, as a table for people or one JSON object for programs.
#pragma once
#include <iosfwd>
#include <map>
#include <string>
#include <utility>
#include <vector>
#include "bench/histogram.h"
#include "bench/timeline.h"
#include "clients/zookeeper/errors.h"

namespace polyquorum::bench {

class Report {
 public:
  explicit Report(std::string test) : test(std::move(test)) {}

  /// A number with its unit in the name, e.g. "ops_per_s". In order of calls.
  void number(const std::string& name, double value);
  void text(const std::string& name, const std::string& value);
  void latency(const std::string& name, const Histogram& histogram);
  /// A row for each second; the first one began at this time of the monotonic clock.
  void timeline(std::uint64_t beginNs, const std::vector<Timeline::Second>& seconds);
  void error(zookeeper_client::Error error) { errors[error]++; }
  /// Something was not as it should be; for the exit code.
  void fail() { failure = true; }
  bool failed() const { return failure || !errors.empty(); }

  void write(std::ostream& out, bool json) const;

 private:
  std::string test;
  std::vector<std::pair<std::string, std::string>> fields;  ///< values as JSON
  std::vector<std::pair<std::string, Histogram>> latencies;
  std::map<zookeeper_client::Error, std::uint64_t> errors;
  std::uint64_t timelineBegin = 0;
  std::vector<Timeline::Second> seconds;
  bool failure = false;

  void writeTable(std::ostream& out) const;
  void writeTimeline(std::ostream& out) const;
  void writeJson(std::ostream& out) const;
};

/// Seconds of CPU that this process has used.
double ownCpuSeconds();

}  // namespace polyquorum::bench
