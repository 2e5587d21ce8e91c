// SPDX-License-Identifier: Apache-2.0
// A growing run of bytes that is never zeroed, and a pool of spare ones: connections hold memory
// only while they have something to say. No encoding here.
#pragma once
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace polyquorum::zookeeper {

class Bytes {
public:
  Bytes() = default;
  Bytes(Bytes&& other) noexcept { swap(other); }
  Bytes& operator=(Bytes&& other) noexcept {
    swap(other);
    return *this;
  }
  void swap(Bytes& other) noexcept {
    std::swap(memory, other.memory);
    std::swap(length, other.length);
    std::swap(room, other.room);
  }

  std::uint8_t* data() { return memory.get(); }
  const std::uint8_t* data() const { return memory.get(); }
  std::size_t size() const { return length; }
  std::size_t capacity() const { return room; }
  bool empty() const { return length == 0; }
  void clear() { length = 0; }

  /// Room for count more bytes at the end, uninitialised and counted at once.
  std::uint8_t* extend(std::size_t count) {
    if (room - length < count) reserve(length + count);
    auto* at = memory.get() + length;
    length += count;
    return at;
  }
  void append(const void* from, std::size_t count) {
    auto* at = extend(count);
    if (count != 0) memcpy(at, from, count);
  }
  /// Drops the last bytes down to size.
  void truncate(std::size_t size) { length = size; }
  void reserve(std::size_t atLeast) {
    if (atLeast <= room) return;
    std::size_t wanted = room < 256 ? 512 : room * 2;
    if (wanted < atLeast) wanted = atLeast;
    auto bigger = std::make_unique_for_overwrite<std::uint8_t[]>(wanted);
    if (length != 0) memcpy(bigger.get(), memory.get(), length);
    memory = std::move(bigger);
    room = wanted;
  }
  void release() {
    memory.reset();
    length = room = 0;
  }

private:
  std::unique_ptr<std::uint8_t[]> memory;
  std::size_t length = 0, room = 0;
};

/// Spare buffers, so that a busy connection costs no allocation per turn. Few, and none large.
class BytesPool {
public:
  Bytes take() {
    if (spare.empty()) return {};
    Bytes bytes = std::move(spare.back());
    spare.pop_back();
    return bytes;
  }
  void give(Bytes&& bytes) {
    if (bytes.capacity() == 0) return;
    bytes.clear();
    if (bytes.capacity() <= KEPT_BYTES_MAX && spare.size() < KEPT_MAX) {
      spare.push_back(std::move(bytes));
    } else {
      bytes.release();
    }
  }

private:
  static constexpr std::size_t KEPT_BYTES_MAX = 64 << 10, KEPT_MAX = 64;
  std::vector<Bytes> spare;
};

}  // namespace polyquorum::zookeeper
