// SPDX-License-Identifier: Apache-2.0
// What a client does; how it judges what it is told is in client_judge.cpp.
#include "simulator/client.h"
#include <capnp/serialize.h>
#include <cstring>

namespace polyquorum::simulator {
namespace {

using polyquorum::Operation;

constexpr unsigned DIRECTORIES = 3, NODES = 4;
constexpr auto ATTACH_PATIENCE = 4 * kj::SECONDS;
constexpr std::size_t MADE_MAX = 6;
constexpr unsigned OPERATION_WORDS = 96;  // about as long as one is

void openToAll(polyquorum::Create::Builder create) {
  auto acl = create.initAcl(1);
  acl[0].setBits(31);
  acl[0].initWho().setScheme("world");
  acl[0].getWho().setId("anyone");
}

template <typename Builder>
void setNumber(Builder builder, std::uint64_t number, std::size_t bytes) {
  auto data = builder.initData(bytes);
  memcpy(data.begin(), &number, sizeof(number));
  builder.setHasData(true);
}

}  // namespace

Client::Client(unsigned number, Random random, kj::Timer& timer, Roads& roads, History& history,
               Story& story)
    : number(number),
      random(random),
      timer(timer),
      roads(roads),
      history(history),
      story(story),
      lastToken(std::uint64_t{number + 1} << 40),
      lastData(std::uint64_t{number + 1} << 32) {
  static const std::uint32_t TIMEOUTS[] = {4000, 6000, 10000};
  timeoutMs = TIMEOUTS[this->random.below(3)];
}

kj::Promise<void> Client::live() {
  auto pause = phase == ATTACHED && !calm ? random.between(50, pauseMsMost) : random.between(20, 400);
  return timer.afterDelay(pause * kj::MILLISECONDS).then([this]() {
    act();
    return live();
  });
}

void Client::act() {
  switch (phase) {
    case AWAY:
      return come();
    case ATTACHING:
      if (timer.now() - attachedAt > ATTACH_PATIENCE) lose("the attach was not answered");
      return;
    case ATTACHED:
      break;
  }
  if (!line.empty() && timer.now() - line.front().at > timeoutMs * kj::MILLISECONDS) {
    return lose("no answer for a whole timeout");
  }
  if (calm) {
    if (timer.now() - heard > timeoutMs * kj::MILLISECONDS / 4 && line.empty()) query(Sent::EXISTS);
    return;
  }
  if (random.chance(3)) return leave(random.chance(50));
  if (random.chance(1)) {
    return submitOperation(sent(Sent::DETACH),
                           [](Operation::Builder operation) { operation.setDetach(); });
  }
  auto most = random.between(1, 4);
  while (phase == ATTACHED && line.size() < most) ask();
}

void Client::come() {
  auto doors = roads.open();
  if (doors.empty()) return;
  server = doors[random.below(doors.size())];
  phase = ATTACHING;
  attachedAt = timer.now();
  attachToken = ++lastToken;
  nonce++;
  capnp::MallocMessageBuilder message(OPERATION_WORDS);
  auto attach = message.initRoot<Operation>().initAttach();
  attach.setSession(session);
  attach.setTimeoutMs(timeoutMs);
  attach.setNonce(nonce);
  attach.setHome(server);
  attach.setPassword(kj::arrayPtr(password.data(), password.size()));
  auto words = capnp::messageToFlatArray(message);
  roads.submit(server, [&](coordination::Request::Builder request) {
    request.setToken(attachToken);
    request.setOperation(words.asBytes());
    if (random.chance(30)) request.setDeadlineMs(3000);
  });
}

void Client::leave(bool politely) {
  if (politely) {
    roads.submit(server, [&](coordination::Request::Builder request) {
      request.setSession(session);
      request.setLeave();
    });
  }
  story.count("reconnects");
  lose("it moves");
}

/// The connection is gone; whatever waits for an answer is unknown.
void Client::lose(const char* why) {
  for (auto& request : line) {
    if (request.kind == Sent::WRITE) unknown.push_back({session, incarnation, request.sequence});
  }
  if (!line.empty()) story.count("unknown outcomes", line.size());
  line.clear();
  if (!renewing && !watches.empty()) {
    kept = watches;
    keptSince = seenHere;
  }
  watches.clear();
  renewing = false;
  phase = AWAY;
  server = 0;
  seenHere = 0;
  attachToken = 0;
}

void Client::serverGone(core::MemberId gone) {
  if (phase != AWAY && server == gone) lose("its server is gone");
}

Client::Sent Client::sent(Sent::Kind kind) {
  Sent out;
  out.kind = kind;
  out.token = ++lastToken;
  out.acknowledgedBefore = history.acknowledged;
  out.at = timer.now();
  return out;
}

std::string Client::someDirectory() { return "/d" + std::to_string(random.below(DIRECTORIES)); }

std::string Client::somePath() {
  auto node = random.below(NODES);  // apart: compilers differ in which operand they evaluate first
  return someDirectory() + "/n" + std::to_string(node);
}

void Client::ask() {
  auto dice = random.below(100);
  if (dice < 50) return write();
  if (dice < 70) return query(Sent::GET);
  if (dice < 80) return query(Sent::EXISTS);
  if (dice < 90) return query(Sent::CHILDREN);
  if (dice < 92) return askElsewhere();
  auto request = sent(Sent::SYNC);
  line.push_back(request);
  roads.submit(server, [&](coordination::Request::Builder out) {
    out.setToken(request.token);
    out.setSession(session);
    out.setSync();
  });
}

void Client::query(Sent::Kind kind) {
  auto request = sent(kind);
  request.path = kind == Sent::CHILDREN ? someDirectory() : somePath();
  request.watch = !calm && random.chance(40);
  auto dice = random.below(10);
  request.level = dice < 2   ? coordination::Level::LOCAL
                  : dice < 7 ? coordination::Level::SESSION
                             : coordination::Level::LINEARIZABLE;
  line.push_back(request);
  roads.submit(server, [&](coordination::Request::Builder out) {
    out.setToken(request.token);
    out.setSession(session);
    auto at = out.initQuery();
    at.setLevel(request.level);
    at.setWatch(request.watch);
    if (request.level != coordination::Level::LOCAL) at.setAfter(seen);
    auto query = at.initQuery();
    query.setPath(request.path);
    if (kind == Sent::GET) query.setGet();
    if (kind == Sent::EXISTS) query.setExists();
    if (kind == Sent::CHILDREN) query.initChildren();
  });
}

/// Outside of its session, at any server: at least as new as what it has seen.
void Client::askElsewhere() {
  auto doors = roads.open();
  if (doors.empty()) return;
  auto request = sent(Sent::GET);
  request.path = somePath();
  loose[request.token] = {request, seen};
  roads.submit(doors[random.below(doors.size())], [&](coordination::Request::Builder out) {
    out.setToken(request.token);
    auto at = out.initQuery();
    at.setLevel(coordination::Level::SESSION);
    at.setAfter(seen);
    auto query = at.initQuery();
    query.setPath(request.path);
    query.setGet();
  });
}

/// As ZooKeeper's clients do after a reconnect: what the watches missed is told now.
void Client::renew() {
  using Kind = coordination::Watch::Kind;
  std::vector<std::pair<std::string, Kind>> all;
  for (auto& [path, watched] : kept) {
    if (watched.data != 0) all.emplace_back(path, watched.existed ? Kind::DATA : Kind::EXIST);
    if (watched.children != 0) all.emplace_back(path, Kind::CHILDREN);
  }
  auto request = sent(Sent::RENEW);
  line.push_back(request);
  renewing = true;
  renewed.clear();
  story.count("watches renewed", all.size());
  roads.submit(server, [&](coordination::Request::Builder out) {
    out.setToken(request.token);
    out.setSession(session);
    auto list = out.initWatch(all.size());
    for (unsigned i = 0; i < all.size(); i++) {
      list[i].setPath(all[i].first);
      list[i].setKind(all[i].second);
      list[i].setSince(keptSince);
      list[i].setRenewed(true);
    }
  });
}

void Client::write() {
  auto request = sent(Sent::WRITE);
  submitOperation(request, [this](Operation::Builder operation) {
    if (random.chance(12)) {
      multi(operation);
    } else {
      fill(operation);
    }
  });
}

void Client::multi(Operation::Builder operation) {
  auto parts = operation.initMulti(random.between(1, 4));
  for (auto part : parts) {
    if (random.chance(25)) {
      part.initCheck().setPath(somePath());
    } else {
      fill(part);
    }
  }
}

void Client::fill(Operation::Builder operation) {
  auto dice = random.below(100);
  auto version = random.chance(30) ? static_cast<std::int32_t>(random.below(3)) : -1;
  if (dice < 8) {
    auto create = operation.initCreate();
    create.setPath(someDirectory());
    openToAll(create);
  } else if (dice < 45) {
    auto create = operation.initCreate();
    bool sequential = random.chance(30);
    create.setPath(sequential ? someDirectory() + "/s-" : somePath());
    create.setSequential(sequential);
    if (random.chance(30)) create.setMode(polyquorum::Create::Mode::EPHEMERAL);
    setNumber(create, ++lastData, dataBytes);
    openToAll(create);
  } else if (dice < 75) {
    auto set = operation.initSetData();
    set.initGuard().setPath(somePath());
    set.getGuard().setVersion(version);
    setNumber(set, ++lastData, dataBytes);
  } else if (made.size() > 0 && (dice < 85 || made.size() > MADE_MAX)) {
    operation.initDelete().setPath(made.back());
    made.pop_back();
  } else {
    operation.initDelete().setPath(somePath());
    operation.getDelete().setVersion(version);
  }
}

void Client::submitOperation(Sent request, const std::function<void(Operation::Builder)>& fill) {
  request.sequence = ++sequence;
  capnp::MallocMessageBuilder message(OPERATION_WORDS);
  fill(message.initRoot<Operation>());
  auto words = capnp::messageToFlatArray(message);
  line.push_back(request);
  roads.submit(server, [&](coordination::Request::Builder out) {
    out.setToken(request.token);
    out.setSession(session);
    out.setOperation(words.asBytes());
  });
}

std::string Client::describe() const {
  static const char* const PHASES[] = {"away", "attaching", "attached"};
  return "client " + std::to_string(number) + " is " + PHASES[phase] + " at server " +
         std::to_string(server) + " with " + std::to_string(line.size()) + " unanswered";
}

}  // namespace polyquorum::simulator
