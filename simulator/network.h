// SPDX-License-Identifier: Apache-2.0
// A network made of a queue: stands where a transport plugin would, delays, cuts and loses, and
// keeps each lane's promises. It cannot read what it carries.
#pragma once
#include <kj/async.h>
#include <kj/timer.h>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>
#include "interfaces/transport.capnp.h"
#include "sdk/core.h"
#include "simulator/random.h"

namespace polyquorum::simulator {

/// How bad a network is; drawn per seed, changed during a run.
struct Weather {
  kj::Duration least = 200 * kj::MICROSECONDS;
  kj::Duration most = 2 * kj::MILLISECONDS;
  double tailPercent = 0;  ///< of parcels that take up to `tail` longer
  kj::Duration tail = 500 * kj::MILLISECONDS;
  double conflateLossPercent = 0;   ///< of parcels on conflating lanes that vanish
  double conflateTwicePercent = 0;  ///< of parcels on conflating lanes that arrive twice
  double resetPercent = 0;          ///< of parcels that break their link instead
};

/// One step of a parcel's way, for whoever watches.
struct Passage {
  enum What : std::uint8_t { SENT, RECEIVED, LOST } what = SENT;
  core::MemberId from = 0, to = 0;
  std::uint16_t lane = 0;
  std::uint64_t id = 0;
  kj::ArrayPtr<const kj::byte> bytes;
  const char* why = "";  ///< it is lost
};

class Network {
 public:
  Network(kj::Timer& timer, Random random) : timer(timer), random(random) {}

  /// The transport of one life of a server. Ends with leave(), or when the next life joins.
  transport::Transport::Client join(core::MemberId id);
  /// The server is gone: its links break at once, what was in flight is lost.
  void leave(core::MemberId id);
  /// A server that is paused gets nothing; what arrives waits.
  void pause(core::MemberId id, bool paused);

  /// Nothing passes from one to the other (one direction) until healed as often as it was
  /// cut. Links break after a while.
  void cut(core::MemberId from, core::MemberId to);
  void heal(core::MemberId from, core::MemberId to);
  void healAll();
  /// Both ends hear at once that their connection is gone.
  void snap(core::MemberId a, core::MemberId b) { disconnect(a, b); }
  bool whole() const { return cuts.empty(); }
  /// What is sent from one to the other arrives after this moment, in order; so do new links.
  void clog(core::MemberId from, core::MemberId to, kj::TimePoint until);
  /// What is held up is lost with its link.
  void unclog();

  Weather weather;
  /// Asked before each parcel and each piece of an image leaves; false: its sender is gone.
  std::function<bool(core::MemberId from)> leaves = [](core::MemberId) { return true; };

  /// Told of every parcel and every link; null: nobody watches.
  std::function<void(const Passage&)> watchParcels;
  std::function<void(core::MemberId, core::MemberId, bool up)> watchLinks;

  // For coverage: a run in which nothing happened proves nothing.
  std::uint64_t parcelsDelivered = 0, parcelsLost = 0, linksOpened = 0, linksBroken = 0,
                imagesSent = 0;
  /// Folds every delivery into one number: equal seeds give equal traces.
  std::uint64_t traceHash = 0xcbf29ce484222325;

 private:
  class Line;    // the Transport of one life
  class Stream;  // a bulk stream
  struct Post {
    core::MemberId id = 0;
    std::uint64_t life = 0;
    std::uint64_t incarnation = 0;
    bool started = false, paused = false, delivering = false;
    std::uint64_t lastLink = 0;
    std::vector<transport::Lane::Mode> modes;
    std::set<core::MemberId> wanted;
    std::map<core::MemberId, core::Link> links;
    kj::Maybe<transport::Inbox::Client> inbox;
    /// In order; delivered in one call as soon as the last one returned.
    struct News {
      core::MemberId peer;
      core::Link link;
      enum { UP, DOWN, PARCEL } what;
      std::uint64_t incarnation = 0;
      std::uint16_t lane = 0;
      kj::Array<capnp::word> bytes;
      std::size_t size = 0;
    };
    std::deque<News> news;
    kj::Own<kj::TaskSet> tasks;
  };
  struct Pair {
    bool up = false, dialing = false;
    std::uint64_t generation = 0;  ///< of the connection; what belongs to an older one is lost
    /// One direction. Lanes of one mode keep their order among each other.
    struct Way {
      bool swallowed = false;  ///< a cut took a parcel: nothing more passes on this link
      kj::TimePoint fifoAt = kj::origin<kj::TimePoint>(), conflateAt = kj::origin<kj::TimePoint>();
      kj::TimePoint clogged = kj::origin<kj::TimePoint>();  ///< until then; outlives the link
    };
    Way ways[2];  ///< from the smaller id, from the greater
  };
  struct Errors final : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&& exception) override;
  };

  kj::Timer& timer;
  Random random;
  Errors errors;
  kj::TaskSet tasks{errors};
  std::map<core::MemberId, std::unique_ptr<Post>> posts;
  std::map<std::pair<core::MemberId, core::MemberId>, Pair> pairs;
  std::multiset<std::pair<core::MemberId, core::MemberId>> cuts;
  std::uint64_t lives = 0, lastPassage = 0;

  Post* find(core::MemberId id);
  Pair& pair(core::MemberId a, core::MemberId b);
  Pair::Way& way(core::MemberId from, core::MemberId to) { return pair(from, to).ways[from < to ? 0 : 1]; }
  bool clogged(core::MemberId from, core::MemberId to) { return timer.now() < way(from, to).clogged; }
  kj::Duration delay();
  kj::TimePoint arrival(core::MemberId from, core::MemberId to);
  void dial(core::MemberId a, core::MemberId b);
  void connect(core::MemberId a, core::MemberId b);
  void disconnect(core::MemberId a, core::MemberId b);
  bool passes(core::MemberId from, core::MemberId to) const { return cuts.count({from, to}) == 0; }
  void send(Post& from, transport::Parcel::Reader parcel);
  void carry(Post& from, core::MemberId to, core::Link link, std::uint16_t lane,
             kj::ArrayPtr<const capnp::word> bytes, std::size_t size);
  void arrive(kj::TimePoint at, const Passage& passage, kj::ArrayPtr<const capnp::word> bytes);
  Passage depart(core::MemberId from, core::MemberId to, std::uint16_t lane,
                 kj::ArrayPtr<const kj::byte> bytes);
  void lose(Passage& passage, const char* why);
  void tell(Post& post, Post::News&& news);
  void pump(Post& post);
  void fold(std::uint64_t value) { traceHash = (traceHash ^ value) * 0x100000001b3; }
};

}  // namespace polyquorum::simulator
