// SPDX-License-Identifier: Apache-2.0
// See frame_reader.h.
#include "frame_reader.h"
#include <kj/debug.h>
#include <cstring>

namespace polyquorum::tcp {
namespace {

constexpr std::size_t BUFFER_INITIAL = 4096;
constexpr std::size_t BUFFER_USUAL = 256 << 10;
constexpr std::size_t SPACE_MIN = 1024;

}  // namespace

void FrameReader::resize(std::size_t size) {
  auto other = kj::heapArray<kj::byte>(size);
  auto waiting = end - begin;
  if (waiting > 0) std::memcpy(other.begin(), buffer.begin() + begin, waiting);
  buffer = kj::mv(other);
  begin = 0;
  end = waiting;
}

kj::ArrayPtr<kj::byte> FrameReader::space() {
  auto waiting = end - begin;
  // The first steps of a connection take little; whoever has proved itself gets the usual size, and
  // what a large frame needed is given back after it.
  bool proved = payloadMax > HANDSHAKE_BYTES_MAX;
  auto least = proved ? BUFFER_USUAL : BUFFER_INITIAL;
  if (waiting == 0) {
    begin = end = 0;
    if (buffer.size() < least || buffer.size() > 4 * BUFFER_USUAL) resize(least);
  } else if (buffer.size() < least) {
    resize(least);
  } else if (begin > 0 && waiting <= buffer.size() / 2) {
    std::memmove(buffer.begin(), buffer.begin() + begin, waiting);
    begin = 0;
    end = waiting;
  } else if (buffer.size() - end < SPACE_MIN) {
    resize(2 * buffer.size());
  }
  return buffer.slice(end, buffer.size());
}

kj::Maybe<Frame> FrameReader::next() {
  if (end - begin < HEADER_SIZE) return nullptr;
  auto header = decodeHeader(buffer.begin() + begin);
  demand(header.size <= payloadMax, "a frame is larger than allowed");
  if (end - begin < HEADER_SIZE + header.size) return nullptr;
  auto payload = buffer.slice(begin + HEADER_SIZE, begin + HEADER_SIZE + header.size).asConst();
  demand(verify(header, payload), "a frame is damaged: its checksum does not match");
  begin += HEADER_SIZE + header.size;
  return Frame{header, payload};
}

}  // namespace polyquorum::tcp
