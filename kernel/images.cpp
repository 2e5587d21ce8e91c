// SPDX-License-Identifier: Apache-2.0
// State images; see images.h.
#include "kernel/images.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <algorithm>
#include <utility>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

constexpr std::size_t SLICE_BYTES = 64 << 10;     // about a tenth of a millisecond of a turn
constexpr std::size_t LOAD_BYTES = 1 << 20;

core::Position read(Position::Reader at) { return {at.getStamp(), at.getIndex()}; }

}  // namespace

// --------------------------------------------------------------------------------------- loading

kj::Promise<void> Images::load() {
  return storage.loadRequest().send().then([this](auto response) {
    auto header = response.getHeader();
    auto at = read(header.getAt());
    auto digest = header.getDigest();
    chain.extend(header.getChain());
    return feed(response.getImage(), state::State::load())
        .then([this, at, digest](std::unique_ptr<state::State> image) {
          KJ_REQUIRE(image->index() == at.index && image->digest() == digest,
                     "the snapshot does not hold what its header says: it is damaged; remove the "
                     "newest snapshot file, the server starts from an older one or from its peers",
                     at.index);
          replica.install(kj::mv(image), at);
          nowInUse(at.index);
        });
  });
}

kj::Promise<std::unique_ptr<state::State>> Images::feed(storage::Source::Client source,
                                                        std::unique_ptr<state::Loader> loader) {
  auto request = source.readRequest();
  request.setBytesMax(LOAD_BYTES);
  return request.send().then(
      [this, source = kj::mv(source), loader = kj::mv(loader)](
          auto response) mutable -> kj::Promise<std::unique_ptr<state::State>> {
        auto chunk = response.getChunk();
        if (chunk.size() == 0) return loader->finish();
        loader->feed({chunk.begin(), chunk.size()});
        return feed(kj::mv(source), kj::mv(loader));
      });
}

void Images::nowInUse(core::Index index) {
  inUse = std::max(inUse, index);
  newestTaken = std::max(newestTaken, inUse);
  auto ready = kj::mv(wishes);
  wishes.clear();
  for (auto& wish : ready) {
    if (wish.atLeast <= inUse) {
      tasks->add(stream(wish));
    } else {
      wishes.push_back(wish);
    }
  }
}

// ---------------------------------------------------------------------------------------- taking

bool Images::mayTake() const {
  return !busy() && (!replica.held() || MUTANT("kernel.image.held"));
}

void Images::takeIfWished() {
  core::Index wished = 0;
  for (auto& wish : wishes) wished = std::max(wished, wish.atLeast);
  if (wished > newestTaken && replica.appliedIndex() > newestTaken) take();
}

void Images::take() {
  if (!mayTake()) return;
  taking = true;
  auto at = replica.at();
  newestTaken = at.index;
  auto segment = chain.holding(at.index);
  tasks->add(store(at, replica.state().capture())
                 .then(
                     [this, at, segment]() {
                       taking = false;
                       host.adoptOwn(at, segment);
                     },
                     [this](kj::Exception&& why) {
                       taking = false;
                       newestTaken = inUse;
                       for (auto& wish : std::exchange(wishes, {})) ended(wish, {}, false);
                       host.ownFailed(why);
                     }));
}

kj::Promise<void> Images::store(core::Position at, std::unique_ptr<state::Capture> capture) {
  auto request = storage.stageRequest();
  auto header = request.initHeader();
  header.initAt().setStamp(at.stamp);
  header.getAt().setIndex(at.index);
  chain.write(header.initChain(chain.size()));
  header.setDigest(replica.state().digest());
  return request.send().then([this, capture = kj::mv(capture)](auto response) mutable {
    auto sink = response.getImage();
    return write(kj::mv(capture), sink).then([sink]() mutable {
      return sink.doneRequest().send().ignoreResult();
    });
  });
}

kj::Promise<void> Images::write(std::unique_ptr<state::Capture> capture, storage::Sink::Client sink) {
  // One slice a turn: requests are served between two.
  return kj::evalLast([this, capture = kj::mv(capture), sink = kj::mv(sink)]() mutable
                      -> kj::Promise<void> {
    std::string slice;
    bool more = capture->next(SLICE_BYTES, slice);
    auto request = sink.writeRequest(capnp::MessageSize{slice.size() / 8 + 16, 0});
    request.setChunk(kj::arrayPtr(reinterpret_cast<const kj::byte*>(slice.data()), slice.size()));
    auto sent = request.send();
    if (!more) return kj::mv(sent);
    return sent.then([this, capture = kj::mv(capture), sink = kj::mv(sink)]() mutable {
      return write(kj::mv(capture), kj::mv(sink));
    });
  });
}

// --------------------------------------------------------------------------------------- sending

void Images::send(core::MemberId peer, core::Link link, core::Index atLeast) {
  Wish wish{peer, link, std::max(atLeast, unreadable + 1)};
  if (!post.up(peer, link) || sendingTo(peer)) {
    tasks->add(kj::evalLater([this, wish]() { host.imageSent(wish.peer, wish.link, {}, false); }));
    return;
  }
  sending[peer] = true;
  if (inUse >= wish.atLeast) {
    tasks->add(stream(wish));
  } else {
    wishes.push_back(wish);
    takeIfWished();
  }
}

kj::Promise<void> Images::stream(Wish wish) {
  return storage.loadRequest().send().then([this, wish](auto loaded) {
    auto header = loaded.getHeader();
    auto at = read(header.getAt());
    capnp::MallocMessageBuilder message;
    message.setRoot(header);
    auto source = loaded.getImage();
    return post.stream(wish.peer, wish.link, capnp::messageToFlatArray(message).asBytes())
        .then([this, source, at](storage::Sink::Client sink) mutable { return pump(source, sink, at.index); })
        .then([this, wish, at]() { ended(wish, at, true); },
              [this, wish, at](kj::Exception&& why) {
                environment.log(sdk::Level::INFO, kj::str("image.broken peer=", wish.peer, " why=\"",
                                                          why.getDescription(), "\""));
                ended(wish, at, false);
              });
  });
}

kj::Promise<void> Images::pump(storage::Source::Client source, storage::Sink::Client sink,
                                core::Index index) {
  auto request = source.readRequest();
  request.setBytesMax(SLICE_BYTES);
  return request.send().then([this, source, sink, index](auto response) mutable -> kj::Promise<void> {
    auto chunk = response.getChunk();
    if (chunk.size() == 0) return sink.doneRequest().send().ignoreResult();
    auto write = sink.writeRequest(capnp::MessageSize{chunk.size() / 8 + 16, 0});
    write.setChunk(chunk);
    return write.send().then([this, source = kj::mv(source), sink = kj::mv(sink), index]() mutable {
      return pump(kj::mv(source), kj::mv(sink), index);
    });
  }, [this, index](kj::Exception&& why) -> kj::Promise<void> {
    // It rotted where it lies. Whoever needs one gets a new one.
    if (!MUTANT("kernel.image.rotten")) unreadable = std::max(unreadable, index);
    return kj::mv(why);
  });
}

void Images::ended(Wish wish, core::Position at, bool whole) {
  sending.erase(wish.peer);
  host.imageSent(wish.peer, wish.link, at, whole);
}

// ------------------------------------------------------------------------------------- receiving

/// Passes a peer's image on to storage; dropping it before done leaves no trace.
class Images::Arriving final : public storage::Sink::Server {
public:
  Arriving(Images& images, core::MemberId peer, core::Link link, Snapshot::Reader header,
           storage::Sink::Client sink)
      : hinge(images.hinge), ofCores(images.coreLives), peer(peer), link(link), sink(kj::mv(sink)) {
    message.setRoot(header);
  }
  ~Arriving() noexcept(false) {
    if (*hinge != nullptr && !whole) (*hinge)->receiving = false;
  }

  kj::Promise<void> write(WriteContext context) override {
    auto request = sink.writeRequest();
    request.setChunk(context.getParams().getChunk());
    if (MUTANT("M8") && !whole) arrived();
    return request.send();
  }

  kj::Promise<void> done(DoneContext context) override {
    return sink.doneRequest().send().then([this](auto&&) { arrived(); });
  }

private:
  std::shared_ptr<Images*> hinge;
  const std::uint64_t ofCores;
  core::MemberId peer;
  core::Link link;
  storage::Sink::Client sink;
  capnp::MallocMessageBuilder message;
  bool whole = false;  ///< from then on another one may arrive

  void arrived() {
    if (*hinge == nullptr) return;
    whole = true;
    auto& images = **hinge;
    auto header = message.getRoot<Snapshot>().asReader();
    images.receiving = false;
    if (ofCores == images.coreLives) images.arrivedAt = header.getAt().getIndex();
    images.host.imageArrived(peer, link, header);
  }
};

kj::Promise<storage::Sink::Client> Images::receive(core::MemberId peer, core::Link link,
                                                   Snapshot::Reader header) {
  if (busy()) {
    return KJ_EXCEPTION(OVERLOADED, "another image is on its way here; try again later");
  }
  if (header.getAt().getIndex() <= replica.appliedIndex()) {
    return KJ_EXCEPTION(FAILED, "this image is older than what is applied here");
  }
  receiving = true;
  auto request = storage.stageRequest();
  request.setHeader(header);
  auto copy = kj::heap<capnp::MallocMessageBuilder>();
  copy->setRoot(header);
  return request.send().then(
      [this, peer, link, copy = kj::mv(copy)](auto response) mutable -> storage::Sink::Client {
        return kj::heap<Arriving>(*this, peer, link, copy->template getRoot<Snapshot>().asReader(),
                                  response.getImage());
      },
      [this](kj::Exception&& why) -> storage::Sink::Client {
        receiving = false;
        kj::throwFatalException(kj::mv(why));
      });
}

}  // namespace polyquorum::kernel
