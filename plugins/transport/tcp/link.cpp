// SPDX-License-Identifier: Apache-2.0
// The life of a link and what it sends; see link.h. What it receives is in link_read.cpp.
#include "link.h"
#include <kj/debug.h>
#include <algorithm>
#include <cstring>
#include "bulk_in.h"

namespace polyquorum::tcp {
namespace {

constexpr std::size_t PIECES_MAX = 60;              // of the 64 that one system call takes
constexpr std::size_t WRITE_BYTES_MAX = 512 << 10;  // one system call
constexpr std::size_t TURN_BYTES_MAX = 2 << 20;     // then others have their turn
/// Credits and the ends of bulk streams. A peer that lets these pile up does not read at all.
constexpr std::uint64_t CONTROL_BYTES_MAX = 1 << 20;

/// Lane 0 of the queue is the link's own, before all others.
std::vector<LaneRule> withControl(kj::ArrayPtr<const LaneRule> lanes) {
  std::vector<LaneRule> rules{{false, CONTROL_BYTES_MAX}};
  rules.insert(rules.end(), lanes.begin(), lanes.end());
  return rules;
}

kj::ArrayPtr<const LaneRule> view(const std::vector<LaneRule>& rules) {
  return kj::arrayPtr(rules.data(), rules.size());
}

}  // namespace

Link::Link(LinkOwner& owner, Mailbag& mailbag, kj::Own<Socket> socket, kj::Own<FrameReader> reader,
           const LinkSettings& settings)
    : owner(owner),
      mailbag(mailbag),
      settings(settings),
      laneCount(settings.lanes.size()),
      socket(kj::mv(socket)),
      reader(kj::mv(reader)),
      queue(view(withControl(settings.lanes))),
      tasks(*this),
      turnsEnd(*this, [this]() { flush(); }) {}

Link::~Link() noexcept(false) {
  for (auto* bulk : bulkOuts) bulk->broken("the transport stopped");
}

void Link::start() { tasks.add(readAll()); }

void Link::taskFailed(kj::Exception&& exception) { fail(exception.getDescription()); }

void Link::fail(kj::StringPtr why) {
  if (broken) return;
  broken = true;
  auto reason = kj::str(why);
  for (auto* bulk : bulkOuts) bulk->broken(reason);
  bulkOuts.clear();
  socket = nullptr;
  owner.linkBroken(*this, reason);
}

void Link::push(std::uint16_t lane, Chunk& chunk, kj::ArrayPtr<const kj::byte> frame) {
  if (broken) return;
  if (!queue.push(lane + 1, chunk, frame)) {
    fail(kj::str("lane ", lane, " is full: the peer does not read as fast as it is written to"));
  }
}

void Link::control(Kind kind, std::uint32_t number, kj::ArrayPtr<const kj::byte> payload) {
  if (broken) return;
  auto chunk = kj::refcounted<Chunk>(encodeFrame(kind, number, payload));
  if (!queue.push(0, *chunk, chunk->bytes)) return fail("the peer does not read its credits");
  bulkReady();
}

void Link::flush() {
  if (broken || waitingForSocket) return;
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([this]() {
                 // A socket that took all that was given needs no waiting; one that did not says
                 // when.
                 if (!writeOnce()) return;
                 waitingForSocket = true;
                 tasks.add(socket->writable().then([this]() {
                   waitingForSocket = false;
                   flush();
                 }));
               })) {
    fail(exception->getDescription());
  }
}

bool Link::writeOnce() {
  for (std::size_t written = 0; written < TURN_BYTES_MAX;) {
    pieces.clear();
    std::size_t rest = bulkRest.size() - bulkRestSent;
    if (rest > 0) pieces.push_back(bulkRest.slice(bulkRestSent, bulkRest.size()));
    bool all = queue.gather(pieces, PIECES_MAX, WRITE_BYTES_MAX);
    std::size_t queued = 0;
    for (auto& piece : pieces) queued += piece.size();
    queued -= rest;
    BulkOut::Offer offer;
    auto* bulk = all ? nextBulk(offer) : nullptr;
    if (bulk != nullptr) {
      pieces.push_back(kj::arrayPtr(offer.header, HEADER_SIZE));
      if (offer.payload.size() > 0) pieces.push_back(offer.payload);
    }
    if (pieces.empty()) return false;
    auto size = socket->write(pieces);
    if (size == 0) return true;
    written += size;
    auto part = kj::min(size, rest);
    bulkRestSent += part;
    if (bulkRest.size() > 0 && bulkRestSent == bulkRest.size()) {
      bulkRest = nullptr;
      bulkRestSent = 0;
    }
    size -= part;
    part = kj::min(size, queued);
    queue.consumed(part);
    size -= part;
    if (bulk != nullptr && size > 0) bulkSent(*bulk, offer, size);
  }
  return true;
}

BulkOut* Link::nextBulk(BulkOut::Offer& offer) {
  for (std::size_t i = 0; i < bulkOuts.size(); i++) {
    auto* bulk = bulkOuts[(bulkTurn + i) % bulkOuts.size()];
    if (!bulk->offer(offer)) continue;
    bulkTurn = (bulkTurn + i + 1) % bulkOuts.size();
    return bulk;
  }
  return nullptr;
}

void Link::bulkSent(BulkOut& bulk, const BulkOut::Offer& offer, std::size_t size) {
  auto whole = HEADER_SIZE + offer.payload.size();
  if (size < whole) {
    // The writer may be gone before the rest goes: it is ours now.
    bulkRest = kj::heapArray<kj::byte>(whole - size);
    bulkRestSent = 0;
    auto headerRest = size < HEADER_SIZE ? HEADER_SIZE - size : 0;
    std::memcpy(bulkRest.begin(), offer.header + (HEADER_SIZE - headerRest), headerRest);
    auto payloadRest = bulkRest.size() - headerRest;
    if (payloadRest > 0) {
      std::memcpy(bulkRest.begin() + headerRest, offer.payload.end() - payloadRest, payloadRest);
    }
  }
  bulk.commit();
}

storage::Sink::Client Link::openBulk(kj::ArrayPtr<const kj::byte> header) {
  KJ_REQUIRE(header.size() <= BULK_HEADER_MAX, "the header of a bulk stream is too large",
             header.size());
  KJ_REQUIRE(bulkOuts.size() < BULK_STREAMS_MAX,
             "too many bulk streams to one peer at once; end one");
  BulkCarrier& carrier = *this;
  auto bulk = kj::heap<BulkOut>(carrier, ++bulkOutsOpened, header);
  bulkOuts.push_back(bulk.get());
  bulkReady();
  return kj::mv(bulk);
}

void Link::bulkReady() {
  if (!broken) turnsEnd.last();
}

void Link::bulkGone(BulkOut& stream, bool cancel) {
  bulkOuts.erase(std::remove(bulkOuts.begin(), bulkOuts.end(), &stream), bulkOuts.end());
  bulkTurn = 0;
  if (cancel) control(Kind::BULK_CANCEL, stream.id(), nullptr);
}

}  // namespace polyquorum::tcp
