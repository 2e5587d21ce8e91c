// SPDX-License-Identifier: Apache-2.0
// One driver among things that the test moves by hand: cores that are scripts, a network made of calls,
// a storage that is as slow as told, a desk that hears nothing.
#pragma once
#include <capnp/message.h>
#include <kj/debug.h>
#include <kj/timer.h>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>
#include "kernel/driver.h"

namespace polyquorum::kernel::test {

class QuietDesk final : public Desk {
public:
  coordination::Desk::Client door(unsigned) override { KJ_UNIMPLEMENTED("no door"); }
  void setOutbox(unsigned, coordination::Outbox::Client) override {}
  void standing(const core::Standing&, core::Index last) override { logged = last; }
  void contact() override {}
  void applied(core::Index, kj::Maybe<Body::Reader>, const state::Applied&) override {}
  void entered(const state::Applied&) override {}
  void settle() override {}
  void readable(core::Token, core::Index) override {}
  void refused(core::Token, core::Refused::Why) override {}
  void received(core::MemberId, kj::ArrayPtr<const kj::byte>) override {}
  void linkUp(core::MemberId) override {}
  void linkDown(core::MemberId) override {}
  void stateReplaced() override {}
  kj::Promise<void> stop() override { return kj::READY_NOW; }
  kj::Promise<void> failed() override { return kj::NEVER_DONE; }

  core::Index logged = 0;  ///< as the driver said last
};

/// A door that is shut by the test: who comes meanwhile waits.
class Gate {
public:
  void shut() { closed = true; }
  void open() {
    closed = false;
    while (!waiting.empty()) letOne();
  }
  /// Who has waited longest.
  void letOne() {
    waiting.front()->fulfill();
    waiting.pop_front();
  }
  kj::Promise<void> pass() {
    if (!closed) return kj::READY_NOW;
    auto pair = kj::newPromiseAndFulfiller<void>();
    waiting.push_back(kj::mv(pair.fulfiller));
    return kj::mv(pair.promise);
  }

private:
  bool closed = false;
  std::deque<kj::Own<kj::PromiseFulfiller<void>>> waiting;
};

class Sink final : public storage::Sink::Server {
  kj::Promise<void> write(WriteContext) override { return kj::READY_NOW; }
  kj::Promise<void> done(DoneContext) override { return kj::READY_NOW; }
};

class Source final : public storage::Source::Server {
public:
  Source(std::string image, bool rotten) : rest(std::move(image)), rotten(rotten) {}
  kj::Promise<void> read(ReadContext context) override {
    if (rotten) return KJ_EXCEPTION(FAILED, "a chunk has another checksum");
    context.getResults().setChunk(kj::StringPtr(rest.c_str(), rest.size()).asBytes());
    rest.clear();
    return kj::READY_NOW;
  }

private:
  std::string rest;
  const bool rotten;
};

/// Remembers the newest image only, as no-ops up to its index; what was written is durable when the
/// gate is open.
class SlowStorage final : public storage::Storage::Server {
public:
  SlowStorage(Gate& gate, const std::uint64_t& free, std::vector<unsigned>& chains, const bool& rotten)
      : gate(gate), free(free), chains(chains), rotten(rotten) {}
  kj::Promise<void> usage(UsageContext context) override {
    context.getResults().setBytesFree(free);
    context.getResults().setBytesNeeded(NEEDED);
    return kj::READY_NOW;
  }
  static constexpr std::uint64_t NEEDED = 100 << 20;
  kj::Promise<void> write(WriteContext) override { return gate.pass(); }
  kj::Promise<void> read(ReadContext) override { return kj::READY_NOW; }
  kj::Promise<void> stage(StageContext context) override {
    staged.setRoot(context.getParams().getHeader());
    chains.push_back(context.getParams().getHeader().getChain().size());
    context.getResults().setImage(kj::heap<Sink>());
    return kj::READY_NOW;
  }
  kj::Promise<void> load(LoadContext context) override {
    auto header = staged.getRoot<Snapshot>();
    auto tree = state::State::create();
    while (tree->index() < header.getAt().getIndex()) tree->apply(tree->index() + 1);
    header.setDigest(tree->digest());
    std::string image;
    auto capture = tree->capture();
    while (capture->next(1 << 20, image)) {}
    context.getResults().setHeader(header);
    context.getResults().setImage(kj::heap<Source>(std::move(image), rotten));
    return kj::READY_NOW;
  }

private:
  Gate& gate;
  const std::uint64_t& free;
  std::vector<unsigned>& chains;
  const bool& rotten;
  capnp::MallocMessageBuilder staged;
};

class Network final : public transport::Transport::Server {
public:
  explicit Network(kj::Maybe<transport::Inbox::Client>& inbox) : inbox(inbox) {}
  kj::Promise<void> start(StartContext context) override {
    inbox = context.getParams().getInbox();
    return kj::READY_NOW;
  }
  kj::Promise<void> peers(PeersContext) override { return kj::READY_NOW; }
  kj::Promise<void> send(SendContext) override { return kj::READY_NOW; }
  kj::Promise<void> stream(StreamContext context) override {
    context.getResults().setSink(kj::heap<Sink>());
    return kj::READY_NOW;
  }

private:
  kj::Maybe<transport::Inbox::Client>& inbox;
};

/// What the cores of all segments saw, one word an event, and what they answer.
struct Script {
  std::vector<std::string> seen;
  std::function<void(capnp::List<consensus::Event>::Reader, consensus::Effects::Builder)> consensus;
};

template <typename Core>
class ScriptedCore final : public Core::Server {
public:
  ScriptedCore(Script& script, std::uint32_t segment) : script(script), segment(segment) {}

  kj::Promise<void> step(typename Core::Server::StepContext context) override {
    auto events = context.getParams().getEvents();
    auto effects = context.getResults().initEffects();
    effects.setWakeAt(core::NEVER);
    for (auto event : events) script.seen.push_back(name(event));
    react(events, effects);
    return kj::READY_NOW;
  }

private:
  Script& script;
  const std::uint32_t segment;

  template <typename Event>
  std::string name(Event event) {
    std::string front = (std::is_same_v<Core, election::Election> ? "e" : "c") +
                        std::to_string(segment) + ".";
    if (event.isOpened()) return front + "opened";
    if (event.isPeerUp()) return front + "up" + std::to_string(event.getPeerUp().getId());
    if (event.isReceived()) return front + "letter" + std::to_string(event.getReceived().getKind());
    if constexpr (std::is_same_v<Core, consensus::Consensus>) {
      if (event.isSnapshotArrived()) return front + "image";
    }
    return front + "other";
  }
  void react(capnp::List<consensus::Event>::Reader events, consensus::Effects::Builder effects) {
    if (script.consensus) script.consensus(events, effects);
  }
  void react(capnp::List<election::Event>::Reader, election::Effects::Builder) {}
};

class DriverBench final : private sdk::Environment, private CoreMaker {
public:
  using Found = std::function<void(storage::Storage::OpenResults::Builder)>;
  /// Server 1 of three voters. found: what its storage holds; nothing if it is not given.
  explicit DriverBench(const Found& found = nullptr)
      : scope(loop), clock(kj::origin<kj::TimePoint>() + 1 * kj::SECONDS) {
    auto segment = seed.initRoot<Segment>();
    auto members = segment.initMembers(3);
    for (unsigned i = 0; i < 3; i++) members[i].setId(i + 1);
    DriverSettings settings;
    settings.identity.server = 1;
    settings.identity.incarnation = 1;
    CoreMaker& maker = *this;
    sdk::Environment& environment = *this;
    driver = kj::heap<Driver>(kj::mv(settings), kj::heap<SlowStorage>(disk, diskFree, staged, rotten),
                              kj::heap<Network>(inbox), maker, environment);
    failed = driver->failed().eagerlyEvaluate([this](kj::Exception&& why) {
      failure = why.getDescription().cStr();
    });
    capnp::MallocMessageBuilder opened;
    auto results = opened.initRoot<storage::Storage::OpenResults>();
    if (found) found(results);
    driver->recover(results, segment.asReader()).wait(scope);
  }
  ~DriverBench() noexcept(false) { driver->stop(); }

  Gate disk, making;  ///< making: of cores
  QuietDesk desk;
  std::uint64_t diskFree = ~0ull;
  bool rotten = false;           ///< images cannot be read
  std::vector<unsigned> staged;  ///< of every image how many segments its chain has
  Script script;
  std::string failure;
  kj::EventLoop loop;
  kj::WaitScope scope;

  /// Until nothing moves.
  void settle() {
    for (int i = 0; i < 1000; i++) {
      scope.poll();
      kj::evalLast([]() {}).wait(scope);
    }
  }
  void start() {
    starting = driver->start(desk, {}, {}).eagerlyEvaluate(nullptr);
    settle();
  }
  Segment::Reader segment() { return seed.getRoot<Segment>().asReader(); }

  std::string refuses() { return driver->refuses(); }
  struct Times {
    std::uint64_t electionMs, leaderSeenMs;
  };
  Times times() {
    capnp::MallocMessageBuilder message;
    auto status = message.initRoot<coordination::Status>();
    driver->fill(status);
    return {status.getElectionMs(), status.getLeaderSeenMs()};
  }
  void advance(kj::Duration by) {
    clock.advanceTo(clock.now() + by);
    settle();
  }

  void up(core::MemberId peer) {
    tell(peer, [](transport::News::Builder news) { news.setUp(7); });
  }
  void letter(core::MemberId from, Lane lane, std::uint32_t segment, Mail mail) {
    auto encoded = encode(segment, mail);
    std::string bytes(encoded.letter.asChars().begin(), encoded.letter.asChars().size());
    for (auto& body : encoded.bodies) {
      bytes.append(body->bytes().asChars().begin(), body->bytes().size());
    }
    tell(from, [&](transport::News::Builder news) {
      auto parcel = news.initParcel();
      parcel.setLane(lane);
      parcel.setBytes(kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()));
    });
  }
  /// A peer of this segment says how it is.
  void tip(core::MemberId from, bool full) {
    capnp::MallocMessageBuilder message;
    message.initRoot<wire::Chain>().initTip().setFull(full);
    chain(from, message);
  }
  /// A peer of an earlier segment asks for the way to this one.
  void ask(core::MemberId from, std::uint32_t segment) {
    capnp::MallocMessageBuilder message;
    message.initRoot<wire::Chain>().initAsk().setSegment(segment);
    chain(from, message);
  }
  /// Begins to stream an image here; null if it is refused. segments: how many its chain has.
  kj::Maybe<storage::Sink::Client> stream(core::MemberId from, core::Index index, unsigned segments) {
    capnp::MallocMessageBuilder message;
    auto header = message.initRoot<Snapshot>();
    header.initAt().setIndex(index);
    auto chain = header.initChain(segments);
    for (unsigned id = 0; id < segments; id++) {
      chain.setWithCaveats(id, segment());
      chain[id].setId(id);
      if (id > 0) chain[id].setBase(index - segments + id);
    }
    auto request = KJ_ASSERT_NONNULL(inbox).streamRequest();
    request.setFrom(from);
    request.setLink(from + 10);
    auto words = capnp::messageToFlatArray(message);
    request.setHeader(words.asBytes());
    using Begun = kj::Maybe<storage::Sink::Client>;
    return request.send()
        .then([](auto response) -> Begun { return response.getSink(); },
              [](kj::Exception&&) -> Begun { return nullptr; })
        .wait(scope);
  }
  void done(storage::Sink::Client sink) {
    sink.doneRequest().send().wait(scope);
    settle();
  }
  /// A whole one; false if it is refused.
  bool image(core::MemberId from, core::Index index, unsigned segments) {
    auto sink = stream(from, index, segments);
    KJ_IF_MAYBE(begun, sink) done(*begun);
    return sink != nullptr;
  }

private:
  kj::TimerImpl clock;
  capnp::MallocMessageBuilder seed;
  kj::Maybe<transport::Inbox::Client> inbox;
  kj::Own<Driver> driver;
  kj::Promise<void> failed = nullptr, starting = nullptr;

  void chain(core::MemberId from, capnp::MessageBuilder& message) {
    auto bytes = flatten(message);
    tell(from, [&](transport::News::Builder news) {
      auto parcel = news.initParcel();
      parcel.setLane(LANE_CHAIN);
      parcel.setBytes(bytes);
    });
  }

  template <typename Fill>
  void tell(core::MemberId peer, Fill&& fill) {
    auto request = KJ_ASSERT_NONNULL(inbox).deliverRequest();
    auto news = request.initNews(1)[0];
    news.setPeer(peer);
    news.setLink(peer + 10);
    fill(news);
    request.send().wait(scope);
    settle();
  }

  template <typename Core>
  kj::Promise<typename Core::Client> make(Segment::Reader segment) {
    return making.pass().then([this, id = segment.getId()]() -> typename Core::Client {
      return kj::heap<ScriptedCore<Core>>(script, id);
    });
  }
  kj::Promise<consensus::Consensus::Client> consensus(Segment::Reader segment) override {
    return make<consensus::Consensus>(segment);
  }
  kj::Promise<election::Election::Client> election(Segment::Reader segment) override {
    return make<election::Election>(segment);
  }

  kj::Timer& timer() override { return clock; }
  std::int64_t wallTimeMs() override { return 1; }
  std::uint64_t random() override { return 4; }
  kj::Own<const kj::Directory> directory(kj::StringPtr) override {
    return kj::newInMemoryDirectory(kj::nullClock());
  }
  boost::asio::io_context& io() override { KJ_UNIMPLEMENTED("no sockets"); }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()> work) override {
    work();
    return kj::READY_NOW;
  }
  void log(sdk::Level, kj::StringPtr) override {}
};

}  // namespace polyquorum::kernel::test
