// SPDX-License-Identifier: Apache-2.0
// See mailbag.h.
#include "mailbag.h"
#include <kj/debug.h>

namespace polyquorum::tcp {
namespace {

// News: 3 words and 1 pointer; Arrived: 1 word and 1 pointer.
constexpr std::uint64_t WORDS_PER_NEWS = 6;
constexpr std::uint64_t WORDS_FOR_CALL = 8;

}  // namespace

Mailbag::Mailbag(transport::Inbox::Client inbox, kj::Function<void(kj::Exception&&)> failed)
    : inbox(kj::mv(inbox)), failed(kj::mv(failed)), tasks(*this),
      turnsEnd(*this, [this]() { deliver(); }) {}

void Mailbag::put(Item&& item) {
  items.push_back(kj::mv(item));
  // Everything that one round of the sockets brought goes in one call.
  if (!delivering) turnsEnd.last();
}

void Mailbag::up(std::uint32_t peer, std::uint64_t link, std::uint64_t incarnation) {
  Item item{What::UP};
  item.peer = peer;
  item.link = link;
  item.incarnation = incarnation;
  put(kj::mv(item));
}

void Mailbag::down(std::uint32_t peer, std::uint64_t link, kj::StringPtr why) {
  Item item{What::DOWN};
  item.peer = peer;
  item.link = link;
  item.why = kj::str(why);
  put(kj::mv(item));
}

void Mailbag::parcel(std::uint32_t peer, std::uint64_t link, std::uint16_t lane,
                     kj::ArrayPtr<const kj::byte> bytes) {
  Item item{What::PARCEL};
  item.peer = peer;
  item.link = link;
  item.lane = lane;
  item.bytes = bytes;
  put(kj::mv(item));
}

kj::Promise<storage::Sink::Client> Mailbag::stream(std::uint32_t peer, std::uint64_t link,
                                                   kj::Array<kj::byte> header) {
  auto pair = kj::newPromiseAndFulfiller<storage::Sink::Client>();
  Item item{What::STREAM};
  item.peer = peer;
  item.link = link;
  item.header = kj::mv(header);
  item.sink = kj::mv(pair.fulfiller);
  put(kj::mv(item));
  return kj::mv(pair.promise);
}

kj::Promise<void> Mailbag::taken() {
  if (items.empty()) return kj::READY_NOW;
  auto pair = kj::newPromiseAndFulfiller<void>();
  waiting.push_back(kj::mv(pair.fulfiller));
  return kj::mv(pair.promise);
}

void Mailbag::deliver() {
  while (!items.empty() && items.front().what == What::STREAM) {
    ask(items.front());
    items.pop_front();
  }
  if (items.empty()) return allTaken();  // a stream was last: readers that wait would wait for ever
  delivering = true;
  tasks.add(deliverSome().then([this]() {
    delivering = false;
    if (!items.empty()) turnsEnd.last();
  }));
}

kj::Promise<void> Mailbag::deliverSome() {
  std::size_t count = 0;
  std::uint64_t words = WORDS_FOR_CALL;
  for (auto& item : items) {
    if (item.what == What::STREAM) break;
    count++;
    words += WORDS_PER_NEWS + (item.bytes.size() + 7) / 8 + (item.why.size() + 8) / 8;
  }
  auto request = inbox.deliverRequest(capnp::MessageSize{words, 0});
  auto list = request.initNews(static_cast<unsigned>(count));
  for (auto news : list) {
    auto& item = items.front();
    news.setPeer(item.peer);
    news.setLink(item.link);
    switch (item.what) {
      case What::UP:
        news.setUp(item.incarnation);
        break;
      case What::DOWN:
        news.setDown(item.why);
        break;
      case What::PARCEL: {
        auto parcel = news.initParcel();
        parcel.setLane(item.lane);
        parcel.setBytes(item.bytes);
        break;
      }
      case What::STREAM:
        KJ_UNREACHABLE;
    }
    items.pop_front();
  }
  auto sent = request.send().ignoreResult();
  if (items.empty()) allTaken();
  return sent;
}

void Mailbag::allTaken() {
  for (auto& fulfiller : waiting) fulfiller->fulfill();
  waiting.clear();
}

void Mailbag::ask(Item& item) {
  if (!item.sink->isWaiting()) return;
  auto request = inbox.streamRequest();
  request.setFrom(item.peer);
  request.setLink(item.link);
  request.setHeader(item.header);
  // The link waits for the promise; when it closes, the answer is of no use any more.
  item.sink->fulfill(request.send().getSink());
}

}  // namespace polyquorum::tcp
