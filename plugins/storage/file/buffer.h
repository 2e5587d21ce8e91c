// SPDX-License-Identifier: Apache-2.0
// Bytes that only grow, without the zero-filling of std::vector: a group on its way to the disk.
#pragma once
#include <kj/common.h>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace polyquorum::file {

class Buffer {
public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept : data(other.data), length(other.length), room(other.room) {
    other.data = nullptr;
    other.length = other.room = 0;
  }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data, other.data);
    std::swap(length, other.length);
    std::swap(room, other.room);
    return *this;
  }
  ~Buffer() { std::free(data); }

  /// Room for bytes more; its content is undefined. Valid until the next call.
  unsigned char* grow(std::size_t bytes) {
    if (length + bytes > room) {
      room = kj::max(length + bytes, kj::max(room * 2, std::size_t(64) << 10));
      auto moved = static_cast<unsigned char*>(std::realloc(data, room));
      if (moved == nullptr) throw std::bad_alloc();
      data = moved;
    }
    length += bytes;
    return data + length - bytes;
  }

  unsigned char* begin() { return data; }
  const unsigned char* begin() const { return data; }
  std::size_t size() const { return length; }
  std::size_t capacity() const { return room; }
  void clear() { length = 0; }
  kj::ArrayPtr<const kj::byte> bytes() const { return kj::arrayPtr(data, length); }

private:
  unsigned char* data = nullptr;
  std::size_t length = 0, room = 0;
};

}  // namespace polyquorum::file
