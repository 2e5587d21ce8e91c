// SPDX-License-Identifier: Apache-2.0
// A network made of a queue; see network.h.
#include "simulator/network.h"
#include <kj/debug.h>
#include <algorithm>
#include <cstring>
#include "sdk/direct.h"

namespace polyquorum::simulator {
namespace {

constexpr kj::Duration REDIAL = 50 * kj::MILLISECONDS;
constexpr kj::Duration NOTICE = 3 * kj::SECONDS;  // a silent cut shows as a broken link after this

}  // namespace

void Network::Errors::taskFailed(kj::Exception&& exception) {
  KJ_LOG(ERROR, "the simulated network failed", exception);
}

// ------------------------------------------------------------------------------- the plugin's side

class Network::Line final : public transport::Transport::Server {
 public:
  Line(Network& network, core::MemberId id, std::uint64_t life)
      : network(network), id(id), life(life) {}

  kj::Promise<void> start(StartContext context) override {
    auto params = context.getParams();
    KJ_IF_MAYBE (post, mine()) {
      post->incarnation = params.getSelf().getIncarnation();
      for (auto lane : params.getLanes()) post->modes.push_back(lane.getMode());
      post->inbox = params.getInbox();
      post->started = true;
    }
    return kj::READY_NOW;
  }
  kj::Promise<void> peers(PeersContext context) override {
    KJ_IF_MAYBE (post, mine()) {
      for (auto member : context.getParams().getMembers()) {
        if (member.getId() == id) continue;
        post->wanted.insert(member.getId());
        network.dial(id, member.getId());
      }
    }
    return kj::READY_NOW;
  }
  kj::Promise<void> send(SendContext context) override {
    KJ_IF_MAYBE (post, mine()) {
      for (auto parcel : context.getParams().getParcels()) network.send(*post, parcel);
    }
    return kj::READY_NOW;
  }
  kj::Promise<void> stream(StreamContext context) override;

 private:
  Network& network;
  const core::MemberId id;
  const std::uint64_t life;

  kj::Maybe<Post&> mine() {
    auto* post = network.find(id);
    if (post == nullptr || post->life != life) return nullptr;
    return *post;
  }
};

/// Passes chunks on after a delay, as long as its connection lives.
class Network::Stream final : public storage::Sink::Server {
 public:
  Stream(Network& network, std::pair<core::MemberId, core::MemberId> ends, std::uint64_t generation,
         storage::Sink::Client sink)
      : network(network), ends(ends), generation(generation), sink(kj::mv(sink)) {}

  kj::Promise<void> write(WriteContext context) override {
    check();
    return network.timer.atTime(network.arrival(ends.first, ends.second)).then([this, context]() mutable {
      check();
      auto request = sink.writeRequest();
      request.setChunk(context.getParams().getChunk());
      return request.send();
    });
  }
  kj::Promise<void> done(DoneContext) override {
    check();
    return network.timer.atTime(network.arrival(ends.first, ends.second)).then([this]() {
      check();
      return sink.doneRequest().send().ignoreResult();
    });
  }

 private:
  Network& network;
  const std::pair<core::MemberId, core::MemberId> ends;
  const std::uint64_t generation;
  storage::Sink::Client sink;

  void check() {
    auto& pair = network.pair(ends.first, ends.second);
    if (pair.up && pair.generation == generation && network.passes(ends.first, ends.second) &&
        network.leaves(ends.first)) {
      return;
    }
    kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "the link of this stream broke"));
  }
};

kj::Promise<void> Network::Line::stream(StreamContext context) {
  auto params = context.getParams();
  auto to = params.getTo();
  auto& pair = network.pair(id, to);
  KJ_IF_MAYBE (post, mine()) {
    auto link = post->links.find(to);
    bool right =
        link != post->links.end() && (params.getLink() == 0 || params.getLink() == link->second);
    auto* other = network.find(to);
    if (pair.up && right && other != nullptr && other->started) {
      auto generation = pair.generation;
      auto request = KJ_ASSERT_NONNULL(other->inbox).streamRequest();
      request.setFrom(id);
      request.setLink(other->links[id]);
      request.setHeader(params.getHeader());
      network.imagesSent++;
      return network.timer.atTime(network.arrival(id, to))
          .then([request = kj::mv(request)]() mutable { return request.send(); })
          .then([this, to, generation, context](auto response) mutable {
            context.getResults().setSink(
                kj::heap<Stream>(network, std::make_pair(id, to), generation, response.getSink()));
          });
    }
  }
  return KJ_EXCEPTION(DISCONNECTED, "there is no such link");
}

// ---------------------------------------------------------------------------------------- servers

Network::Post* Network::find(core::MemberId id) {
  auto found = posts.find(id);
  return found == posts.end() ? nullptr : found->second.get();
}

Network::Pair& Network::pair(core::MemberId a, core::MemberId b) {
  return pairs[{std::min(a, b), std::max(a, b)}];
}

kj::Duration Network::delay() {
  auto least = weather.least / kj::MICROSECONDS, most = weather.most / kj::MICROSECONDS;
  auto takes = random.between(least, most) * kj::MICROSECONDS;
  if (random.chance(weather.tailPercent)) {
    takes += random.below(weather.tail / kj::MICROSECONDS) * kj::MICROSECONDS;
  }
  return takes;
}

kj::TimePoint Network::arrival(core::MemberId from, core::MemberId to) {
  return std::max(timer.now(), way(from, to).clogged) + delay();
}

transport::Transport::Client Network::join(core::MemberId id) {
  leave(id);
  auto post = std::make_unique<Post>();
  post->id = id;
  post->life = ++lives;
  post->tasks = kj::heap<kj::TaskSet>(errors);
  auto life = post->life;
  posts[id] = std::move(post);
  return sdk::direct<transport::Transport>(kj::heap<Line>(*this, id, life));
}

void Network::leave(core::MemberId id) {
  auto* post = find(id);
  if (post == nullptr) return;
  auto links = post->links;
  for (auto& [peer, link] : links) disconnect(id, peer);
  posts.erase(id);
}

void Network::pause(core::MemberId id, bool paused) {
  auto* post = find(id);
  if (post == nullptr) return;
  post->paused = paused;
  if (!paused) pump(*post);
}

void Network::cut(core::MemberId from, core::MemberId to) {
  cuts.insert({from, to});
  auto generation = pair(from, to).generation;
  tasks.add(timer.afterDelay(NOTICE).then([this, from, to, generation]() {
    if (!passes(from, to) && pair(from, to).generation == generation) disconnect(from, to);
  }));
}

void Network::heal(core::MemberId from, core::MemberId to) {
  auto found = cuts.find({from, to});
  if (found == cuts.end()) return;
  cuts.erase(found);
  if (passes(from, to) && way(from, to).swallowed) disconnect(from, to);
}

void Network::healAll() {
  while (!cuts.empty()) heal(cuts.begin()->first, cuts.begin()->second);
}

void Network::clog(core::MemberId from, core::MemberId to, kj::TimePoint until) {
  auto& clogged = way(from, to).clogged;
  clogged = std::max(clogged, until);
}

void Network::unclog() {
  for (auto& [ends, line] : pairs) {
    if (clogged(ends.first, ends.second) || clogged(ends.second, ends.first)) {
      disconnect(ends.first, ends.second);
    }
    for (auto& way : line.ways) way.clogged = timer.now();
  }
}

// ------------------------------------------------------------------------------------------ links

void Network::dial(core::MemberId a, core::MemberId b) {
  auto& line = pair(a, b);
  if (line.up || line.dialing) return;
  line.dialing = true;
  tasks.add(timer.afterDelay(delay()).then([this, a, b]() {
    pair(a, b).dialing = false;
    auto *first = find(a), *second = find(b);
    if (first == nullptr || second == nullptr) return;
    bool both = first->started && second->started && first->wanted.count(b) &&
                second->wanted.count(a) && passes(a, b) && passes(b, a) && !clogged(a, b) &&
                !clogged(b, a) && !first->paused && !second->paused;
    if (both) return connect(a, b);
    pair(a, b).dialing = true;
    tasks.add(timer.afterDelay(REDIAL).then([this, a, b]() {
      pair(a, b).dialing = false;
      dial(a, b);
    }));
  }));
}

void Network::connect(core::MemberId a, core::MemberId b) {
  auto& line = pair(a, b);
  line.up = true;
  line.generation++;
  for (auto& way : line.ways) {
    way.swallowed = false;
    way.fifoAt = way.conflateAt = timer.now();
  }
  linksOpened++;
  if (watchLinks) watchLinks(a, b, true);
  for (auto [mine, theirs] : {std::make_pair(a, b), std::make_pair(b, a)}) {
    auto& post = *find(mine);
    auto link = ++post.lastLink;
    post.links[theirs] = link;
    Post::News news{theirs, link, Post::News::UP};
    news.incarnation = find(theirs)->incarnation;
    tell(post, kj::mv(news));
  }
}

void Network::disconnect(core::MemberId a, core::MemberId b) {
  auto& line = pair(a, b);
  if (!line.up) return;
  line.up = false;
  line.generation++;
  linksBroken++;
  if (watchLinks) watchLinks(a, b, false);
  for (auto [mine, theirs] : {std::make_pair(a, b), std::make_pair(b, a)}) {
    auto* post = find(mine);
    if (post == nullptr) continue;
    auto found = post->links.find(theirs);
    if (found == post->links.end()) continue;
    tell(*post, Post::News{theirs, found->second, Post::News::DOWN});
    post->links.erase(found);
  }
  tasks.add(timer.afterDelay(REDIAL).then([this, a, b]() { dial(a, b); }));
}

// ---------------------------------------------------------------------------------------- parcels

void Network::send(Post& from, transport::Parcel::Reader parcel) {
  std::size_t size = 0;
  for (auto piece : parcel.getPieces()) size += piece.size();
  auto bytes = kj::heapArray<capnp::word>((size + sizeof(capnp::word) - 1) / sizeof(capnp::word));
  if (bytes.size() > 0) memset(bytes.end() - 1, 0, sizeof(capnp::word));
  auto* out = bytes.asBytes().begin();
  for (auto piece : parcel.getPieces()) {
    memcpy(out, piece.begin(), piece.size());
    out += piece.size();
  }
  for (auto address : parcel.getTo()) {
    carry(from, address.getId(), address.getLink(), parcel.getLane(), bytes, size);
  }
}

void Network::carry(Post& from, core::MemberId to, core::Link link, std::uint16_t lane,
                    kj::ArrayPtr<const capnp::word> bytes, std::size_t size) {
  auto open = from.links.find(to);
  if (open == from.links.end() || (link != 0 && link != open->second)) return;
  if (!leaves(from.id)) return;
  auto passage = depart(from.id, to, lane, bytes.asBytes().slice(0, size));
  bool conflates = lane < from.modes.size() && from.modes[lane] == transport::Lane::Mode::CONFLATE;
  if (conflates && random.chance(weather.conflateLossPercent)) {
    return lose(passage, "on its way");
  }
  if (random.chance(weather.resetPercent)) {
    lose(passage, "the link breaks");
    auto generation = pair(from.id, to).generation;
    tasks.add(kj::evalLater([this, a = from.id, b = to, generation]() {
      if (pair(a, b).generation == generation) disconnect(a, b);
    }));
    return;
  }
  auto& line = way(from.id, to);
  auto& readyAt = conflates ? line.conflateAt : line.fifoAt;
  readyAt = std::max(readyAt, arrival(from.id, to));
  arrive(readyAt, passage, bytes);
  if (!conflates || !random.chance(weather.conflateTwicePercent)) return;
  readyAt = std::max(readyAt, arrival(from.id, to));
  arrive(readyAt, depart(from.id, to, lane, passage.bytes), bytes);
}

void Network::arrive(kj::TimePoint at, const Passage& sent, kj::ArrayPtr<const capnp::word> bytes) {
  auto copy = kj::heapArray<capnp::word>(bytes.size());
  memcpy(copy.begin(), bytes.begin(), bytes.asBytes().size());
  auto generation = pair(sent.from, sent.to).generation;
  tasks.add(timer.atTime(at).then([this, passage = sent, generation, copy = kj::mv(copy)]() mutable {
    auto [a, b, size] = std::make_tuple(passage.from, passage.to, passage.bytes.size());
    passage.bytes = copy.asBytes().slice(0, size);
    auto& line = pair(a, b);
    auto* post = find(b);
    // On a fifo lane what a cut swallows is the tail: nothing passes before the link is new.
    if (post == nullptr || !line.up || line.generation != generation) {
      return lose(passage, "the link broke");
    }
    auto& swallowed = way(a, b).swallowed;
    if (!passes(a, b)) swallowed = true;
    if (swallowed) return lose(passage, "cut");
    if (watchParcels) {
      passage.what = Passage::RECEIVED;
      watchParcels(passage);
    }
    fold((timer.now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS);
    fold(a << 16 | b << 8 | passage.lane);
    for (auto word : kj::arrayPtr(reinterpret_cast<const std::uint64_t*>(copy.begin()), copy.size())) {
      fold(word);
    }
    Post::News news{a, post->links[a], Post::News::PARCEL};
    news.lane = passage.lane;
    news.bytes = kj::mv(copy);
    news.size = size;
    parcelsDelivered++;
    tell(*post, kj::mv(news));
  }));
}

/// Names a parcel for whoever watches; what becomes of it is told under that name.
Passage Network::depart(core::MemberId from, core::MemberId to, std::uint16_t lane,
                        kj::ArrayPtr<const kj::byte> bytes) {
  Passage passage{Passage::SENT, from, to, lane, ++lastPassage, bytes};
  if (watchParcels) watchParcels(passage);
  return passage;
}

void Network::lose(Passage& passage, const char* why) {
  parcelsLost++;
  if (!watchParcels) return;
  passage.what = Passage::LOST;
  passage.why = why;
  watchParcels(passage);
}

void Network::tell(Post& post, Post::News&& news) {
  post.news.push_back(kj::mv(news));
  pump(post);
}

void Network::pump(Post& post) {
  if (post.delivering || post.paused || post.news.empty() || !post.started) return;
  post.delivering = true;
  std::uint64_t words = 16;
  for (auto& news : post.news) words += 10 + news.bytes.size();
  auto request = KJ_ASSERT_NONNULL(post.inbox).deliverRequest(capnp::MessageSize{words, 0});
  auto list = request.initNews(post.news.size());
  for (unsigned i = 0; i < list.size(); i++) {
    auto& news = post.news[i];
    list[i].setPeer(news.peer);
    list[i].setLink(news.link);
    switch (news.what) {
      case Post::News::UP:
        list[i].setUp(news.incarnation);
        break;
      case Post::News::DOWN:
        list[i].setDown("cut");
        break;
      case Post::News::PARCEL: {
        auto parcel = list[i].initParcel();
        parcel.setLane(news.lane);
        parcel.setBytes(news.bytes.asBytes().slice(0, news.size));
        break;
      }
    }
  }
  post.news.clear();
  post.tasks->add(request.send().then([this, &post](auto&&) {
    post.delivering = false;
    pump(post);
  }));
}

}  // namespace polyquorum::simulator
