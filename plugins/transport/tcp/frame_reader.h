// SPDX-License-Identifier: Apache-2.0
// One reused buffer between a socket and the frames in it. Pure; hostile bytes end in an exception.
#pragma once
#include <kj/array.h>
#include "wire.h"

namespace polyquorum::tcp {

struct Frame {
  Header header;
  kj::ArrayPtr<const kj::byte> payload;  ///< inside the buffer: valid until space() is called
};

class FrameReader {
 public:
  /// payloadMax: what a frame may hold at most; checked before anything is allocated for it.
  explicit FrameReader(std::uint32_t payloadMax) : payloadMax(payloadMax) {}
  KJ_DISALLOW_COPY(FrameReader);

  void setPayloadMax(std::uint32_t bytes) { payloadMax = bytes; }

  /// Where the next bytes go; never empty. Invalidates the payloads of earlier frames. The buffer
  /// grows with the bytes that came (twice as large at most), never with a length that was only
  /// announced.
  kj::ArrayPtr<kj::byte> space();
  void filled(std::size_t bytes) { end += bytes; }

  /// The next whole frame, checksum verified; null if more bytes are needed. Throws FAILED for a
  /// frame that is too large or damaged; the connection must then be closed.
  kj::Maybe<Frame> next();

 private:
  std::uint32_t payloadMax;
  kj::Array<kj::byte> buffer;
  std::size_t begin = 0, end = 0;

  void resize(std::size_t size);
};

}  // namespace polyquorum::tcp
