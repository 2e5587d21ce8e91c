// SPDX-License-Identifier: Apache-2.0
// The sending end of one bulk stream: what the kernel writes into, and the next frame of it when
// the link has nothing more urgent. Knows no socket.
#pragma once
#include <kj/async.h>
#include <deque>
#include "interfaces/storage.capnp.h"
#include "wire.h"

namespace polyquorum::tcp {

class BulkOut;

/// The link as its outgoing streams see it.
class BulkCarrier {
 public:
  virtual ~BulkCarrier() noexcept(false) {}
  /// A stream has something to send.
  virtual void bulkReady() = 0;
  /// The stream goes away. cancel: its receiver must be told to forget it.
  virtual void bulkGone(BulkOut& stream, bool cancel) = 0;
};

class BulkOut final : public storage::Sink::Server {
 public:
  BulkOut(BulkCarrier& carrier, std::uint32_t id, kj::ArrayPtr<const kj::byte> header);
  ~BulkOut() noexcept(false);

  /// Returns when the socket has taken the chunk: the receiver's pace is the writer's.
  kj::Promise<void> write(WriteContext context) override;
  /// Returns when the receiver's sink is done; throws what it threw.
  kj::Promise<void> done(DoneContext context) override;

  struct Offer {
    kj::byte header[HEADER_SIZE];
    kj::ArrayPtr<const kj::byte> payload;
  };
  /// The next frame, if one may go now. Stays the same until commit().
  bool offer(Offer& out) const;
  /// The offered frame is on its way.
  void commit();

  std::uint32_t id() const { return number; }
  void credit(std::uint32_t bytes);
  void finished();
  void failed(kj::StringPtr why);
  /// The link is gone.
  void broken(kj::StringPtr why);

 private:
  struct Waiting {
    WriteContext context;  // keeps the chunk
    kj::ArrayPtr<const kj::byte> rest;
    kj::Own<kj::PromiseFulfiller<void>> taken;
  };

  BulkCarrier* carrier;
  const std::uint32_t number;
  kj::Array<kj::byte> header;
  std::deque<Waiting> waiting;
  std::uint32_t window = BULK_WINDOW;
  bool opened = false, ending = false, ended = false, over = false;
  kj::Own<kj::PromiseFulfiller<void>> whenDone;
  kj::Maybe<kj::Exception> problem;

  kj::ArrayPtr<const kj::byte> nextData() const;
  void stop(kj::Exception&& why);
};

}  // namespace polyquorum::tcp
