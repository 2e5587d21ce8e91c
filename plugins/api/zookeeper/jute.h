// SPDX-License-Identifier: Apache-2.0
// ZooKeeper's binary archive: big-endian numbers, length-prefixed texts and buffers, counted
// vectors. The reader copies nothing and believes no length; the writer appends. No message is
// known here.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>
#include "plugins/api/zookeeper/bytes.h"

namespace polyquorum::zookeeper {

/// A text or buffer inside a frame. null (length -1) differs from empty.
struct View {
  std::string_view bytes;
  bool null = true;
};

/// Reads one frame. Once a read fails, good() is false and all further reads give zero or null.
/// Source: BinaryInputArchive; stricter: lengths below -1 are refused everywhere.
class Reader {
public:
  Reader() = default;
  Reader(const std::uint8_t* data, std::size_t size) : at(data), end(data + size) {}

  bool good() const { return !failed; }
  std::size_t left() const { return static_cast<std::size_t>(end - at); }
  const std::uint8_t* position() const { return at; }

  std::int32_t int32() {
    if (!need(4)) return 0;
    std::uint32_t value;
    memcpy(&value, at, 4);
    at += 4;
    return static_cast<std::int32_t>(__builtin_bswap32(value));
  }
  std::int64_t int64() {
    if (!need(8)) return 0;
    std::uint64_t value;
    memcpy(&value, at, 8);
    at += 8;
    return static_cast<std::int64_t>(__builtin_bswap64(value));
  }
  /// Any byte but 0 is true, as Java's DataInput.readBoolean.
  bool flag() {
    if (!need(1)) return false;
    return *at++ != 0;
  }
  /// A text or a buffer: the same bytes on the wire.
  View view() {
    std::int32_t size = int32();
    if (failed || size == -1) return {};
    if (size < 0 || static_cast<std::size_t>(size) > left()) return fail(), View{};
    View out{{reinterpret_cast<const char*>(at), static_cast<std::size_t>(size)}, false};
    at += size;
    return out;
  }
  /// The count of a vector whose elements take at least elementBytesMin each; null counts as empty.
  std::size_t count(std::size_t elementBytesMin) {
    std::int32_t size = int32();
    if (failed || size == -1) return 0;
    if (size < 0 || static_cast<std::size_t>(size) > left() / elementBytesMin) return fail(), 0;
    return static_cast<std::size_t>(size);
  }
  void fail() {
    failed = true;
    at = end;
  }

private:
  const std::uint8_t* at = nullptr;
  const std::uint8_t* end = nullptr;
  bool failed = false;

  bool need(std::size_t bytes) {
    if (left() >= bytes && !failed) return true;
    fail();
    return false;
  }
};

/// Appends to bytes, which outlive it.
class Writer {
public:
  explicit Writer(Bytes& bytes) : bytes(bytes) {}

  void int32(std::int32_t value) { put32(bytes.extend(4), value); }
  void int64(std::int64_t value) { put64(bytes.extend(8), value); }
  void flag(bool value) { *bytes.extend(1) = value ? 1 : 0; }
  void view(const void* data, std::size_t size) {
    auto* at = bytes.extend(4 + size);
    put32(at, static_cast<std::int32_t>(size));
    if (size != 0) memcpy(at + 4, data, size);
  }
  void text(std::string_view text) { view(text.data(), text.size()); }
  void null() { int32(-1); }
  std::uint8_t* raw(std::size_t size) { return bytes.extend(size); }

  /// Starts a frame; what is written until endFrame(mark) is its content.
  std::size_t beginFrame() {
    auto mark = bytes.size();
    bytes.extend(4);
    return mark;
  }
  void endFrame(std::size_t mark) {
    put32(bytes.data() + mark, static_cast<std::int32_t>(bytes.size() - mark - 4));
  }

  static void put32(std::uint8_t* at, std::int32_t value) {
    std::uint32_t swapped = __builtin_bswap32(static_cast<std::uint32_t>(value));
    memcpy(at, &swapped, 4);
  }
  static void put64(std::uint8_t* at, std::int64_t value) {
    std::uint64_t swapped = __builtin_bswap64(static_cast<std::uint64_t>(value));
    memcpy(at, &swapped, 8);
  }

private:
  Bytes& bytes;
};

}  // namespace polyquorum::zookeeper
