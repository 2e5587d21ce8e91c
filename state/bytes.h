// SPDX-License-Identifier: Apache-2.0
// Numbers and sized texts in a byte string, little endian; a reader that never reads past the end.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace polyquorum::state {

template <typename Number>
void append(std::string& out, Number number) {
  static_assert(std::is_integral_v<Number>);
  out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

inline void appendSized(std::string& out, std::string_view text) {
  append(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

/// Each call answers false, and takes nothing, if there is not enough.
class ByteReader {
public:
  explicit ByteReader(std::string_view bytes) : bytes(bytes) {}
  std::size_t left() const { return bytes.size(); }

  template <typename Number>
  bool number(Number& number) {
    if (bytes.size() < sizeof(number)) return false;
    memcpy(&number, bytes.data(), sizeof(number));
    bytes.remove_prefix(sizeof(number));
    return true;
  }
  bool take(std::size_t size, std::string_view& text) {
    if (bytes.size() < size) return false;
    text = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return true;
  }
  bool sized(std::string_view& text) {
    auto before = bytes;
    std::uint32_t size = 0;
    if (number(size) && take(size, text)) return true;
    bytes = before;
    return false;
  }

private:
  std::string_view bytes;
};

}  // namespace polyquorum::state
