// SPDX-License-Identifier: Apache-2.0
// The single tests of the load generator and what they share. Each fills a report.
#pragma once
#include <functional>
#include <ostream>
#include <string>
#include "bench/bench.h"
#include "bench/engine.h"
#include "bench/report.h"

namespace polyquorum::bench {

void runMix(const BenchOptions& options, Report& report);
void runLoad(const BenchOptions& options, Report& report);
void runFanout(const BenchOptions& options, Report& report);
void runIdle(const BenchOptions& options, Report& report);
void runGap(const BenchOptions& options, Report& report);

/// Node number i below parent: parent/k0000007.
std::string nodePath(const std::string& parent, std::size_t i);

/// The value that is written: printable, so that people can look at it.
std::string valueOf(unsigned bytes);

/// Opens connections, round the servers; throws BenchProblem if they are not all ready in time.
void openAll(Engine& engine, unsigned count, std::size_t depth, double seconds = 15);

/// Sends requests 0 .. count - 1 over all open connections, each as deep as depth, and waits for
/// all answers. write puts the request into a connection; answered may look at each reply. Throws
/// BenchProblem if a connection breaks.
void sendAll(Engine& engine, std::size_t count, std::size_t depth,
             const std::function<void(Connection&, std::size_t i)>& write,
             const std::function<void(const zk::ReplyHeader&)>& answered);

/// Creates parents of path and path itself, where they are missing.
void makePath(Engine& engine, const std::string& path);

/// makePath(root) and count nodes of valueBytes below it.
void makeNodes(Engine& engine, const std::string& parent, std::size_t count, unsigned valueBytes);

inline void tell(const BenchOptions& options, const std::string& line) {
  if (options.progress != nullptr) *options.progress << line << std::endl;
}

}  // namespace polyquorum::bench
