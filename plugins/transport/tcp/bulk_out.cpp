// SPDX-License-Identifier: Apache-2.0
// See bulk_out.h.
#include "bulk_out.h"
#include <kj/debug.h>
#include "sdk/crc32c.h"

namespace polyquorum::tcp {

BulkOut::BulkOut(BulkCarrier& carrier, std::uint32_t id, kj::ArrayPtr<const kj::byte> header)
    : carrier(&carrier), number(id), header(kj::heapArray(header)) {}

BulkOut::~BulkOut() noexcept(false) {
  if (carrier != nullptr) carrier->bulkGone(*this, opened && !over);
}

kj::Promise<void> BulkOut::write(WriteContext context) {
  KJ_IF_MAYBE (exception, problem) return kj::cp(*exception);
  KJ_REQUIRE(!ending, "a bulk stream was written to after done");
  auto chunk = context.getParams().getChunk();
  if (chunk.size() == 0) return kj::READY_NOW;
  auto pair = kj::newPromiseAndFulfiller<void>();
  waiting.push_back({context, chunk, kj::mv(pair.fulfiller)});
  carrier->bulkReady();
  return kj::mv(pair.promise);
}

kj::Promise<void> BulkOut::done(DoneContext context) {
  KJ_IF_MAYBE (exception, problem) return kj::cp(*exception);
  KJ_REQUIRE(!ending, "a bulk stream was ended twice");
  ending = true;
  auto pair = kj::newPromiseAndFulfiller<void>();
  whenDone = kj::mv(pair.fulfiller);
  carrier->bulkReady();
  return kj::mv(pair.promise);
}

kj::ArrayPtr<const kj::byte> BulkOut::nextData() const {
  auto& rest = waiting.front().rest;
  return rest.slice(0, kj::min(rest.size(), std::size_t(kj::min(window, BULK_CHUNK_MAX))));
}

bool BulkOut::offer(Offer& out) const {
  if (over) return false;
  auto kind = Kind::BULK_DATA;
  if (!opened) {
    kind = Kind::BULK_OPEN;
    out.payload = header;
  } else if (!waiting.empty()) {
    if (window == 0) return false;
    out.payload = nextData();
  } else if (ending && !ended) {
    kind = Kind::BULK_END;
    out.payload = nullptr;
  } else {
    return false;
  }
  encodeHeader(out.header, kind, number, static_cast<std::uint32_t>(out.payload.size()),
               sdk::crc32c(0, out.payload.begin(), out.payload.size()));
  return true;
}

void BulkOut::commit() {
  if (!opened) {
    opened = true;
  } else if (!waiting.empty()) {
    auto size = nextData().size();
    auto& first = waiting.front();
    window -= static_cast<std::uint32_t>(size);
    first.rest = first.rest.slice(size, first.rest.size());
    if (first.rest.size() == 0) {
      first.taken->fulfill();
      waiting.pop_front();
    }
  } else {
    ended = true;
  }
}

void BulkOut::credit(std::uint32_t bytes) {
  demand(bytes <= BULK_WINDOW - window, "a bulk stream was credited more than it sent");
  window += bytes;
}

void BulkOut::finished() {
  demand(ended, "a bulk stream was called done before its end");
  over = true;
  if (whenDone) whenDone->fulfill();
}

void BulkOut::failed(kj::StringPtr why) {
  stop(KJ_EXCEPTION(FAILED, kj::str("the receiver of a bulk stream gave up: ", why)));
}

void BulkOut::broken(kj::StringPtr why) {
  carrier = nullptr;
  stop(KJ_EXCEPTION(DISCONNECTED, kj::str("the link of a bulk stream closed: ", why)));
}

void BulkOut::stop(kj::Exception&& why) {
  if (over) return;
  over = true;
  for (auto& chunk : waiting) chunk.taken->reject(kj::cp(why));
  waiting.clear();
  if (whenDone) whenDone->reject(kj::cp(why));
  problem = kj::mv(why);
}

}  // namespace polyquorum::tcp
