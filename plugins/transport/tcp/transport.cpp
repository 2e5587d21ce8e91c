// SPDX-License-Identifier: Apache-2.0
// The calls of the interface; see transport.h. Connections come about in transport_connect.cpp.
#include "transport.h"
#include <kj/debug.h>
#include <algorithm>
#include <cstring>
#include "sdk/crc32c.h"

namespace polyquorum::tcp {
namespace {

kj::String peerAddress(Member::Reader member) {
  for (auto address : member.getAddresses()) {
    if (address.getPurpose() == "peer") return kj::str(address.getAt());
  }
  return kj::String();
}

std::size_t sizeOf(transport::Parcel::Reader parcel) {
  std::size_t size = 0;
  for (auto piece : parcel.getPieces()) size += piece.size();
  return size;
}

/// Header and joined pieces, into out.
void encodeParcel(kj::byte* out, transport::Parcel::Reader parcel, std::size_t size) {
  auto at = out + HEADER_SIZE;
  for (auto piece : parcel.getPieces()) {
    if (piece.size() > 0) std::memcpy(at, piece.begin(), piece.size());
    at += piece.size();
  }
  encodeHeader(out, Kind::PARCEL, parcel.getLane(), static_cast<std::uint32_t>(size),
               sdk::crc32c(0, out + HEADER_SIZE, size));
}

/// Names and modes of all lanes in order; members with other tables do not understand each other.
std::uint32_t checksumOf(capnp::List<transport::Lane>::Reader lanes) {
  std::uint32_t sum = 0;
  for (auto lane : lanes) {
    sum = sdk::crc32c(sum, lane.getName().begin(), lane.getName().size() + 1);
    auto mode = static_cast<kj::byte>(lane.getMode());
    sum = sdk::crc32c(sum, &mode, 1);
  }
  return sum;
}

}  // namespace

TcpTransport::TcpTransport(sdk::Environment& environment, const Settings& settings)
    : environment(environment), settings(settings), tasks(*this) {}

TcpTransport::~TcpTransport() noexcept(false) {}

kj::Promise<void> TcpTransport::start(StartContext context) {
  auto params = context.getParams();
  KJ_REQUIRE(mailbag.get() == nullptr, "the transport was started twice");
  for (auto lane : params.getLanes()) {
    lanes.push_back({lane.getMode() == transport::Lane::Mode::CONFLATE, lane.getBytesMax()});
  }
  auto self = params.getSelf();
  mine.from = self.getId();
  mine.incarnation = self.getIncarnation();
  mine.frameMax = settings.frameMax;
  mine.lanes = checksumOf(params.getLanes());
  mine.cluster.assign(params.getCluster().begin(), params.getCluster().size());
  encodeGreeting(Kind::HELLO, mine);  // a name too long to be sent is told now
  auto address = peerAddress(self);
  if (address.size() > 0) {
    listener = listen(environment.io(), address, settings.socket);
    environment.log(sdk::Level::INFO, kj::str("transport.listening at=", address));
  }
  // If the kernel cannot take its news, nobody can be served: all links go, visibly.
  mailbag = kj::heap<Mailbag>(params.getInbox(), [this](kj::Exception&& exception) {
    stop(kj::str("the inbox failed: ", exception.getDescription()));
  });
  return kj::READY_NOW;
}

kj::Promise<void> TcpTransport::peers(PeersContext context) {
  KJ_REQUIRE(mailbag.get() != nullptr, "the transport was not started");
  for (auto& entry : byId) entry.second->listed = false;
  for (auto member : context.getParams().getMembers()) {
    if (member.getId() == mine.from || member.getId() == 0) continue;
    auto& slot = byId[member.getId()];
    bool isNew = slot.get() == nullptr;
    if (isNew) slot = kj::heap<Peer>();
    auto& peer = *slot;
    peer.id = member.getId();
    peer.listed = true;
    peer.address = peerAddress(member);
    if (isNew) {
      peer.dialing = keepDialing(peer).promise().eagerlyEvaluate(
          [this](kj::Exception&& exception) { taskFailed(kj::mv(exception)); });
    } else if (peer.wake) {
      peer.wake->fulfill();
    }
  }
  for (auto at = byId.begin(); at != byId.end();) {
    auto& peer = *(at++)->second;
    if (!peer.listed) closeIdle(peer);
  }
  if (listener && !accepting) {
    // Only now: before the first list every peer would be a stranger.
    accepting = true;
    tasks.add(acceptAll());
  }
  return kj::READY_NOW;
}

void TcpTransport::closeIdle(Peer& peer) {
  if (peer.link.get() == nullptr) {
    if (peer.welcoming == 0) byId.erase(peer.id);
    return;
  }
  if (peer.link->idle()) return peer.link->fail("no longer a member");
  // Looks again until what was under way is through.
  tasks.add(environment.timer().afterDelay(settings.retryMin).then([this, id = peer.id]() {
    auto found = byId.find(id);
    if (found != byId.end() && !found->second->listed) closeIdle(*found->second);
  }));
}

Link* TcpTransport::linkTo(transport::Address::Reader to) {
  auto found = byId.find(to.getId());
  if (found == byId.end()) return nullptr;
  auto* link = found->second->link.get();
  if (link == nullptr || (to.getLink() != 0 && to.getLink() != link->number())) return nullptr;
  return link;
}

void TcpTransport::push(Link& link, std::uint16_t lane, Chunk& chunk,
                        kj::ArrayPtr<const kj::byte> frame) {
  if (frame.size() - HEADER_SIZE <= link.frameMax()) return link.push(lane, chunk, frame);
  auto why =
      kj::str("a parcel of ", frame.size() - HEADER_SIZE, " bytes exceeds the peer's frameMax ",
              link.frameMax(), "; raise frameMax of the transport on all servers");
  complain(sdk::Level::ERROR, "too large",
           kj::str("parcel.too_large peer=", link.peer(), ": ", why));
  link.fail(why);
}

kj::Promise<void> TcpTransport::send(SendContext context) {
  auto parcels = context.getParams().getParcels();
  // Encoded once into one chunk, in order, so that neighbours leave in one piece.
  std::vector<Place> places;
  std::size_t total = 0;
  for (unsigned i = 0; i < parcels.size(); i++) {
    auto parcel = parcels[i];
    KJ_REQUIRE(parcel.getLane() < lanes.size(), "a parcel names a lane that was not given to start",
               parcel.getLane());
    bool anyone = false;
    for (auto to : parcel.getTo()) anyone = anyone || linkTo(to) != nullptr;
    if (!anyone) continue;
    auto size = sizeOf(parcel);
    KJ_REQUIRE(size < (1u << 31), "a parcel is too large", size);
    places.push_back({i, total, size});
    total += HEADER_SIZE + size;
  }
  if (places.empty()) return kj::READY_NOW;

  auto chunk = kj::refcounted<Chunk>(kj::heapArray<kj::byte>(total));
  std::vector<Link*> touched;
  for (auto& place : places) {
    auto parcel = parcels[place.parcel];
    auto lane = parcel.getLane();
    auto frame = chunk->bytes.slice(place.begin, place.begin + HEADER_SIZE + place.size);
    encodeParcel(frame.begin(), parcel, place.size);
    // A conflated parcel may wait long; it must not hold the turn's chunk meanwhile.
    kj::Own<Chunk> alone;
    if (lanes[lane].conflate) alone = kj::refcounted<Chunk>(kj::heapArray(frame.asConst()));
    auto& holder = alone.get() != nullptr ? *alone : *chunk;
    auto bytes = alone.get() != nullptr ? alone->bytes.asPtr() : frame;
    for (auto to : parcel.getTo()) {
      auto* link = linkTo(to);
      if (link == nullptr) continue;
      if (std::find(touched.begin(), touched.end(), link) == touched.end()) touched.push_back(link);
      push(*link, lane, holder, bytes);
    }
  }
  // A broken link lives until the mailbag was emptied, so none of these dangles.
  for (auto* link : touched) link->flush();
  return kj::READY_NOW;
}

kj::Promise<void> TcpTransport::stream(StreamContext context) {
  auto params = context.getParams();
  auto found = byId.find(params.getTo());
  auto* link = found == byId.end() ? nullptr : found->second->link.get();
  if (link == nullptr || (params.getLink() != 0 && params.getLink() != link->number())) {
    kj::throwFatalException(
        KJ_EXCEPTION(DISCONNECTED, kj::str("link ", params.getLink(), " to member ", params.getTo(),
                                           " is not open any more")));
  }
  context.getResults().setSink(link->openBulk(params.getHeader()));
  return kj::READY_NOW;
}

void TcpTransport::linkBroken(Link& link, kj::StringPtr why) {
  auto& peer = *byId.at(link.peer());
  environment.log(sdk::Level::INFO,
                  kj::str("link.down peer=", link.peer(), " link=", link.number(), ": ", why));
  mailbag->down(link.peer(), link.number(), why);
  // A link that did not last is tried again with the same patience as one that never came up.
  if (environment.timer().now() - peer.linkedSince >= settings.retryMax) peer.attempt = 0;
  auto grave = mailbag->taken().attach(kj::mv(peer.link));
  tasks.add(kj::evalLater([grave = kj::mv(grave)]() mutable { return kj::mv(grave); }));
  if (!peer.listed) {
    tasks.add(kj::evalLater([this, id = peer.id]() {
      auto found = byId.find(id);
      if (found != byId.end() && !found->second->listed) closeIdle(*found->second);
    }));
  } else if (peer.wake) {
    peer.wake->fulfill();
  }
}

void TcpTransport::stop(kj::StringPtr why) {
  environment.log(sdk::Level::ERROR, kj::str("transport.stopped: ", why));
  listener = nullptr;
  for (auto& entry : byId) {
    entry.second->listed = false;
    if (entry.second->link.get() != nullptr) entry.second->link->fail(why);
  }
}

void TcpTransport::taskFailed(kj::Exception&& exception) {
  environment.log(sdk::Level::ERROR, kj::str("transport.fault: ", exception.getDescription()));
}

}  // namespace polyquorum::tcp
