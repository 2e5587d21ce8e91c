// SPDX-License-Identifier: Apache-2.0
// Lanes and links; see post_office.h.
#include "kernel/post_office.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include "sdk/direct.h"

namespace polyquorum::kernel {
namespace {

struct LaneText {
  const char* name;
  transport::Lane::Mode mode;
  std::uint32_t bytesMax;
};
// The consensus lane carries whole histories to laggards; cores pace themselves far below its limit.
constexpr LaneText LANE_TEXTS[LANES] = {
    {"election", transport::Lane::Mode::CONFLATE, 64 << 10},
    {"consensus", transport::Lane::Mode::FIFO, 512 << 20},
    {"desk", transport::Lane::Mode::FIFO, 256 << 20},
    {"chain", transport::Lane::Mode::FIFO, 64 << 20},
};

}  // namespace

class PostOffice::Inbox final : public transport::Inbox::Server {
public:
  explicit Inbox(std::shared_ptr<PostOffice*> hinge) : hinge(std::move(hinge)) {}

  kj::Promise<void> deliver(DeliverContext context) override {
    if (*hinge == nullptr) return kj::READY_NOW;
    auto& office = **hinge;
    for (auto news : context.getParams().getNews()) {
      auto peer = news.getPeer();
      auto link = news.getLink();
      switch (news.which()) {
        case transport::News::UP:
          office.open[peer] = {link, news.getUp()};
          office.recipient.linkUp(peer, link, news.getUp());
          break;
        case transport::News::DOWN:
          if (office.up(peer, link)) office.open.erase(peer);
          office.recipient.linkDown(peer, link);
          break;
        case transport::News::PARCEL: {
          auto parcel = news.getParcel();
          if (parcel.getLane() < LANES) {
            office.arrived(peer, link, static_cast<Lane>(parcel.getLane()), parcel.getBytes());
          }
          break;
        }
      }
    }
    return kj::READY_NOW;
  }

  kj::Promise<void> stream(StreamContext context) override {
    KJ_REQUIRE(*hinge != nullptr, "the node has stopped");
    auto& office = **hinge;
    auto params = context.getParams();
    auto bytes = params.getHeader();
    KJ_REQUIRE(bytes.size() % sizeof(capnp::word) == 0, "an image's header is not made of words");
    auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
    memcpy(words.begin(), bytes.begin(), bytes.size());
    capnp::FlatArrayMessageReader header(words);
    auto opened = office.recipient.image(params.getFrom(), params.getLink(),
                                         header.getRoot<Snapshot>());
    return office.streams.wrap(kj::mv(opened))
        .then([context](storage::Sink::Client sink) mutable {
          context.getResults().setSink(kj::mv(sink));
        });
  }

private:
  std::shared_ptr<PostOffice*> hinge;
};

kj::Promise<void> PostOffice::start(kj::StringPtr cluster, Member::Reader member,
                                    capnp::List<Member>::Reader members) {
  auto request = transport.startRequest();
  request.setCluster(cluster);
  request.setSelf(member);
  auto lanes = request.initLanes(LANES);
  for (unsigned i = 0; i < LANES; i++) {
    lanes[i].setName(LANE_TEXTS[i].name);
    lanes[i].setMode(LANE_TEXTS[i].mode);
    lanes[i].setBytesMax(LANE_TEXTS[i].bytesMax);
  }
  request.setInbox(sdk::direct<transport::Inbox>(kj::heap<Inbox>(hinge)));
  auto started = request.send().ignoreResult();
  return started.then([this, promise = peers(members)]() mutable { return kj::mv(promise); });
}

kj::Promise<void> PostOffice::peers(capnp::List<Member>::Reader members) {
  auto request = transport.peersRequest();
  request.setMembers(members);
  return request.send().ignoreResult();
}

bool PostOffice::up(core::MemberId peer, core::Link link) const {
  auto found = open.find(peer);
  return found != open.end() && (link == 0 || found->second.link == link);
}

void PostOffice::send(Lane lane, std::uint32_t segment, const Mail& mail) {
  if (!up(mail.peer, mail.link)) return;
  if (lastTextValid && parcels.back().lane == lane && mail.sameText(lastText)) {
    parcels.back().to.push_back({mail.peer, mail.link});
    return;
  }
  Outgoing parcel{lane, {{mail.peer, mail.link}}, nullptr, encode(segment, mail)};
  lastText.kind = mail.kind;
  lastText.numbers = mail.numbers;
  lastText.entries.clear();
  for (auto& entry : mail.entries) lastText.entries.push_back(entry.clone());
  lastTextValid = true;
  parcels.push_back(kj::mv(parcel));
}

void PostOffice::send(Lane lane, core::MemberId to, core::Link link, kj::Array<kj::byte> bytes) {
  if (!up(to, link)) return;
  lastTextValid = false;
  parcels.push_back({lane, {{to, link}}, kj::mv(bytes), {}});
}

kj::Promise<void> PostOffice::flush() {
  if (parcels.empty()) return kj::READY_NOW;
  std::size_t bytes = 0;
  for (auto& parcel : parcels) {
    bytes += parcel.plain.size() + parcel.encoded.letter.asBytes().size() + 128;
    bytes += 16 * parcel.encoded.bodies.size();
    for (auto& body : parcel.encoded.bodies) bytes += body->bytes().size() + 8;
  }
  auto request = transport.sendRequest(capnp::MessageSize{bytes / sizeof(capnp::word) + 16, 0});
  auto list = request.initParcels(parcels.size());
  for (unsigned i = 0; i < parcels.size(); i++) {
    auto& from = parcels[i];
    auto to = list[i];
    to.setLane(from.lane);
    auto addresses = to.initTo(from.to.size());
    for (unsigned k = 0; k < from.to.size(); k++) {
      addresses[k].setId(from.to[k].id);
      addresses[k].setLink(from.to[k].link);
    }
    if (from.plain.size() > 0) {
      to.initPieces(1).set(0, from.plain);
    } else {
      auto pieces = to.initPieces(1 + from.encoded.bodies.size());
      pieces.set(0, from.encoded.letter.asBytes());
      for (unsigned k = 0; k < from.encoded.bodies.size(); k++) {
        pieces.set(k + 1, from.encoded.bodies[k]->bytes());
      }
    }
  }
  parcels.clear();
  lastText.entries.clear();
  lastTextValid = false;
  return request.send().ignoreResult();
}

kj::Promise<storage::Sink::Client> PostOffice::stream(core::MemberId to, core::Link link,
                                                      kj::ArrayPtr<const kj::byte> header) {
  auto request = transport.streamRequest();
  request.setTo(to);
  request.setLink(link);
  request.setHeader(header);
  return request.send().then([](auto response) { return response.getSink(); });
}

void PostOffice::arrived(core::MemberId from, core::Link link, Lane lane,
                         kj::ArrayPtr<const kj::byte> bytes) {
  // A parcel that cannot be read is one peer's fault: it is dropped and told, and nothing else.
  KJ_IF_MAYBE(bad, kj::runCatchingExceptions([&]() {
    switch (lane) {
      case LANE_ELECTION:
      case LANE_CONSENSUS: {
        auto decoded = decode(bytes);
        decoded.mail.peer = from;
        decoded.mail.link = link;
        recipient.letter(lane, kj::mv(decoded));
        break;
      }
      case LANE_DESK:
        recipient.deskLetter(from, bytes);
        break;
      case LANE_CHAIN: {
        KJ_REQUIRE(bytes.size() % sizeof(capnp::word) == 0, "a letter that is not whole words");
        auto words = kj::arrayPtr(reinterpret_cast<const capnp::word*>(bytes.begin()),
                                  bytes.size() / sizeof(capnp::word));
        capnp::ReaderOptions options;
        options.traversalLimitInWords = 64 << 20;
        capnp::FlatArrayMessageReader reader(words, options);
        recipient.chainLetter(from, link, reader.getRoot<wire::Chain>());
        break;
      }
      case LANES:
        break;
    }
  })) {
    recipient.badParcel(from, kj::mv(*bad));
  }
}

}  // namespace polyquorum::kernel
