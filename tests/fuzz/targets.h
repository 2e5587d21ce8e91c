// SPDX-License-Identifier: Apache-2.0
// One function for each decoder of bytes that come from outside. Each takes any bytes, and crashes
// or throws only for a bug. Run by libFuzzer (libfuzzer.cpp) and, over the corpus, by replay.cpp.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

namespace polyquorum::fuzz {

using Bytes = std::span<const std::uint8_t>;

/// A frame of a ZooKeeper client. First byte: 0 a connect request, else a request.
void zookeeperFrame(Bytes bytes);
/// A parcel of a peer. First byte: its lane.
void parcel(Bytes bytes);
/// A body of the log, applied to a tree that has some nodes. First byte: odd, from a session.
void body(Bytes bytes);
/// A state image. First byte: the size of the slices it comes in.
void stateImage(Bytes bytes);
/// Files of the log. First byte: see wal_scan.cpp.
void walScan(Bytes bytes);
/// A snapshot file.
void imageFile(Bytes bytes);
/// A configuration.
void config(Bytes bytes);
/// What comes over a connection of a peer. First byte: see tcp_frames.cpp.
void tcpFrames(Bytes bytes);

struct Target {
  const char* name;
  void (*run)(Bytes);
  bool isText;  ///< mutated as text in replay
};

constexpr Target TARGETS[] = {
    {"zookeeper_frame", zookeeperFrame, false},
    {"parcel", parcel, false},
    {"body", body, false},
    {"state_image", stateImage, false},
    {"wal_scan", walScan, false},
    {"image_file", imageFile, false},
    {"config", config, true},
    {"tcp_frames", tcpFrames, false},
};

/// What holds for all inputs. Ends the process: an exception would pass for a refusal.
inline void must(bool held, const char* what) {
  if (held) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// Takes small things from the front of the input; zeros when it is used up.
class Input {
 public:
  explicit Input(Bytes bytes) : left(bytes) {}
  bool empty() const { return left.empty(); }
  std::uint8_t byte() {
    if (left.empty()) return 0;
    auto value = left.front();
    left = left.subspan(1);
    return value;
  }
  std::uint16_t two() {
    auto low = byte();
    return static_cast<std::uint16_t>(low | byte() << 8);
  }
  /// At most size bytes.
  Bytes take(std::size_t size) {
    auto taken = left.subspan(0, std::min(size, left.size()));
    left = left.subspan(taken.size());
    return taken;
  }
  Bytes rest() { return take(left.size()); }

 private:
  Bytes left;
};

}  // namespace polyquorum::fuzz
