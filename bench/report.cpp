// SPDX-License-Identifier: Apache-2.0
// See report.h.
#include "bench/report.h"
#include <sys/resource.h>
#include <cmath>
#include <cstdio>
#include <ostream>

namespace polyquorum::bench {
namespace {

struct Column {
  const char* name;
  double share;
};
constexpr Column COLUMNS[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

std::string decimal(double value) {
  char text[64];
  bool whole = value == std::floor(value) && std::fabs(value) < 1e15;
  std::snprintf(text, sizeof(text), whole ? "%.0f" : "%.3f", value);
  return text;
}

std::string micros(double nanos) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.1f", nanos / 1000);
  return text;
}

}  // namespace

void Report::number(const std::string& name, double value) {
  fields.emplace_back(name, decimal(value));
}

void Report::text(const std::string& name, const std::string& value) {
  std::string quoted = "\"";
  for (unsigned char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c < ' ' ? '?' : static_cast<char>(c);
  }
  fields.emplace_back(name, quoted + "\"");
}

void Report::latency(const std::string& name, const Histogram& histogram) {
  latencies.emplace_back(name, histogram);
}

void Report::timeline(std::uint64_t beginNs, const std::vector<Timeline::Second>& rows) {
  timelineBegin = beginNs;
  seconds = rows;
}

void Report::write(std::ostream& out, bool json) const {
  if (json)
    writeJson(out);
  else
    writeTable(out);
}

void Report::writeTable(std::ostream& out) const {
  for (auto& [name, value] : fields) {
    char line[160];
    auto shown = value.front() == '"' ? value.substr(1, value.size() - 2) : value;
    std::snprintf(line, sizeof(line), "%-24s %s\n", name.c_str(), shown.c_str());
    out << line;
  }
  if (!latencies.empty()) {
    char line[160];
    std::snprintf(line, sizeof(line), "\n%-16s %10s %10s %10s %10s %10s %10s %10s\n",
                  "latency (us)", "count", "mean", "p50", "p90", "p99", "p99.9", "max");
    out << line;
    for (auto& [name, histogram] : latencies) {
      std::snprintf(line, sizeof(line), "%-16s %10llu %10s %10s %10s %10s %10s %10s\n",
                    name.c_str(), static_cast<unsigned long long>(histogram.count()),
                    micros(histogram.mean()).c_str(),
                    micros(double(histogram.quantile(0.5))).c_str(),
                    micros(double(histogram.quantile(0.9))).c_str(),
                    micros(double(histogram.quantile(0.99))).c_str(),
                    micros(double(histogram.quantile(0.999))).c_str(),
                    micros(double(histogram.max())).c_str());
      out << line;
    }
  }
  writeTimeline(out);
  for (auto& [error, times] : errors) {
    out << "error " << zookeeper_client::name(error) << ": " << times << " times, "
        << zookeeper_client::text(error) << "\n";
  }
}

void Report::writeTimeline(std::ostream& out) const {
  if (seconds.empty()) return;
  char line[160];
  std::snprintf(line, sizeof(line), "\n%-16s %10s %10s %10s %10s %10s\n", "second", "answered", "slow",
                "p50 us", "p99 us", "max us");
  out << line;
  for (std::size_t i = 0; i < seconds.size(); i++) {
    auto& second = seconds[i];
    std::snprintf(line, sizeof(line), "%-16zu %10llu %10llu %10s %10s %10s\n", i,
                  static_cast<unsigned long long>(second.answered),
                  static_cast<unsigned long long>(second.slow), micros(double(second.p50)).c_str(),
                  micros(double(second.p99)).c_str(), micros(double(second.max)).c_str());
    out << line;
  }
}

void Report::writeJson(std::ostream& out) const {
  out << "{\"test\":\"" << test << "\"";
  for (auto& [name, value] : fields) out << ",\"" << name << "\":" << value;
  for (auto& [name, histogram] : latencies) {
    out << ",\"" << name << "_us\":{\"count\":" << histogram.count()
        << ",\"mean\":" << micros(histogram.mean());
    for (auto& column : COLUMNS) {
      out << ",\"" << column.name << "\":" << micros(double(histogram.quantile(column.share)));
    }
    out << ",\"max\":" << micros(double(histogram.max())) << "}";
  }
  const char* comma = "";
  if (!seconds.empty()) {
    out << ",\"timeline\":{\"begin_monotonic_ns\":" << timelineBegin << ",\"seconds\":[";
    for (auto& second : seconds) {
      out << comma << "{\"ops\":" << second.answered << ",\"slow\":" << second.slow
          << ",\"p50_us\":" << micros(double(second.p50))
          << ",\"p99_us\":" << micros(double(second.p99))
          << ",\"max_us\":" << micros(double(second.max)) << "}";
      comma = ",";
    }
    out << "]}";
  }
  out << ",\"errors\":{";
  comma = "";
  for (auto& [error, times] : errors) {
    out << comma << "\"" << zookeeper_client::name(error) << "\":" << times;
    comma = ",";
  }
  out << "}}\n";
}

double ownCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return double(time.tv_sec) + double(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace polyquorum::bench
