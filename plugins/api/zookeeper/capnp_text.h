// SPDX-License-Identifier: Apache-2.0
// Sizes of Cap'n Proto objects in words, and texts set from views that end nowhere in particular.
#pragma once
#include <capnp/blob.h>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace polyquorum::zookeeper {

/// Words of one struct, what it points to excluded.
template <typename Struct>
constexpr std::size_t structWords() {
  return Struct::_capnpPrivate::dataWordSize + Struct::_capnpPrivate::pointerCount;
}
/// Words of a text of this many bytes; it is stored with a NUL.
constexpr std::size_t textWords(std::size_t bytes) { return bytes / 8 + 1; }
constexpr std::size_t dataWords(std::size_t bytes) { return (bytes + 7) / 8; }

/// builder was made with the size of text.
inline void setText(capnp::Text::Builder builder, std::string_view text) {
  if (!text.empty()) memcpy(builder.begin(), text.data(), text.size());
}
inline void setData(capnp::Data::Builder builder, std::string_view data) {
  if (!data.empty()) memcpy(builder.begin(), data.data(), data.size());
}
template <typename Blob>
std::string_view viewOf(const Blob& blob) {
  return {reinterpret_cast<const char*>(blob.begin()), blob.size()};
}

}  // namespace polyquorum::zookeeper
