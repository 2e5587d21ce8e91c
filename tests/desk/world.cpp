// SPDX-License-Identifier: Apache-2.0
// The world of the desk's tests; see world.h.
#include "world.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <catch2/catch.hpp>
#include <iostream>

namespace polyquorum::kernel::test {
namespace {

class Ear final : public coordination::Outbox::Server {
public:
  explicit Ear(std::vector<Told>& told) : told(told) {}

protected:
  kj::Promise<void> deliver(DeliverContext context) override {
    for (auto delivery : context.getParams().getDeliveries()) {
      Told one;
      one.session = delivery.getSession();
      one.index = delivery.getIndex();
      switch (delivery.which()) {
        case coordination::Delivery::REPLY: fill(one, delivery.getReply()); break;
        case coordination::Delivery::EVENT:
          one.kind = Told::EVENT;
          one.path = delivery.getEvent().getPath();
          one.what = delivery.getEvent().getWhat();
          break;
        case coordination::Delivery::GAP: one.kind = Told::GAP; break;
        case coordination::Delivery::ENDED:
          one.kind = Told::ENDED;
          one.error = delivery.getEnded();
          break;
        case coordination::Delivery::ADRIFT: one.kind = Told::ADRIFT; break;
      }
      told.push_back(one);
    }
    return kj::READY_NOW;
  }

private:
  static void fill(Told& one, coordination::Delivery::Reply::Reader reply) {
    one.token = reply.getToken();
    if (reply.hasAnswer()) {
      one.error = reply.getAnswer().getError();
      one.data.assign(reply.getAnswer().getData().asChars().begin(),
                      reply.getAnswer().getData().size());
    } else {
      auto outcome = reply.getOutcome();
      one.error = outcome.getError();
      one.path = outcome.getPath();
      one.attached = outcome.getAttached().getSession();
      one.incarnation = outcome.getAttached().getIncarnation();
      auto password = outcome.getAttached().getPassword().asChars();
      one.password.assign(password.begin(), password.size());
    }
  }
  std::vector<Told>& told;
};

}  // namespace

Words operation(std::function<void(Operation::Builder)> fill) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<Operation>());
  return capnp::messageToFlatArray(message);
}

Words create(const std::string& path, const std::string& data) {
  return operation([&](Operation::Builder operation) {
    auto create = operation.initCreate();
    create.setPath(path);
    create.setHasData(true);
    create.setData(kj::StringPtr(data.c_str()).asBytes());
    auto acl = create.initAcl(1);
    acl[0].setBits(31);
    acl[0].initWho().setScheme("world");
    acl[0].getWho().setId("anyone");
  });
}

Words setData(const std::string& path, const std::string& data) {
  return operation([&](Operation::Builder operation) {
    auto set = operation.initSetData();
    set.initGuard().setPath(path);
    set.setHasData(true);
    set.setData(kj::StringPtr(data.c_str()).asBytes());
  });
}

Words attach(std::uint64_t session, std::uint64_t nonce, std::uint32_t timeoutMs, unsigned home,
             const std::string& password) {
  return operation([&](Operation::Builder operation) {
    auto attach = operation.initAttach();
    attach.setSession(session);
    attach.setNonce(nonce);
    attach.setTimeoutMs(timeoutMs);
    attach.setHome(home);
    attach.setPassword(kj::ArrayPtr<const char>(password.data(), password.size()).asBytes());
  });
}

Fill ask(std::uint64_t session, std::uint64_t token, Fill more) {
  return [=](coordination::Request::Builder request) {
    request.setSession(session);
    request.setToken(token);
    more(request);
  };
}

Fill write(std::uint64_t session, std::uint64_t token, const Words& words) {
  auto bytes = words.asBytes();
  return ask(session, token, [=](auto request) { request.setOperation(bytes); });
}

Fill get(std::uint64_t session, std::uint64_t token, const std::string& path,
         coordination::Level level, bool watch, std::uint64_t after) {
  return ask(session, token, [=](auto request) {
    auto at = request.initQuery();
    at.initQuery().setPath(path);
    at.getQuery().setGet();
    at.setLevel(level);
    at.setWatch(watch);
    at.setAfter(after);
  });
}

Fill watch(std::uint64_t session, std::uint64_t token, const std::string& path,
           coordination::Watch::Kind kind) {
  return ask(session, token, [=](auto request) {
    auto list = request.initWatch(1);
    list[0].setPath(path);
    list[0].setKind(kind);
  });
}

Fill rewatch(std::uint64_t session, std::uint64_t token, const std::string& path,
             coordination::Watch::Kind kind, std::uint64_t since) {
  return ask(session, token, [=](auto request) {
    auto list = request.initWatch(1);
    list[0].setPath(path);
    list[0].setKind(kind);
    list[0].setRenewed(true);
    list[0].setSince(since);
  });
}

Fill ping(std::uint64_t session, std::uint64_t token) {
  return ask(session, token, [](auto request) { request.setPing(); });
}

Fill sync(std::uint64_t session, std::uint64_t token) {
  return ask(session, token, [](auto request) { request.setSync(); });
}

Fill leave(std::uint64_t session) {
  return ask(session, 0, [](auto request) { request.setLeave(); });
}

Node::Node(World& world, core::MemberId id)
    : world(world), id(id), tree(state::State::create()), door(nullptr) {
  auto settings = world.settings;
  settings.self = id;
  settings.incarnation = 1;
  desk = makeDesk(settings, *this, world);
  desk->setOutbox(0, kj::heap<Ear>(told));
  door = desk->door(0);
}

void Node::submit(std::vector<Fill> requests) {
  auto call = door.submitRequest();
  auto list = call.initRequests(requests.size());
  for (unsigned i = 0; i < requests.size(); i++) requests[i](list[i]);
  call.send().wait(world.scope);
}

const Told& Node::reply(std::uint64_t token) const {
  const Told* found = nullptr;
  for (auto& one : told) {
    if (one.kind != Told::REPLY || one.token != token) continue;
    if (found != nullptr) FAIL("token " << token << " was answered twice");
    found = &one;
  }
  if (found == nullptr) FAIL("token " << token << " was not answered");
  return *found;
}

bool Node::answered(std::uint64_t token) const {
  for (auto& one : told) {
    if (one.kind == Told::REPLY && one.token == token) return true;
  }
  return false;
}

std::size_t Node::count(Told::Kind kind) const {
  return std::count_if(told.begin(), told.end(), [&](auto& one) { return one.kind == kind; });
}

void Node::propose(core::Token token, BodyRef body, core::MemberId home) {
  body->stamp(world.wallMs);
  proposals.push_back({token, kj::mv(body), home});
}

void Node::read(core::Token token) { reads.push_back(token); }

void Node::post(core::MemberId to, kj::Array<kj::byte> letter) {
  if (world.linked(id, to)) world.mail[{id, to}].push_back(kj::mv(letter));
}

void Node::fill(coordination::Status::Builder status) { status.setSelf(id); }

World::World(unsigned count, DeskSettings given)
    : scope(loop), clock(kj::origin<kj::TimePoint>() + 1 * kj::HOURS), settings(given) {
  for (unsigned i = 1; i <= count; i++) nodes.push_back(std::make_unique<Node>(*this, i));
  for (unsigned a = 1; a <= count; a++) {
    for (unsigned b = a + 1; b <= count; b++) join(a, b);
  }
}

World::~World() noexcept(false) {
  for (auto& node : nodes) {
    node->door = nullptr;
    node->desk = nullptr;
  }
}

void World::turn() { scope.poll(); }

void World::logProposals() {
  for (auto& node : nodes) {
    bool leads = node->standing.phase == core::Standing::LEADING && leader == node->id &&
                 node->standing.fence == fence;
    auto proposals = std::move(node->proposals);
    node->proposals.clear();
    for (auto& proposal : proposals) {
      if (!leads) {
        node->desk->refused(proposal.token, core::Refused::NOT_LEADER);
      } else if (refuses && refuses()) {
        node->desk->refused(proposal.token, core::Refused::OVERLOADED);
      } else {
        auto bytes = proposal.body->bytes().asChars();
        entries.push_back({kj::mv(proposal.body), std::string(bytes.begin(), bytes.size())});
      }
    }
  }
}

void World::answerReads() {
  for (auto& node : nodes) {
    auto reads = std::move(node->reads);
    node->reads.clear();
    bool leads = leader == node->id && node->standing.fence == fence;
    for (auto token : reads) {
      if (leads) {
        node->desk->readable(token, committed);
      } else {
        node->desk->refused(token, core::Refused::NOT_LEADER);
      }
    }
  }
}

void World::commit(core::Index index) {
  committed = std::max(committed, std::min<core::Index>(index, entries.size()));
}

void World::applyTo(Node& node, core::Index index) {
  bool any = false;
  while (node.tree->index() < std::min(index, committed)) {
    auto& slot = entries[node.tree->index()];
    auto bytes = slot.body->bytes().asChars();
    REQUIRE(std::string(bytes.begin(), bytes.size()) == slot.bytes);
    BodyReader reader(*slot.body);
    auto at = node.tree->index() + 1;
    auto& applied = node.tree->apply(at, reader.get());
    node.desk->applied(at, reader.get(), applied);
    any = true;
  }
  if (any) node.desk->settle();
}

bool World::deliver(core::MemberId from, core::MemberId to) {
  auto& queue = mail[{from, to}];
  if (queue.empty()) return false;
  auto letter = kj::mv(queue.front());
  queue.pop_front();
  node(to).desk->received(from, letter);
  return true;
}

void World::settle() {
  for (bool moved = true; moved;) {
    turn();
    moved = false;
    for (auto& one : nodes) {
      moved |= !one->proposals.empty() || !one->reads.empty();
    }
    logProposals();
    if (leader != 0) commit(entries.size());
    answerReads();
    for (auto& one : nodes) {
      if (leader == 0) break;
      if (one->tree->index() < committed && (one->id == leader || linked(leader, one->id))) {
        moved = true;
        applyTo(*one, committed);
      }
    }
    for (auto& from : nodes) {
      for (auto& to : nodes) {
        while (deliver(from->id, to->id)) moved = true;
      }
    }
  }
  turn();
}

void World::stand(Node& node, core::Standing::Phase phase) {
  node.proposals.clear();  // none is answered if a node stops leading, none is kept for the next
  node.reads.clear();
  node.standing = {phase, phase == core::Standing::IDLE ? 0 : leader, fence};
  if (phase == core::Standing::IDLE) node.standing.fence = 0;
  node.desk->standing(node.standing, entries.size());
  if (phase != core::Standing::IDLE) node.desk->contact();
}

void World::elect(core::MemberId id, core::Index kept) {
  leader = id;
  fence++;
  entries.resize(std::min<std::size_t>(entries.size(), committed + kept));
  for (auto& one : nodes) {
    if (one->id != id && linked(id, one->id)) stand(*one, core::Standing::FOLLOWING);
  }
  stand(node(id), core::Standing::LEADING);
}

void World::lose() {
  leader = 0;
  for (auto& one : nodes) stand(*one, core::Standing::IDLE);
}

bool World::linked(core::MemberId a, core::MemberId b) const {
  auto at = links.find({std::min(a, b), std::max(a, b)});
  return at != links.end() && at->second;
}

void World::cut(core::MemberId a, core::MemberId b) {
  links[{std::min(a, b), std::max(a, b)}] = false;
  mail[{a, b}].clear();
  mail[{b, a}].clear();
  node(a).desk->linkDown(b);
  node(b).desk->linkDown(a);
}

void World::join(core::MemberId a, core::MemberId b) {
  links[{std::min(a, b), std::max(a, b)}] = true;
  node(a).desk->linkUp(b);
  node(b).desk->linkUp(a);
}

void World::pass(kj::Duration time, bool contact) {
  auto end = clock.now() + time;
  while (clock.now() < end) {
    auto step = std::min(100 * kj::MILLISECONDS, end - clock.now());
    clock.advanceTo(clock.now() + step);
    wallMs += step / kj::MILLISECONDS;
    if (contact && leader != 0) {
      for (auto& one : nodes) {
        if (one->id == leader || linked(leader, one->id)) one->desk->contact();
      }
    }
    settle();
  }
}

Told World::open(core::MemberId at, std::uint32_t timeoutMs, std::uint64_t nonce) {
  auto words = attach(0, nonce, timeoutMs, at);
  std::uint64_t token = 9000000 + nonce;
  node(at).submit({[&](coordination::Request::Builder request) {
    request.setToken(token);
    request.setOperation(words.asBytes());
  }});
  settle();
  auto told = node(at).reply(token);
  REQUIRE(told.error == Error::OK);
  REQUIRE(told.attached != 0);
  return told;
}

kj::Promise<void> World::offload(sdk::Queue, kj::Function<void()> work) {
  work();
  return kj::READY_NOW;
}

void World::log(sdk::Level, kj::StringPtr line) { std::cerr << line.cStr() << "\n"; }

}  // namespace polyquorum::kernel::test
