// SPDX-License-Identifier: Apache-2.0
// One snapshot file, byte by byte: header, image in checksummed chunks, footer. Which snapshot is
// in use is snapshots' business.
#pragma once
#include <capnp/message.h>
#include <kj/filesystem.h>
#include <cstdint>
#include "interfaces/types.capnp.h"
#include "plugins/storage/file/buffer.h"

namespace polyquorum::file {

/// Image bytes in each chunk but the last; a chunk's checksum stands behind it.
constexpr std::uint64_t CHUNK_BYTES = 256 << 10;

/// Writes an image front to back. Everything but the constructor may run in offload. Errors name
/// the file and the cure.
class ImageWriter {
public:
  ImageWriter(kj::Own<const kj::File> file, kj::StringPtr name,
              polyquorum::Snapshot::Reader header);

  /// How many bytes are gathered and not yet given to the file.
  std::uint64_t gathered() const { return pending.size(); }
  std::uint64_t total() const { return imageBytes; }
  std::uint64_t announced() const { return imageBytesMax; }
  /// A header that announces 0 bytes was made before its image's size was known.
  bool fits(std::uint64_t more) const {
    return imageBytesMax == 0 || imageBytes + more <= imageBytesMax;
  }
  bool complete() const { return imageBytesMax == 0 || imageBytes == imageBytesMax; }
  /// Takes a copy. Loop.
  void add(kj::ArrayPtr<const kj::byte> bytes);
  /// Moves what is gathered into a closure-owned buffer. Loop.
  Buffer take();
  /// Writes taken bytes and syncs them. Offload, one after the other.
  void write(const Buffer& bytes);
  /// The rest, the footer, and a sync of all. Offload.
  void finish(const Buffer& rest);

private:
  kj::Own<const kj::File> file;
  kj::String name;
  Buffer pending;
  std::uint64_t imageBytes = 0, imageBytesMax;
  // Offload only.
  Buffer chunk;
  std::uint64_t offset = 0, chunks = 0;
  std::uint32_t imageCrc = 0;

  void putChunk();
};

/// Reads an image back, checking each chunk.
class ImageReader {
public:
  /// Checks header and footer. Throws FAILED if the file is not a whole snapshot.
  ImageReader(kj::Own<const kj::ReadableFile> file, kj::StringPtr name);

  polyquorum::Snapshot::Reader header() { return message.getRoot<polyquorum::Snapshot>(); }
  /// The next bytes, at most bytesMax; empty at the end. Valid until the next call. Throws FAILED
  /// if a chunk is damaged.
  kj::ArrayPtr<const kj::byte> read(std::uint64_t bytesMax);
  std::uint64_t fileBytes() const { return size; }

private:
  kj::Own<const kj::ReadableFile> file;
  kj::String name;
  capnp::MallocMessageBuilder message;
  std::uint64_t size = 0, offset = 0, imageBytes = 0, served = 0, chunks = 0;
  std::uint32_t imageCrc = 0, footerCrc = 0;
  kj::Array<kj::byte> chunk;
  std::uint64_t chunkFrom = 0, chunkTo = 0;

  void nextChunk();
};

}  // namespace polyquorum::file
