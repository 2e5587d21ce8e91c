// SPDX-License-Identifier: Apache-2.0
// State images: taking one while the state goes on changing, sending the newest to a peer, receiving one
// from a peer, loading the one in use. Decides nothing: who needs one is said by cores and the chain.
#pragma once
#include <kj/async.h>
#include <kj/function.h>
#include <map>
#include <memory>
#include <vector>
#include "interfaces/storage.capnp.h"
#include "kernel/chain.h"
#include "kernel/failure.h"
#include "kernel/post_office.h"
#include "kernel/replica.h"
#include "sdk/environment.h"

namespace polyquorum::kernel {

/// What images need of the driver.
class ImagesHost {
public:
  virtual ~ImagesHost() noexcept(false) {}
  /// An own image at `at` is durable: put the write that adopts it into the queue.
  virtual void adoptOwn(core::Position at, std::uint32_t segment) = 0;
  /// An own image could not be stored (a full disk); what was stored is as it was.
  virtual void ownFailed(const kj::Exception& why) = 0;
  /// An image of a peer is staged and durable, not in use. header: as it came.
  virtual void imageArrived(core::MemberId peer, core::Link link, Snapshot::Reader header) = 0;
  /// The answer to send(): at is what was sent.
  virtual void imageSent(core::MemberId peer, core::Link link, core::Position at, bool whole) = 0;
};

class Images {
public:
  Images(storage::Storage::Client storage, PostOffice& post, Replica& replica, Chain& chain,
         ImagesHost& host, sdk::Environment& environment)
      : storage(kj::mv(storage)), post(post), replica(replica), chain(chain), host(host),
        environment(environment) {}
  ~Images() noexcept(false) { *hinge = nullptr; }
  KJ_DISALLOW_COPY(Images);

  /// Loads the snapshot in use into the replica. header: as storage gave it.
  kj::Promise<void> load();

  /// Index of the newest own or adopted image in use; 0: none.
  core::Index newest() const { return inUse; }
  void nowInUse(core::Index index);

  /// Takes an image of what is applied now, if that may be.
  void take();
  /// None is being taken or received, and the replica is not held: between a seal and the segment that
  /// it begins the state is of neither, and an image of it would leave out how that segment begins.
  bool mayTake() const;
  /// Takes one if a peer waits for a newer one than was taken last. Called once a turn.
  void takeIfWished();

  /// Streams the newest image, or a new one if it is older than atLeast or rotten, and answers imageSent. One
  /// stream to a peer at a time: a repeat while one runs is answered when that one ends.
  void send(core::MemberId peer, core::Link link, core::Index atLeast);
  bool sendingTo(core::MemberId peer) const { return sending.count(peer) > 0; }

  /// A peer streams one here. Throws OVERLOADED while another is on its way.
  kj::Promise<storage::Sink::Client> receive(core::MemberId peer, core::Link link,
                                             Snapshot::Reader header);

  /// The cores close: what is on its way here was not for the next ones.
  void coresClosed() {
    coreLives++;
    letGo();
  }
  /// An image that arrived may still be adopted by the cores of now: a newer one would discard it.
  bool offered() const { return arrivedAt != 0; }
  bool offered(core::Index at) const { return arrivedAt == at; }
  /// They adopted it, or never will.
  void letGo() { arrivedAt = 0; }

  /// Rejects if storage failed while an own image was taken.
  kj::Promise<void> failed() { return failure.happened(); }
  void stop() { tasks = nullptr; }

private:
  bool busy() const { return taking || receiving || offered(); }

  class Arriving;
  struct Wish {
    core::MemberId peer;
    core::Link link;
    core::Index atLeast;
  };

  /// A peer's stream may hold its sink when this is gone.
  std::shared_ptr<Images*> hinge = std::make_shared<Images*>(this);
  storage::Storage::Client storage;
  PostOffice& post;
  Replica& replica;
  Chain& chain;
  ImagesHost& host;
  sdk::Environment& environment;
  Failure failure;
  kj::Own<kj::TaskSet> tasks = kj::heap<kj::TaskSet>(failure);
  core::Index inUse = 0;
  core::Index newestTaken = 0;  ///< in use when its adoption is durable
  core::Index unreadable = 0;   ///< of the newest image that was found damaged while it was sent
  bool taking = false, receiving = false;
  core::Index arrivedAt = 0;  ///< 0: none is offered
  std::uint64_t coreLives = 0;
  std::map<core::MemberId, bool> sending;
  std::vector<Wish> wishes;  ///< wait for an image to be taken

  kj::Promise<void> store(core::Position at, std::unique_ptr<state::Capture> capture);
  kj::Promise<void> write(std::unique_ptr<state::Capture> capture, storage::Sink::Client sink);
  kj::Promise<void> stream(Wish wish);
  kj::Promise<void> pump(storage::Source::Client source, storage::Sink::Client sink, core::Index index);
  kj::Promise<std::unique_ptr<state::State>> feed(storage::Source::Client source,
                                                  std::unique_ptr<state::Loader> loader);
  void ended(Wish wish, core::Position at, bool whole);
};

}  // namespace polyquorum::kernel
