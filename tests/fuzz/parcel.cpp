// SPDX-License-Identifier: Apache-2.0
// The kernel's post office: parcels of every lane. A bad one is told and dropped; a letter of a
// core that was accepted is the same after encoding it again.
#include <capnp/serialize.h>
#include <kj/async.h>
#include <kj/debug.h>
#include <cstring>
#include "kernel/desk_lane.capnp.h"
#include "kernel/post_office.h"
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {
namespace {

using namespace polyquorum::kernel;

/// Keeps the inbox that the post office gives it.
class Wire final : public transport::Transport::Server {
 public:
  explicit Wire(kj::Maybe<transport::Inbox::Client>& inbox) : inbox(inbox) {}
  kj::Promise<void> start(StartContext context) override {
    inbox = context.getParams().getInbox();
    return kj::READY_NOW;
  }
  kj::Promise<void> peers(PeersContext) override { return kj::READY_NOW; }

 private:
  kj::Maybe<transport::Inbox::Client>& inbox;
};

/// Reads all of every letter.
class Reading final : public Recipient {
 public:
  std::size_t bad = 0;

  void linkUp(core::MemberId, core::Link, std::uint64_t) override {}
  void linkDown(core::MemberId, core::Link) override {}
  void letter(Lane, Decoded&& letter) override {
    auto encoded = encode(letter.segment, letter.mail);
    auto size = encoded.letter.size();
    for (auto& body : encoded.bodies) size += body->asWords().size();
    auto words = kj::heapArray<capnp::word>(size);
    auto* at = words.begin();
    auto put = [&](kj::ArrayPtr<const capnp::word> more) {
      if (more.size() > 0) memcpy(at, more.begin(), more.asBytes().size());
      at += more.size();
    };
    put(encoded.letter);
    for (auto& body : encoded.bodies) put(body->asWords());
    auto again = decode(words.asBytes());
    must(again.segment == letter.segment && again.mail.kind == letter.mail.kind &&
             again.mail.numbers == letter.mail.numbers &&
             again.mail.entries.size() == letter.mail.entries.size(),
         "a letter is the same after encoding it again");
  }
  void deskLetter(core::MemberId, kj::ArrayPtr<const kj::byte> bytes) override {
    auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
    memcpy(words.begin(), bytes.begin(), words.asBytes().size());
    capnp::ReaderOptions options;
    options.traversalLimitInWords = words.size() * 2 + 64;
    capnp::FlatArrayMessageReader reader(words, options);
    auto letter = reader.getRoot<DeskLetter>();
    for (auto command : letter.getCommands()) {
      auto body = copyBody(command);
      BodyReader opened(*body);
      if (opened.get().isSeal()) copySeal(opened.get().getSeal());
    }
    for (auto touch : letter.getTouches()) sum += touch.getSession() + touch.getAgeMs();
  }
  void chainLetter(core::MemberId, core::Link, kernel::wire::Chain::Reader letter) override {
    auto tip = letter.isTip() ? letter.getTip() : letter.getAsk();
    sum += tip.getSegment() + tip.getApplied() + tip.getLost() + tip.getIncarnation();
  }
  kj::Promise<storage::Sink::Client> image(core::MemberId, core::Link, Snapshot::Reader) override {
    return KJ_EXCEPTION(UNIMPLEMENTED, "no images here");
  }
  void badParcel(core::MemberId, kj::Exception&&) override { bad++; }

 private:
  std::uint64_t sum = 0;

  static void copySeal(Segment::Reader next) {
    capnp::MallocMessageBuilder copy;
    copy.setRoot(next);
  }
};

}  // namespace

void parcel(Bytes bytes) {
  if (bytes.empty()) return;
  kj::EventLoop loop;
  kj::WaitScope scope(loop);
  kj::Maybe<transport::Inbox::Client> inbox;
  Reading reading;
  PostOffice office(1, kj::heap<Wire>(inbox), reading);
  capnp::MallocMessageBuilder members;
  auto list = members.getRoot<capnp::AnyPointer>().initAs<capnp::List<Member>>(2);
  list[0].setId(1);
  list[1].setId(2);
  office.start("fuzz", list[0].asReader(), list.asReader()).wait(scope);
  auto request = KJ_ASSERT_NONNULL(inbox).deliverRequest();
  auto news = request.initNews(2);
  news[0].setPeer(2);
  news[0].setLink(1);
  news[0].setUp(5);
  news[1].setPeer(2);
  news[1].setLink(1);
  auto parcel = news[1].initParcel();
  parcel.setLane(bytes[0] % LANES);
  parcel.setBytes(kj::arrayPtr(bytes.data() + 1, bytes.size() - 1));
  request.send().wait(scope);
}

}  // namespace polyquorum::fuzz
