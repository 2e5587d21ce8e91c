// SPDX-License-Identifier: Apache-2.0
// Writing and checking snapshot files.
#include "plugins/storage/file/image_file.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <algorithm>
#include <cstring>
#include "sdk/crc32c.h"
#include "sdk/mutant.h"

namespace polyquorum::file {
namespace {

constexpr std::uint64_t IMAGE_MAGIC = 0x31706e5371715950;   // "PYqqSnp1": the version is part
constexpr std::uint64_t FOOTER_MAGIC = 0x31646e4571715950;  // "PYqqEnd1"
constexpr std::uint32_t HEADER_BYTES_MAX = 64 << 20;

struct Preamble {
  std::uint64_t magic;
  std::uint32_t headerBytes;  ///< Of the flat Snapshot message that follows.
  std::uint32_t headerCrc;
};
struct ChunkFooter {
  std::uint32_t crc;    ///< Of the chunk, seeded with its number: not a swapped chunk.
  std::uint32_t bytes;
};
struct Footer {
  std::uint64_t magic;
  std::uint64_t imageBytes;
  std::uint32_t imageCrc;   ///< Of all chunk checksums in order.
  std::uint32_t footerCrc;  ///< Of this footer before this field, seeded with headerCrc.
};

std::uint32_t crcOfChunk(std::uint64_t number, const void* bytes, std::size_t size) {
  return sdk::crc32c(sdk::crc32c(0, &number, sizeof number), bytes, size);
}

}  // namespace

ImageWriter::ImageWriter(kj::Own<const kj::File> file, kj::StringPtr name,
                         polyquorum::Snapshot::Reader header)
    : file(kj::mv(file)), name(kj::heapString(name)), imageBytesMax(header.getBytes()) {
  capnp::MallocMessageBuilder message;
  message.setRoot(header);
  auto flat = capnp::messageToFlatArray(message);
  auto bytes = flat.asBytes();
  Preamble preamble{IMAGE_MAGIC, static_cast<std::uint32_t>(bytes.size()),
                    sdk::crc32c(0, bytes.begin(), bytes.size())};
  std::memcpy(chunk.grow(sizeof preamble), &preamble, sizeof preamble);
  std::memcpy(chunk.grow(bytes.size()), bytes.begin(), bytes.size());
  this->file->write(0, chunk.bytes());
  offset = chunk.size();
  imageCrc = preamble.headerCrc;
  chunk.clear();
}

void ImageWriter::add(kj::ArrayPtr<const kj::byte> bytes) {
  imageBytes += bytes.size();
  if (bytes.size() > 0) std::memcpy(pending.grow(bytes.size()), bytes.begin(), bytes.size());
}

Buffer ImageWriter::take() {
  auto taken = kj::mv(pending);
  pending = Buffer();
  return taken;
}

void ImageWriter::putChunk() {
  ChunkFooter footer{crcOfChunk(chunks++, chunk.begin(), chunk.size()),
                     static_cast<std::uint32_t>(chunk.size())};
  imageCrc = sdk::crc32c(imageCrc, &footer.crc, sizeof footer.crc);
  std::memcpy(chunk.grow(sizeof footer), &footer, sizeof footer);
  file->write(offset, chunk.bytes());
  offset += chunk.size();
  chunk.clear();
}

void ImageWriter::write(const Buffer& bytes) {
  auto at = bytes.begin();
  std::size_t left = bytes.size();
  while (left > 0) {
    auto part = std::min<std::size_t>(left, CHUNK_BYTES - chunk.size());
    std::memcpy(chunk.grow(part), at, part);
    at += part;
    left -= part;
    if (chunk.size() == CHUNK_BYTES) putChunk();
  }
  if (!MUTANT("M24")) file->datasync();
}

void ImageWriter::finish(const Buffer& rest) {
  write(rest);
  if (chunk.size() > 0) putChunk();
  Footer footer{FOOTER_MAGIC, imageBytes, imageCrc, 0};
  footer.footerCrc = sdk::crc32c(0, &footer, offsetof(Footer, footerCrc));
  file->write(offset, kj::arrayPtr(reinterpret_cast<kj::byte*>(&footer), sizeof footer));
  if (!MUTANT("M24")) file->sync();
}

ImageReader::ImageReader(kj::Own<const kj::ReadableFile> opened, kj::StringPtr name)
    : file(kj::mv(opened)), name(kj::heapString(name)), size(file->stat().size) {
  Preamble preamble{};
  auto whole = [&](bool right) {
    KJ_REQUIRE(right, "this snapshot file is not whole; remove it, and the one before it or a "
               "peer's will be used", name);
  };
  auto into = [](auto& object) {
    return kj::arrayPtr(reinterpret_cast<kj::byte*>(&object), sizeof object);
  };
  whole(file->read(0, into(preamble)) == sizeof preamble && preamble.magic == IMAGE_MAGIC &&
        preamble.headerBytes <= HEADER_BYTES_MAX && preamble.headerBytes % 8 == 0 &&
        size >= sizeof preamble + preamble.headerBytes + sizeof(Footer));
  auto words = kj::heapArray<capnp::word>(preamble.headerBytes / sizeof(capnp::word));
  file->read(sizeof preamble, words.asBytes());
  whole(sdk::crc32c(0, words.begin(), preamble.headerBytes) == preamble.headerCrc);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = words.size() * 8 + 1024;
  capnp::FlatArrayMessageReader flat(words, options);
  message.setRoot(flat.getRoot<polyquorum::Snapshot>());
  Footer footer{};
  whole(file->read(size - sizeof footer, into(footer)) == sizeof footer &&
        footer.magic == FOOTER_MAGIC &&
        (header().getBytes() == 0 || footer.imageBytes == header().getBytes()) &&
        footer.footerCrc == sdk::crc32c(0, &footer, offsetof(Footer, footerCrc)));
  imageBytes = footer.imageBytes;
  message.getRoot<polyquorum::Snapshot>().setBytes(imageBytes);
  auto chunkCount = (imageBytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
  offset = sizeof preamble + preamble.headerBytes;
  whole(size == offset + imageBytes + chunkCount * sizeof(ChunkFooter) + sizeof footer);
  imageCrc = preamble.headerCrc;
  footerCrc = footer.imageCrc;
}

void ImageReader::nextChunk() {
  auto bytes = std::min(CHUNK_BYTES, imageBytes - served);
  if (chunk.size() == 0) chunk = kj::heapArray<kj::byte>(CHUNK_BYTES + sizeof(ChunkFooter));
  auto read = file->read(offset, chunk.slice(0, bytes + sizeof(ChunkFooter)));
  ChunkFooter footer{};
  std::memcpy(&footer, chunk.begin() + bytes, sizeof footer);
  KJ_REQUIRE(read == bytes + sizeof footer && footer.bytes == bytes &&
                 footer.crc == crcOfChunk(chunks, chunk.begin(), bytes),
             "a chunk of this snapshot file is damaged; remove the file, and the snapshot before "
             "it or a peer's will be used", name, chunks);
  imageCrc = sdk::crc32c(imageCrc, &footer.crc, sizeof footer.crc);
  chunks++;
  offset += bytes + sizeof footer;
  served += bytes;
  chunkFrom = 0;
  chunkTo = bytes;
  KJ_REQUIRE(served < imageBytes || imageCrc == footerCrc,
             "the chunks of this snapshot file are not those its footer was made for; remove the "
             "file, and the snapshot before it or a peer's will be used", name);
}

kj::ArrayPtr<const kj::byte> ImageReader::read(std::uint64_t bytesMax) {
  if (chunkFrom == chunkTo) {
    if (served == imageBytes) return nullptr;
    nextChunk();
  }
  auto from = chunkFrom;
  chunkFrom += std::min(chunkTo - chunkFrom, std::max<std::uint64_t>(bytesMax, 1));
  return chunk.slice(from, chunkFrom);
}

}  // namespace polyquorum::file
