// SPDX-License-Identifier: Apache-2.0
// The checkers that clients are: a server that is honest but for one lie, and who calls it.
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include "simulator/client.h"

using namespace polyquorum;
using namespace polyquorum::simulator;

namespace {

using Delivery = coordination::Delivery;

struct Asked {
  kj::Own<capnp::MallocMessageBuilder> message;
  coordination::Request::Reader request() const {
    return const_cast<capnp::MallocMessageBuilder&>(*message).getRoot<coordination::Request>().asReader();
  }
  bool queries(coordination::Level level) const {
    return request().isQuery() && request().getQuery().getLevel() == level;
  }
};

/// Makes an answer a lie; false if this one does not lend itself to it.
using Lie = std::function<bool(Delivery::Builder, const Asked&)>;
using Wanted = std::function<bool(const Asked&)>;

/// One client, and its server by hand.
class Counter final : public Roads {
 public:
  explicit Counter(std::uint64_t seed = 1) : random(seed) {
    history.expired = [this](std::uint64_t session, std::uint64_t incarnation) {
      client.expired(session, incarnation);
    };
  }

  Story story;
  History history{story};
  std::deque<Asked> asked;

  /// Lets the client act until it asks something; what it asks waits in `asked`.
  void wait() {
    for (int i = 0; i < 1000 && asked.empty(); i++) {
      timer.advanceTo(timer.now() + 50 * kj::MILLISECONDS);
      scope.poll();
    }
    REQUIRE(!asked.empty());
  }
  /// Answers whatever comes, honestly, so many times, or until something is broken.
  void serve(unsigned requests) {
    for (unsigned i = 0; i < requests && !story.violation(); i++) {
      wait();
      answer();
    }
  }
  /// Serves honestly until a request of this kind is the next one.
  bool reach(const Wanted& wanted) {
    for (int i = 0; i < 3000; i++) {
      wait();
      if (wanted(asked.front())) return true;
      answer();
      if (story.violation()) return false;
    }
    return false;
  }
  /// Serves until an answer lends itself to the lie.
  void lie(const Lie& lies) {
    for (int i = 0; i < 3000; i++) {
      wait();
      if (answer(lies)) return;
      REQUIRE(!story.violation());
    }
    FAIL("there was no occasion to lie");
  }
  /// Answers one such request that was sent when more had been acknowledged than will be applied.
  void lag(const Wanted& wanted) {
    for (int i = 0; i < 3000; i++) {
      asked.clear();
      history.acknowledged = history.last() + 100;
      wait();
      history.acknowledged = history.last();
      if (wanted(asked.front())) return void(answer());
      if (asked.front().request().getSession() != 0) {
        drop();
      } else {
        answer();
      }
      REQUIRE(!story.violation());
    }
    FAIL("there was no such request");
  }

  /// The oldest request is done and answered; true if the answer was a lie.
  bool answer(const Lie& lies = nullptr) {
    auto one = std::move(asked.front());
    asked.pop_front();
    return answer(one, lies);
  }
  bool answer(const Asked& one, const Lie& lies) {
    auto request = one.request();
    if (request.isLeave()) {
      watched.clear();
      return false;
    }
    capnp::MallocMessageBuilder message;
    auto delivery = message.initRoot<Delivery>();
    delivery.setSession(request.getSession());
    auto reply = delivery.initReply();
    reply.setToken(request.getToken());
    if (request.isOperation()) {
      state::write(perform(request), reply.initOutcome());
    } else if (request.isQuery()) {
      ask(request.getQuery(), reply.initAnswer());
    } else {
      if (request.isWatch()) renew(request.getWatch());
      reply.initOutcome();
    }
    delivery.setIndex(state->index());
    bool lied = lies && lies(delivery, one);
    client.delivered(1, delivery.asReader());
    return lied;
  }

  void expire() {
    auto ends = incarnation;
    capnp::MallocMessageBuilder message;
    message.initRoot<Operation>().initExpire(1).set(0, ends);
    apply(0, 0, capnp::messageToFlatArray(message).asBytes());
  }
  void tell(const std::function<void(Delivery::Builder)>& fill) {
    capnp::MallocMessageBuilder message;
    auto delivery = message.initRoot<Delivery>();
    delivery.setSession(session);
    delivery.setIndex(state->index());
    fill(delivery);
    client.delivered(1, delivery.asReader());
  }
  void drop() {
    asked.clear();
    watched.clear();
    client.serverGone(1);
  }
  /// The connection breaks, and somebody deletes what was watched.
  void deleteWatchedWhileAway() {
    auto paths = watched;
    drop();
    for (auto& [path, kinds] : paths) {
      capnp::MallocMessageBuilder message;
      message.initRoot<Operation>().initDelete().setPath(path);
      apply(0, 0, capnp::messageToFlatArray(message).asBytes());
    }
  }
  bool silentEvents = false, twice = false, silentRenewals = false;  ///< how events are told

  std::string broken() const { return story.violation() ? story.violation()->checker : ""; }

  // Roads
  std::vector<core::MemberId> open() override { return {1}; }
  void submit(core::MemberId,
              const std::function<void(coordination::Request::Builder)>& fill) override {
    Asked one{kj::heap<capnp::MallocMessageBuilder>()};
    fill(one.message->initRoot<coordination::Request>());
    asked.push_back(std::move(one));
  }

 private:
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  kj::TimerImpl timer{kj::origin<kj::TimePoint>() + 1 * kj::HOURS};
  Random random;
  std::unique_ptr<state::State> state = state::State::create();
  std::unique_ptr<kernel::Witness> eye = history.witness(1);
  std::uint64_t session = 0, incarnation = 0, sequence = 0;
  std::map<std::string, std::set<bool>> watched;  ///< true: its children
  Client client{0, random, timer, *this, history, story};
  kj::Promise<void> life = client.live().eagerlyEvaluate(nullptr);

  const state::Applied& apply(std::uint64_t ofSession, std::uint64_t number,
                              kj::ArrayPtr<const kj::byte> operation) {
    capnp::MallocMessageBuilder message;
    auto body = message.initRoot<Body>();
    body.setSession(ofSession);
    body.setIncarnation(ofSession == 0 ? 0 : incarnation);
    body.setSequence(number);
    body.setOperation(operation);
    auto index = state->index() + 1;
    auto& applied = state->apply(index, body.asReader());
    eye->applied(index, body.asReader(), applied, *state);
    events(index, applied);
    return applied;
  }

  state::Outcome perform(coordination::Request::Reader request) {
    auto ofSession = request.getSession();
    auto outcome =
        apply(ofSession, ofSession == 0 ? 0 : ++sequence, request.getOperation()).outcome;
    if (outcome.attached) {
      session = outcome.attached->session;
      incarnation = outcome.attached->incarnation;
      sequence = 0;
      watched.clear();  // they belonged to a connection
    }
    return outcome;
  }

  void ask(coordination::QueryAt::Reader at, polyquorum::Answer::Builder answer) {
    auto query = at.getQuery();
    state->answer(query, answer);
    if (!at.getWatch() || (answer.getError() != Error::OK && !query.isExists())) return;
    watched[query.getPath().cStr()].insert(query.isChildren());
  }

  /// Watches set again: what they missed is told at once, the rest is waited for.
  void renew(capnp::List<coordination::Watch>::Reader watches) {
    using Kind = coordination::Watch::Kind;
    for (auto watch : watches) {
      auto kind = watch.getKind();
      auto node = state->look(watch.getPath().cStr());
      auto told = !node                                                     ? What::DELETED
                  : kind == Kind::EXIST                                     ? What::CREATED
                  : kind == Kind::DATA                                      ? What::DATA_CHANGED
                                                                            : What::CHILDREN_CHANGED;
      bool due = kind == Kind::EXIST  ? node.has_value()
                 : !node              ? true
                 : kind == Kind::DATA ? node->mzxid > watch.getSince()
                                      : node->pzxid > watch.getSince();
      if (!due) {
        watched[watch.getPath().cStr()].insert(kind == Kind::CHILDREN);
      } else if (!silentRenewals) {
        tell([&](Delivery::Builder delivery) {
          delivery.initEvent().setPath(watch.getPath());
          delivery.getEvent().setWhat(told);
        });
      }
    }
  }

  void events(core::Index index, const state::Applied& applied) {
    for (auto& change : applied.changes) {
      auto found = watched.find(change.path);
      if (found == watched.end()) continue;
      bool children = change.what == What::CHILDREN_CHANGED, gone = change.what == What::DELETED;
      bool due = found->second.erase(children) > 0;
      if (gone) due = found->second.erase(true) > 0 || due;
      if (found->second.empty()) watched.erase(found);
      if (!due || silentEvents) continue;
      for (int time = 0; time < (twice ? 2 : 1); time++) {
        tell([&](Delivery::Builder delivery) {
          delivery.setIndex(index);
          delivery.initEvent().setPath(change.path);
          delivery.getEvent().setWhat(change.what);
        });
      }
    }
  }
};

bool found(Delivery::Builder delivery) {
  return delivery.isReply() && delivery.getReply().hasAnswer() &&
         delivery.getReply().getAnswer().getError() == Error::OK;
}

bool operationIs(const Asked& one, Operation::Which which) {
  if (!one.request().isOperation()) return false;
  auto bytes = one.request().getOperation();
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  memcpy(words.begin(), bytes.begin(), words.asBytes().size());
  capnp::FlatArrayMessageReader message(words);
  return message.getRoot<Operation>().which() == which;
}

bool writes(const Asked& one) {
  return one.request().isOperation() && one.request().getSession() != 0 &&
         !operationIs(one, Operation::DETACH);
}

}  // namespace

TEST_CASE("a client finds nothing wrong with an honest server") {
  Counter counter;
  counter.serve(3000);
  if (counter.story.violation()) FAIL(counter.broken() << ": " << counter.story.violation()->what);
  for (auto what : {"reads answered", "writes acknowledged", "syncs answered", "watches set", "events told",
                    "sessions resumed"}) {
    INFO(what);
    CHECK(counter.story.counters[what] > 0);
  }
}

TEST_CASE("reads fires when data, stat, children or existence are not those of the index") {
  SECTION("data") {
    Counter counter;
    counter.lie([](Delivery::Builder delivery, const Asked& one) {
      if (!found(delivery) || !one.request().getQuery().getQuery().isGet()) return false;
      delivery.getReply().getAnswer().setData(kj::StringPtr("other data").asBytes());
      return true;
    });
    CHECK(counter.broken() == "reads");
  }
  SECTION("stat") {
    Counter counter;
    counter.lie([](Delivery::Builder delivery, const Asked&) {
      if (!found(delivery)) return false;
      auto stat = delivery.getReply().getAnswer().getStat();
      stat.setVersion(stat.getVersion() + 1);
      return true;
    });
    CHECK(counter.broken() == "reads");
  }
  SECTION("children") {
    Counter counter;
    counter.lie([](Delivery::Builder delivery, const Asked& one) {
      if (!found(delivery) || !one.request().getQuery().getQuery().isChildren()) return false;
      delivery.getReply().getAnswer().initNames(1).set(0, "nobody's child");
      return true;
    });
    CHECK(counter.broken() == "reads");
  }
  SECTION("existence") {
    Counter counter;
    counter.lie([](Delivery::Builder delivery, const Asked&) {
      if (!found(delivery)) return false;
      delivery.getReply().getAnswer().setError(Error::NO_NODE);
      return true;
    });
    CHECK(counter.broken() == "reads");
  }
}

TEST_CASE("linearizable-reads fires when a barrier read misses what had been acknowledged") {
  Counter counter;
  counter.lag([](const Asked& one) { return one.queries(coordination::Level::LINEARIZABLE); });
  CHECK(counter.broken() == "linearizable-reads");
}

TEST_CASE("sync fires when it is answered before what had been acknowledged is applied") {
  Counter counter;
  counter.lag([](const Asked& one) { return one.request().isSync(); });
  CHECK(counter.broken() == "sync");
}

TEST_CASE("linearizable-writes fires when a write takes place below what had been acknowledged") {
  Counter counter;
  counter.lag(writes);
  CHECK(counter.broken() == "linearizable-writes");
}

TEST_CASE("never-back fires when a connection shows an older index than before") {
  Counter counter;
  counter.serve(20);
  counter.lie([](Delivery::Builder delivery, const Asked& one) {
    if (!one.request().isQuery() || delivery.getIndex() < 3) return false;
    delivery.setIndex(delivery.getIndex() - 1);
    return true;
  });
  CHECK(counter.broken() == "never-back");
}

TEST_CASE("session-replies fires when a request overtakes the one before it") {
  Counter counter;
  counter.wait();
  for (int i = 0; i < 3000 && (counter.asked.size() < 2 || counter.asked[1].request().isLeave()); i++) {
    counter.answer();
    counter.wait();
  }
  auto late = std::move(counter.asked.at(1));
  counter.answer(late, nullptr);
  CHECK(counter.broken() == "session-replies");
}

TEST_CASE("watches fires when an event is missing, comes twice or was not asked for") {
  SECTION("missing") {
    Counter counter;
    counter.silentEvents = true;
    counter.serve(3000);
    CHECK(counter.broken() == "watches");
  }
  SECTION("missing when the watch is set again") {
    Counter counter;
    counter.silentRenewals = true;
    for (int i = 0; i < 200 && !counter.story.violation(); i++) {
      counter.serve(20);
      counter.deleteWatchedWhileAway();
    }
    CHECK(counter.broken() == "watches");
  }
  SECTION("twice") {
    Counter counter;
    counter.twice = true;
    counter.serve(3000);
    CHECK(counter.broken() == "watches");
  }
  SECTION("not asked for") {
    Counter counter;
    counter.serve(5);
    counter.tell([](Delivery::Builder delivery) {
      delivery.initEvent().setPath("/nobody/watches");
      delivery.getEvent().setWhat(What::DATA_CHANGED);
    });
    CHECK(counter.broken() == "watches");
  }
}

TEST_CASE("durability fires when a write is answered that did not take place") {
  Counter counter;
  REQUIRE(counter.reach(writes));
  auto one = std::move(counter.asked.front());
  counter.asked.pop_front();
  counter.tell([&](Delivery::Builder delivery) {
    delivery.initReply().setToken(one.request().getToken());
    delivery.getReply().initOutcome().setError(Error::OK);
  });
  CHECK(counter.broken() == "durability");
}

TEST_CASE("reply fires when the answer is not the outcome") {
  Counter counter;
  counter.lie([](Delivery::Builder delivery, const Asked& one) {
    if (!writes(one)) return false;
    auto outcome = delivery.getReply().getOutcome();
    outcome.setError(outcome.getError() == Error::OK ? Error::NO_NODE : Error::OK);
    return true;
  });
  CHECK(counter.broken() == "reply");
}

TEST_CASE("exactly-once fires when an unknown outcome is resolved wrongly") {
  Counter counter;
  counter.serve(20);
  REQUIRE(counter.reach(writes));
  counter.drop();  // the write was never done, and its client does not know
  counter.lie([](Delivery::Builder delivery, const Asked& one) {
    if (!operationIs(one, Operation::ATTACH)) return false;
    auto attached = delivery.getReply().getOutcome().getAttached();
    attached.setSequence(attached.getSequence() + 100);
    return true;
  });
  CHECK(counter.broken() == "exactly-once");
}

TEST_CASE("ephemerals fires when a session is ended, or is said to be over, while it lives") {
  SECTION("expired though it was heard") {
    Counter counter;
    counter.serve(5);
    counter.expire();
    CHECK(counter.broken() == "ephemerals");
  }
  SECTION("told that it ended") {
    Counter counter;
    counter.serve(5);
    counter.tell([](Delivery::Builder delivery) { delivery.setEnded(Error::SESSION_EXPIRED); });
    CHECK(counter.broken() == "ephemerals");
  }
  SECTION("not resumed") {
    Counter counter;
    counter.serve(5);
    counter.drop();
    counter.lie([](Delivery::Builder delivery, const Asked& one) {
      if (!operationIs(one, Operation::ATTACH)) return false;
      delivery.getReply().getOutcome().setError(Error::SESSION_EXPIRED);
      return true;
    });
    CHECK(counter.broken() == "ephemerals");
  }
  SECTION("detached in words only") {
    Counter counter(4);
    REQUIRE(counter.reach([](const Asked& one) { return operationIs(one, Operation::DETACH); }));
    auto one = std::move(counter.asked.front());
    counter.asked.pop_front();
    counter.tell([&](Delivery::Builder delivery) {
      delivery.initReply().setToken(one.request().getToken());
      delivery.getReply().initOutcome().setError(Error::OK);
    });
    CHECK(counter.broken() == "ephemerals");
  }
}
