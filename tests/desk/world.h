// SPDX-License-Identifier: Apache-2.0
// A small world for desks: up to some nodes with real states and real desks, one decided log, links
// and leaders moved by the test. No core, no disk, no socket, virtual time.
#pragma once
#include <capnp/message.h>
#include <kj/async.h>
#include <kj/timer.h>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include "kernel/desk.h"

namespace polyquorum::kernel::test {

using Fill = std::function<void(coordination::Request::Builder)>;
using Words = kj::Array<capnp::word>;

/// One delivery, copied.
struct Told {
  enum Kind { REPLY, EVENT, GAP, ENDED, ADRIFT } kind = REPLY;
  std::uint64_t session = 0, index = 0, token = 0;
  Error error = Error::OK;       ///< of the outcome or the answer, or why it ended
  std::string path;              ///< of the outcome or the event
  std::string data;              ///< of an answer
  Change::What what = Change::What::CREATED;
  std::uint64_t attached = 0, incarnation = 0;
  std::string password;
};

Words operation(std::function<void(Operation::Builder)> fill);
Words create(const std::string& path, const std::string& data = "");
Words setData(const std::string& path, const std::string& data);
Words attach(std::uint64_t session, std::uint64_t nonce, std::uint32_t timeoutMs, unsigned home,
             const std::string& password = "");

/// A request of a session.
Fill ask(std::uint64_t session, std::uint64_t token, Fill more);
Fill write(std::uint64_t session, std::uint64_t token, const Words& words);
Fill get(std::uint64_t session, std::uint64_t token, const std::string& path,
         coordination::Level level = coordination::Level::SESSION, bool watch = false,
         std::uint64_t after = 0);
Fill watch(std::uint64_t session, std::uint64_t token, const std::string& path,
           coordination::Watch::Kind kind);
Fill rewatch(std::uint64_t session, std::uint64_t token, const std::string& path,
             coordination::Watch::Kind kind, std::uint64_t since);
Fill ping(std::uint64_t session, std::uint64_t token);
Fill sync(std::uint64_t session, std::uint64_t token);
Fill leave(std::uint64_t session);

class World;

class Node final : public DeskHost {
public:
  Node(World& world, core::MemberId id);

  World& world;
  const core::MemberId id;
  std::unique_ptr<state::State> tree;
  kj::Own<Desk> desk;
  std::vector<Told> told;
  coordination::Desk::Client door;
  core::Standing standing;
  std::string refusing;

  void submit(std::vector<Fill> requests);
  /// The told of one token; the test fails if it is not exactly one.
  const Told& reply(std::uint64_t token) const;
  bool answered(std::uint64_t token) const;
  std::size_t count(Told::Kind kind) const;

  void propose(core::Token token, BodyRef body, core::MemberId home) override;
  void read(core::Token token) override;
  void post(core::MemberId to, kj::Array<kj::byte> letter) override;
  std::string refuses() override { return refusing; }
  state::State& state() override { return *tree; }
  void fill(coordination::Status::Builder status) override;

  struct Proposal {
    core::Token token;
    BodyRef body;
    core::MemberId home;
  };
  std::deque<Proposal> proposals;
  std::deque<core::Token> reads;
};

/// Everything moves only when the test says so.
class World final : public sdk::Environment {
public:
  explicit World(unsigned count, DeskSettings settings = {});
  ~World() noexcept(false);

  kj::EventLoop loop;
  kj::WaitScope scope;
  kj::TimerImpl clock;
  DeskSettings settings;
  std::vector<std::unique_ptr<Node>> nodes;
  core::MemberId leader = 0;
  core::Fence fence = 0;
  core::Index committed = 0;
  std::int64_t wallMs = 1000000;
  std::function<bool()> refuses;     ///< asked for each proposal

  Node& node(core::MemberId id) { return *nodes[id - 1]; }
  std::size_t length() const { return entries.size(); }

  /// Letters, proposals, commits, applies, promises: until nothing moves.
  void settle();
  /// Runs queued promises only.
  void turn();
  /// The leader's proposals go into the log (not committed).
  void logProposals();
  void answerReads();
  void commit(core::Index index);
  void applyTo(Node& node, core::Index index);
  /// One letter from one to another; false if there is none.
  bool deliver(core::MemberId from, core::MemberId to);

  /// A new leader whose log is the committed one and kept entries more. tells everybody linked.
  void elect(core::MemberId id, core::Index kept = 0);
  void stand(Node& node, core::Standing::Phase phase);
  void lose();                       ///< nobody leads
  void cut(core::MemberId a, core::MemberId b);
  void join(core::MemberId a, core::MemberId b);
  bool linked(core::MemberId a, core::MemberId b) const;
  void pass(kj::Duration time, bool contact = true);

  /// Opens a session at a node; needs a leader.
  Told open(core::MemberId at, std::uint32_t timeoutMs = 6000, std::uint64_t nonce = 1);

  kj::Timer& timer() override { return clock; }
  std::int64_t wallTimeMs() override { return wallMs; }
  std::uint64_t random() override { return 4; }
  kj::Own<const kj::Directory> directory(kj::StringPtr) override { KJ_UNIMPLEMENTED("no disk"); }
  boost::asio::io_context& io() override { KJ_UNIMPLEMENTED("no network"); }
  kj::Promise<void> offload(sdk::Queue, kj::Function<void()> work) override;
  void log(sdk::Level level, kj::StringPtr line) override;

  std::map<std::pair<core::MemberId, core::MemberId>, std::deque<kj::Array<kj::byte>>> mail;

  struct Slot {
    BodyRef body;                    ///< shared with the proposer, as in a leader's memory
    std::string bytes;               ///< as proposed: nobody may change the body afterwards
  };
  std::vector<Slot> entries;         ///< the log; at most committed is decided

private:
  std::map<std::pair<core::MemberId, core::MemberId>, bool> links;
};

}  // namespace polyquorum::kernel::test
