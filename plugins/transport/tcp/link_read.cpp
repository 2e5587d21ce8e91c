// SPDX-License-Identifier: Apache-2.0
// What a link receives; see link.h. Every byte here is hostile.
#include <kj/debug.h>
#include "bulk_in.h"
#include "link.h"

namespace polyquorum::tcp {

sdk::Async<void> Link::readAll() {
  // A read that filled all space left bytes behind: no need to wait for the next one.
  for (bool more = false;;) {
    // The first round finds what came together with the handshake.
    handleFrames();
    if (putParcels) {
      putParcels = false;
      co_await mailbag.taken();
    }
    if (!more && !broken) co_await socket->readable();
    if (broken) co_return;
    auto space = reader->space();
    auto size = socket->read(space);
    reader->filled(size);
    more = size == space.size();
  }
}

void Link::handleFrames() {
  for (;;) {
    KJ_IF_MAYBE (frame, reader->next()) {
      switch (frame->header.kind) {
        case Kind::PARCEL:
          demand(frame->header.number < laneCount, "a parcel names a lane that does not exist");
          mailbag.parcel(settings.peer, settings.number,
                         static_cast<std::uint16_t>(frame->header.number), frame->payload);
          putParcels = true;
          break;
        case Kind::BULK_OPEN:
        case Kind::BULK_DATA:
        case Kind::BULK_END:
        case Kind::BULK_CANCEL:
          handleBulk(*frame);
          break;
        case Kind::BULK_CREDIT:
        case Kind::BULK_DONE:
        case Kind::BULK_FAILED:
          handleAnswer(*frame);
          break;
        default:
          demand(false, "a frame of an unknown kind, or a greeting on an open link");
      }
    } else {
      return;
    }
  }
}

void Link::bulkOpened(const Frame& frame) {
  demand(frame.header.number == bulkInsOpened + 1, "bulk streams must be numbered in order");
  demand(frame.payload.size() <= BULK_HEADER_MAX, "the header of a bulk stream is too large");
  bulkInsOpened++;
  for (auto at = bulkIns.begin(); at != bulkIns.end();) {
    at = at->second->over ? bulkIns.erase(at) : std::next(at);
  }
  demand(bulkIns.size() < BULK_STREAMS_MAX, "the peer opens too many bulk streams");
  auto& bulk = *(bulkIns[frame.header.number] = kj::heap<BulkIn>(frame.header.number));
  storage::Sink::Client sink =
      mailbag.stream(settings.peer, settings.number, kj::heapArray(frame.payload));
  bulk.receiving =
      receiveBulk(bulk, kj::mv(sink)).promise().eagerlyEvaluate([this](kj::Exception&& exception) {
        fail(exception.getDescription());
      });
}

void Link::handleBulk(const Frame& frame) {
  if (frame.header.kind == Kind::BULK_OPEN) return bulkOpened(frame);
  auto number = frame.header.number;
  demand(number > 0 && number <= bulkInsOpened, "a bulk stream was used before it was opened");
  auto found = bulkIns.find(number);
  if (found == bulkIns.end()) return;
  auto& bulk = *found->second;
  if (frame.header.kind == Kind::BULK_CANCEL) {
    bulkIns.erase(found);
    return;
  }
  demand(!bulk.ended, "a bulk stream went on after its end");
  if (frame.header.kind == Kind::BULK_END) {
    bulk.ended = true;
  } else {
    demand(frame.payload.size() > 0 && frame.payload.size() <= bulk.window,
           "a bulk stream sent more than its credit");
    bulk.window -= static_cast<std::uint32_t>(frame.payload.size());
    if (bulk.over) return;  // its answer is under way
    bulk.chunks.push_back(kj::heapArray(frame.payload));
  }
  bulk.wake();
}

sdk::Async<void> Link::receiveBulk(BulkIn& bulk, storage::Sink::Client given) {
  kj::String problem;
  try {
    auto sink = kj::mv(given);  // dropped when all is said
    for (;;) {
      if (bulk.chunks.empty()) {
        if (bulk.ended) break;
        auto pair = kj::newPromiseAndFulfiller<void>();
        bulk.arrived = kj::mv(pair.fulfiller);
        co_await kj::mv(pair.promise);
        continue;
      }
      auto chunk = kj::mv(bulk.chunks.front());
      bulk.chunks.pop_front();
      capnp::MessageSize size{chunk.size() / 8 + 8, 0};
      auto request = sink.writeRequest(size);
      request.setChunk(chunk);
      co_await request.send();
      auto bytes = static_cast<std::uint32_t>(chunk.size());
      bulk.window += bytes;
      kj::byte credit[4];
      for (unsigned i = 0; i < 4; i++) credit[i] = static_cast<kj::byte>(bytes >> (8 * i));
      control(Kind::BULK_CREDIT, bulk.id, kj::arrayPtr(credit, 4));
    }
    co_await sink.doneRequest().send().ignoreResult();
  } catch (const kj::Exception& exception) {
    problem = kj::str(exception.getDescription());
    if (problem.size() == 0) problem = kj::str("the sink failed");
  }
  bulk.over = true;
  bulk.chunks.clear();
  if (problem.size() == 0) {
    control(Kind::BULK_DONE, bulk.id, nullptr);
  } else {
    control(Kind::BULK_FAILED, bulk.id, safeText(problem.asBytes()).asBytes());
  }
}

void Link::handleAnswer(const Frame& frame) {
  auto number = frame.header.number;
  demand(number > 0 && number <= bulkOutsOpened, "an answer to a bulk stream that never was");
  for (auto* bulk : bulkOuts) {
    if (bulk->id() != number) continue;
    if (frame.header.kind == Kind::BULK_CREDIT) {
      demand(frame.payload.size() == 4, "a credit has the wrong size");
      std::uint32_t bytes = 0;
      for (unsigned i = 0; i < 4; i++) bytes |= std::uint32_t(frame.payload[i]) << (8 * i);
      bulk->credit(bytes);
      bulkReady();
    } else if (frame.header.kind == Kind::BULK_DONE) {
      bulk->finished();
    } else {
      bulk->failed(safeText(frame.payload));
    }
    return;
  }
}

}  // namespace polyquorum::tcp
