// SPDX-License-Identifier: Apache-2.0
// For tests: a desk that keeps what it was asked and answers by script. It has no tree.
#pragma once
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>
#include "interfaces/coordination.capnp.h"
#include "test/loop.h"

namespace polyquorum::zookeeper::test {

/// A copy of one request, and of the operation inside it.
struct Asked {
  std::shared_ptr<capnp::MallocMessageBuilder> message;
  std::shared_ptr<kj::Array<capnp::word>> words;
  std::shared_ptr<capnp::FlatArrayMessageReader> flat;

  coordination::Request::Reader request() const {
    return message->getRoot<coordination::Request>().asReader();
  }
  Operation::Reader operation() const { return flat->getRoot<Operation>(); }
};

/// Attaches are answered at once: new sessions get ids from 0x100000000000001 on and the password
/// they asked for; resumes are answered by `resume`. Pings, syncs, watches and detaches are
/// answered with ok if `automatic`. All else waits for the test.
class FakeDesk final : public coordination::Desk::Server {
public:
  explicit FakeDesk(World& world) : world(world) {}

  kj::Promise<void> submit(SubmitContext context) override {
    submits++;
    for (auto request : context.getParams().getRequests()) take(request);
    return kj::READY_NOW;
  }

  kj::Promise<void> status(StatusContext context) override {
    auto status = context.getResults().initStatus();
    status.setSelf(1);
    status.setPhase(phase);
    status.setLeader(phase == consensus::Standing::Phase::LEADING ? 1 : 0);
    status.initMembers(1)[0].setId(1);
    status.setApplied(index);
    status.setNodes(5);
    status.setWatches(3);
    status.setWatchPaths(2);
    status.setWatchers(1);
    return kj::READY_NOW;
  }

  kj::Promise<void> inspect(InspectContext context) override {
    auto row = context.getResults().initRows(1)[0];
    row.setSession(0xabc);
    row.setPath("/a");
    row.initPaths(1).set(0, "/a");
    row.initSessions(1).set(0, 0xabc);
    row.setTimeoutMs(4000);
    return kj::READY_NOW;
  }

  using Fill = std::function<void(coordination::Delivery::Builder)>;

  /// Delivers what fills make, in one call.
  void deliver(const std::vector<Fill>& fills) {
    auto call = KJ_REQUIRE_NONNULL(outbox).deliverRequest();
    auto list = call.initDeliveries(static_cast<unsigned>(fills.size()));
    for (unsigned i = 0; i < fills.size(); i++) {
      list[i].setIndex(index);
      fills[i](list[i]);
    }
    call.send().ignoreResult().wait(world.scope);
  }

  /// The oldest request that waits, after the loop brought one.
  Asked next() {
    world.until([this]() { return !waiting.empty(); });
    auto out = kj::mv(waiting.front());
    waiting.pop_front();
    return out;
  }
  Fill error(const Asked& asked, Error error) {
    return outcome(asked, [error](Outcome::Builder outcome) { outcome.setError(error); });
  }
  Fill outcome(const Asked& asked, std::function<void(Outcome::Builder)> fill) {
    return [=](coordination::Delivery::Builder out) {
      out.setSession(asked.request().getSession());
      auto reply = out.initReply();
      reply.setToken(asked.request().getToken());
      fill(reply.initOutcome());
    };
  }
  Fill answer(const Asked& asked, std::function<void(Answer::Builder)> fill) {
    return [=](coordination::Delivery::Builder out) {
      out.setSession(asked.request().getSession());
      auto reply = out.initReply();
      reply.setToken(asked.request().getToken());
      fill(reply.initAnswer());
    };
  }

  World& world;
  kj::Maybe<coordination::Outbox::Client> outbox;
  consensus::Standing::Phase phase = consensus::Standing::Phase::LEADING;
  std::deque<Asked> waiting;
  std::vector<std::uint64_t> left;                ///< sessions of leave requests
  std::uint64_t index = 7, sessions = 0;
  unsigned submits = 0;
  bool automatic = true, answersAttach = true;
  std::function<bool(Attach::Reader)> resume = [](Attach::Reader) { return true; };
  std::string lastPassword;

private:
  void take(coordination::Request::Reader request) {
    if (request.isLeave()) return left.push_back(request.getSession());
    Asked asked;
    asked.message = std::make_shared<capnp::MallocMessageBuilder>();
    asked.message->setRoot(request);
    if (request.isOperation()) {
      auto bytes = request.getOperation();
      asked.words = std::make_shared<kj::Array<capnp::word>>(
          kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word)));
      memcpy(asked.words->begin(), bytes.begin(), bytes.size());
      asked.flat = std::make_shared<capnp::FlatArrayMessageReader>(*asked.words);
      if (asked.operation().isAttach() && answersAttach) return attach(asked);
    }
    bool simple = request.isPing() || request.isSync() || request.isWatch() ||
                  (request.isOperation() && asked.operation().isDetach());
    if (!simple || !automatic) return waiting.push_back(kj::mv(asked));
    later(error(asked, Error::OK));
  }

  void attach(const Asked& asked) {
    auto attach = asked.operation().getAttach();
    index++;
    bool known = attach.getSession() == 0 || resume(attach);
    auto id = attach.getSession() != 0 ? attach.getSession() : 0x100000000000000 + ++sessions;
    auto password = kj::heapArray<kj::byte>(attach.getPassword());
    auto timeoutMs = attach.getTimeoutMs();
    lastPassword.assign(password.asChars().begin(), password.size());
    auto fill = std::make_shared<kj::Array<kj::byte>>(kj::mv(password));
    later(outcome(asked, [=](Outcome::Builder outcome) {
      if (!known) return outcome.setError(Error::SESSION_EXPIRED);
      auto attached = outcome.initAttached();
      attached.setSession(id);
      attached.setTimeoutMs(timeoutMs);
      attached.setPassword(*fill);
    }));
  }

  void later(Fill fill) {
    promises.push_back(kj::evalLater([this, fill]() {
      auto call = KJ_REQUIRE_NONNULL(outbox).deliverRequest();
      auto delivery = call.initDeliveries(1)[0];
      delivery.setIndex(index);
      fill(delivery);
      return call.send().ignoreResult();
    }).eagerlyEvaluate(nullptr));
  }
  std::vector<kj::Promise<void>> promises;
};

}  // namespace polyquorum::zookeeper::test
