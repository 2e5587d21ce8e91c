// SPDX-License-Identifier: Apache-2.0
// What goes up to the kernel: ups, downs, parcels and beginnings of bulk streams of all links, in
// one order, one call of the inbox at a time.
#pragma once
#include <kj/async.h>
#include <kj/function.h>
#include <cstdint>
#include <deque>
#include <vector>
#include "interfaces/transport.capnp.h"
#include "sdk/later.h"

namespace polyquorum::tcp {

class Mailbag final : private kj::TaskSet::ErrorHandler {
 public:
  /// failed is called with what the inbox threw; nothing is delivered after that.
  Mailbag(transport::Inbox::Client inbox, kj::Function<void(kj::Exception&&)> failed);
  KJ_DISALLOW_COPY(Mailbag);

  void up(std::uint32_t peer, std::uint64_t link, std::uint64_t incarnation);
  void down(std::uint32_t peer, std::uint64_t link, kj::StringPtr why);

  /// bytes must stay until taken() resolves, or be given to keep().
  void parcel(std::uint32_t peer, std::uint64_t link, std::uint16_t lane,
              kj::ArrayPtr<const kj::byte> bytes);

  /// Resolves when everything put in so far was copied into a call of the inbox. A link that waits
  /// for this before it reads on is how a slow kernel slows its peers.
  kj::Promise<void> taken();

  /// Asks the kernel for a sink, after all news put in before.
  kj::Promise<storage::Sink::Client> stream(std::uint32_t peer, std::uint64_t link,
                                            kj::Array<kj::byte> header);

 private:
  enum class What { UP, DOWN, PARCEL, STREAM };
  struct Item {
    What what;
    std::uint16_t lane = 0;
    std::uint32_t peer = 0;
    std::uint64_t link = 0;
    std::uint64_t incarnation = 0;
    kj::ArrayPtr<const kj::byte> bytes;
    kj::String why;
    kj::Array<kj::byte> header;
    kj::Own<kj::PromiseFulfiller<storage::Sink::Client>> sink;
  };

  transport::Inbox::Client inbox;
  std::deque<Item> items;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> waiting;
  kj::Function<void(kj::Exception&&)> failed;
  bool delivering = false;
  kj::TaskSet tasks;
  sdk::Later turnsEnd;

  void put(Item&& item);
  void deliver();
  kj::Promise<void> deliverSome();
  void taskFailed(kj::Exception&& exception) override { failed(kj::mv(exception)); }
  void allTaken();
  void ask(Item& item);
};

}  // namespace polyquorum::tcp
