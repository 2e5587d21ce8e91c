// SPDX-License-Identifier: Apache-2.0
// One link: an open connection that has shaken hands. Sends lanes before bulk streams, reads one
// buffer at a time. Who is linked with whom is the transport's business.
#pragma once
#include <kj/async.h>
#include <map>
#include <vector>
#include "bulk_out.h"
#include "frame_reader.h"
#include "mailbag.h"
#include "out_queue.h"
#include "sdk/async.h"
#include "sdk/later.h"
#include "socket.h"

namespace polyquorum::tcp {

class Link;

class LinkOwner {
 public:
  virtual ~LinkOwner() noexcept(false) {}
  /// Called once. The owner must not destroy the link before the mailbag was emptied: parcels of it
  /// may wait there.
  virtual void linkBroken(Link& link, kj::StringPtr why) = 0;
};

struct LinkSettings {
  std::uint32_t peer = 0;
  std::uint64_t number = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t peerFrameMax = 0;      ///< what the other side accepts
  kj::ArrayPtr<const LaneRule> lanes;  ///< as given to start; copied
};

class Link final : private BulkCarrier, private kj::TaskSet::ErrorHandler {
 public:
  Link(LinkOwner& owner, Mailbag& mailbag, kj::Own<Socket> socket, kj::Own<FrameReader> reader,
       const LinkSettings& settings);
  ~Link() noexcept(false);
  KJ_DISALLOW_COPY(Link);

  /// Begins to read. Its up must be in the mailbag before.
  void start();

  std::uint32_t peer() const { return settings.peer; }
  std::uint64_t number() const { return settings.number; }
  std::uint64_t incarnation() const { return settings.incarnation; }
  std::uint32_t frameMax() const { return settings.peerFrameMax; }
  bool idle() const { return queue.empty() && bulkOuts.empty() && bulkIns.empty(); }

  /// Queues a whole parcel frame; a full lane breaks the link. Nothing is sent before flush().
  void push(std::uint16_t lane, Chunk& chunk, kj::ArrayPtr<const kj::byte> frame);

  /// Sends what waits, as much as the socket takes; the rest goes when it takes more.
  void flush();

  storage::Sink::Client openBulk(kj::ArrayPtr<const kj::byte> header);

  /// Closes it; the owner is told.
  void fail(kj::StringPtr why);

 private:
  struct BulkIn;

  LinkOwner& owner;
  Mailbag& mailbag;
  const LinkSettings settings;
  const std::size_t laneCount;
  kj::Own<Socket> socket;
  kj::Own<FrameReader> reader;
  OutQueue queue;
  bool broken = false, waitingForSocket = false, putParcels = false;

  std::vector<BulkOut*> bulkOuts;
  std::size_t bulkTurn = 0;
  std::uint32_t bulkOutsOpened = 0;
  /// The part of a bulk frame that the socket did not take.
  kj::Array<kj::byte> bulkRest;
  std::size_t bulkRestSent = 0;
  std::map<std::uint32_t, kj::Own<BulkIn>> bulkIns;
  std::uint32_t bulkInsOpened = 0;

  Pieces pieces;
  kj::TaskSet tasks;
  sdk::Later turnsEnd;

  bool writeOnce();
  BulkOut* nextBulk(BulkOut::Offer& offer);
  void bulkSent(BulkOut& bulk, const BulkOut::Offer& offer, std::size_t size);
  void control(Kind kind, std::uint32_t number, kj::ArrayPtr<const kj::byte> payload);

  sdk::Async<void> readAll();
  void handleFrames();
  void handleBulk(const Frame& frame);
  void handleAnswer(const Frame& frame);
  void bulkOpened(const Frame& frame);
  sdk::Async<void> receiveBulk(BulkIn& bulk, storage::Sink::Client given);

  void bulkReady() override;
  void bulkGone(BulkOut& stream, bool cancel) override;
  void taskFailed(kj::Exception&& exception) override;
};

}  // namespace polyquorum::tcp
