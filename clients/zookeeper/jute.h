// SPDX-License-Identifier: Apache-2.0
// Jute, ZooKeeper's encoding: big-endian numbers, strings and vectors with a length before them.
// Only the primitives; records are codec.h.
#pragma once
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace polyquorum::zookeeper_client {

/// Appends to a string that may be reused: nothing is allocated once it has grown.
class Writer {
 public:
  explicit Writer(std::string& out) : out(out) {}

  void int32(std::int32_t value) { bigEndian(static_cast<std::uint32_t>(value), 4); }
  void int64(std::int64_t value) { bigEndian(static_cast<std::uint64_t>(value), 8); }
  void boolean(bool value) { out.push_back(value ? 1 : 0); }
  void text(std::string_view value) {
    int32(static_cast<std::int32_t>(value.size()));
    out.append(value);
  }
  /// No value is written as length -1, which ZooKeeper keeps apart from an empty one.
  void buffer(const std::optional<std::string>& value) {
    if (value)
      text(*value);
    else
      int32(-1);
  }

  /// Begins a frame; finish it with the place that this returned.
  std::size_t beginFrame() {
    auto place = out.size();
    int32(0);
    return place;
  }
  void endFrame(std::size_t place) {
    auto size = static_cast<std::uint32_t>(out.size() - place - 4);
    for (int i = 0; i < 4; i++) out[place + i] = static_cast<char>(size >> (24 - 8 * i));
  }

 private:
  std::string& out;

  void bigEndian(std::uint64_t value, int bytes) {
    char text[8];
    for (int i = 0; i < bytes; i++) text[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
    out.append(text, static_cast<std::size_t>(bytes));
  }
};

/// Reads from bytes that came from outside: whoever reads past the end gets zeros, and bad() is
/// true from then on.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest(bytes) {}

  std::int32_t int32() { return static_cast<std::int32_t>(bigEndian(4)); }
  std::int64_t int64() { return static_cast<std::int64_t>(bigEndian(8)); }
  bool boolean() { return bigEndian(1) != 0; }
  std::string_view text() {
    auto size = int32();
    return size <= 0 ? std::string_view() : take(static_cast<std::size_t>(size));
  }
  std::optional<std::string> buffer() {
    auto size = int32();
    if (size < 0) return std::nullopt;
    return std::string(take(static_cast<std::size_t>(size)));
  }
  /// The count of a vector whose elements take at least bytesMin each; 0 if so many cannot follow.
  std::size_t count(std::size_t bytesMin) {
    auto size = int32();
    if (size <= 0) return 0;
    if (static_cast<std::size_t>(size) > rest.size() / bytesMin) {
      failed = true;
      return 0;
    }
    return static_cast<std::size_t>(size);
  }

  bool bad() const { return failed; }
  std::string_view left() const { return rest; }

 private:
  std::string_view rest;
  bool failed = false;

  std::string_view take(std::size_t size) {
    if (size > rest.size()) {
      failed = true;
      rest = {};
      return {};
    }
    auto part = rest.substr(0, size);
    rest.remove_prefix(size);
    return part;
  }
  std::uint64_t bigEndian(std::size_t bytes) {
    auto part = take(bytes);
    std::uint64_t value = 0;
    for (unsigned char c : part) value = value << 8 | c;
    return value;
  }
};

}  // namespace polyquorum::zookeeper_client
