// SPDX-License-Identifier: Apache-2.0
// One run on its stage; see stage.h.
#include "simulator/stage.h"
#include <kj/debug.h>
#include "simulator/trap.h"

namespace polyquorum::simulator {
namespace {

constexpr auto LOOK_EVERY = 50 * kj::MILLISECONDS;

void copy(coordination::Request::Reader from, coordination::Request::Builder to) {
  to.setToken(from.getToken());
  to.setSession(from.getSession());
  to.setDeadlineMs(from.getDeadlineMs());
  switch (from.which()) {
    case coordination::Request::OPERATION:
      return to.setOperation(from.getOperation());
    case coordination::Request::QUERY:
      return to.setQuery(from.getQuery());
    case coordination::Request::WATCH:
      return to.setWatch(from.getWatch());
    case coordination::Request::SYNC:
      return to.setSync();
    case coordination::Request::LEAVE:
      return to.setLeave();
    default:
      KJ_FAIL_ASSERT("the workload asks nothing else");
  }
}

/// A server with a damaged disk may stop, but it must say why.
bool speaksOfDamage(const std::string& why) {
  return why.find("damaged") != why.npos || why.find("not whole") != why.npos;
}

}  // namespace

kernel::Config makeConfig(const ClusterShape& shape, const std::string& name) {
  std::string text = "cluster:\n  name: simulated\n  servers:\n";
  for (unsigned id = 1; id <= shape.voters + shape.observers; id++) {
    auto number = std::to_string(id);
    text += "    - { id: " + number + ", peer: \"127.0.0.1:100" + number +
            "\", zookeeper: \"127.0.0.1:200" + number + "\", data: /simulated/" + number +
            (id > shape.voters ? ", role: observer" : "") + " }\n";
  }
  text +=
      "plugins:\n  election:  { use: fast_leader }\n  consensus: { use: zab, heartbeat: " +
      shape.heartbeat +
      " }\n"
      "  storage:   { use: file, " +
      shape.storage +
      " }\n  transport: { use: tcp }\n  api:       [ { use: zookeeper } ]\nsnapshots: { every: " +
      std::to_string(shape.snapshotsEvery) + " }\n";
  return kernel::parseConfig(text, name, "/simulated");
}

Stage::Stage(const StageSettings& settings, const kernel::Config& config,
             const kernel::Wiring& wiring)
    : world(config, wiring, settings.seed), history(story) {
  story.trace = settings.trace;
  story.events = settings.events;
  if (story.detailed()) recorder = std::make_unique<Recorder>(story, wiring);
  story.now = [this]() { return world.now() / kj::MICROSECONDS / 1000.0; };
  story.broken = [this]() { world.interrupt(); };
  world.makeWitness = [this](core::MemberId id) {
    return recorder ? recorder->witness(id, history.witness(id)) : history.witness(id);
  };
  if (recorder) {
    world.network->watchParcels = [this](const Passage& passage) { recorder->parcel(passage); };
    world.network->watchLinks = [this](core::MemberId a, core::MemberId b, bool up) {
      recorder->link(a, b, up);
    };
  }
  world.makeApi = [this](core::MemberId id) { return makeDoor(id); };
  world.failed = [this](core::MemberId id, const kj::Exception& why) { failed(id, why); };
  world.log = [this](core::MemberId id, sdk::Level level, kj::StringPtr line) {
    logged(id, level, line);
  };
  for (auto& [id, server] : world.servers) {
    if (!world.observer(id)) history.ledger.voters.insert(id);
  }
  world.wiped = [this](core::MemberId id) { history.ledger.wiped(id); };
  world.damaged = [this](core::MemberId id) { history.ledger.damaged(id); };
  onEscape([this](const std::string& function, const std::string& caller) {
    story.violate("outside-world", caller + " called " + function);
  });
  history.expired = [this](std::uint64_t session, std::uint64_t incarnation) {
    for (auto& client : clients) client->expired(session, incarnation);
  };
  auto random = Random(settings.seed).split("clients");
  for (unsigned number = 0; number < settings.clients; number++) {
    if (!takesPart(settings.onlyClients, number)) continue;
    clients.push_back(std::make_unique<Client>(number, random.split(std::to_string(number)),
                                               world.timer(), *this, history, story));
    clients.back()->dataBytes = settings.dataBytes;
    clients.back()->pauseMsMost = settings.pauseMsMost;
  }
}

Stage::~Stage() noexcept(false) {
  tasks = nullptr;
  world.shutDown();
  onEscape(nullptr);
}

void Stage::begin() {
  for (auto& [id, server] : world.servers) world.start(id);
  for (auto& client : clients) tasks->add(client->live());
}

void Stage::perform(const std::function<void()>& play) {
  auto thrown = kj::runCatchingExceptions(play);
  KJ_IF_MAYBE (exception, thrown) {
    story.violate("world", exception->getDescription().cStr());
  }
}

void Stage::calmDown() {
  for (auto& client : clients) client->calmDown();
}

// -------------------------------------------------------------------------------------- judgement

void Stage::converge(const std::string& when, kj::Duration within) {
  auto end = world.timer().now() + within;
  std::string lacks;
  while (world.timer().now() < end && !story.violation()) {
    world.runUntil(world.timer().now() + LOOK_EVERY);
    for (auto id : stoppedByThemselves()) {
      if (stopped) stopped(id);
    }
    lacks = missing();
    if (lacks.empty()) return;
  }
  if (!story.violation()) story.violate("liveness", "not converged " + when + ": " + lacks);
}

/// Empty, or what is still missing.
std::string Stage::missing() {
  core::MemberId leader = 0;
  core::Index applied = 0;
  std::uint64_t digest = 0;
  bool first = true;
  for (auto& [id, server] : world.servers) {
    auto name = "server " + std::to_string(id);
    if (!server.up()) return name + " is down";
    capnp::MallocMessageBuilder message;
    auto status = message.initRoot<coordination::Status>();
    server.node->status(status);
    if (status.getPhase() == consensus::Standing::Phase::LEADING) leader = id;
    if (status.getPhase() < consensus::Standing::Phase::FOLLOWING) return name + " follows nobody";
    if (!status.getMayVote() && !world.observer(id)) return name + " may not vote";
    if (!first && status.getApplied() != applied)
      return name + " has not applied what others have";
    if (!first && status.getDigest() != digest) {
      story.violate("state-digest", name + " has another state than others at the same index");
    }
    applied = status.getApplied();
    digest = status.getDigest();
    first = false;
  }
  if (leader == 0) return "there is no leader";
  for (auto& client : clients) {
    if (!client->settled()) return client->describe();
  }
  if (applied < history.acknowledged)
    story.violate("durability", "what was acknowledged is gone");
  return "";
}

std::map<std::string, std::uint64_t> Stage::counters() const {
  auto out = story.counters;
  auto& network = *world.network;
  out["parcels delivered"] += network.parcelsDelivered;
  out["parcels lost"] += network.parcelsLost;
  out["links broken"] += network.linksBroken;
  out["images sent"] += network.imagesSent;
  out["entries decided"] += history.last();
  for (auto& [id, server] : world.servers) {
    out["disk operations"] += server.disk->operations;
    out["sectors lost"] += server.disk->sectorsLost;
  }
  return out;
}

// ---------------------------------------------------------------------------------------- servers

coordination::Api::Client Stage::makeDoor(core::MemberId id) {
  auto door = kj::heap<Door>([this, id](coordination::Delivery::Reader delivery) {
    if (beforeDelivery) beforeDelivery(id);
    if (world.servers.at(id).powerless) return;
    if (recorder) recorder->delivery(id, delivery);
    for (auto& client : clients) client->delivered(id, delivery);
  });
  doors[id] = door.get();
  return coordination::Api::Client(kj::mv(door));
}

void Stage::gone(core::MemberId id) {
  doors.erase(id);
  for (auto& client : clients) client->serverGone(id);
}

std::vector<core::MemberId> Stage::stoppedByThemselves() {
  auto out = std::move(broken);
  broken.clear();
  return out;
}

void Stage::failed(core::MemberId id, const kj::Exception& why) {
  if (world.servers.at(id).powerless) return;
  auto line = "server " + std::to_string(id) + " stopped: " + why.getDescription().cStr();
  if (world.servers.at(id).diskFailed) {
    story.tell(Event::LOG, id, why.getDescription().cStr());
    story.count("stopped after a disk error");
  } else if (world.servers.at(id).rotten && speaksOfDamage(why.getDescription().cStr())) {
    story.tell(Event::LOG, id, why.getDescription().cStr());
    story.count("stopped over damage");
  } else {
    story.violate("node", line);
  }
  broken.push_back(id);
  world.interrupt();
}

void Stage::logged(core::MemberId id, sdk::Level level, kj::StringPtr line) {
  if (line.startsWith("snapshot.taken")) story.count("images taken");
  if (line.startsWith("storage.damaged")) story.count("damage found");
  if (level < sdk::Level::INFO && !story.detailed()) return;
  story.tell(Event::LOG, id, line.cStr());
}

void Stage::taskFailed(kj::Exception&& exception) {
  story.violate("workload", exception.getDescription().cStr());
}

// ------------------------------------------------------------------------------------------ Roads

std::vector<core::MemberId> Stage::open() {
  std::vector<core::MemberId> out;
  for (auto& [id, door] : doors) {
    if (door->open()) out.push_back(id);
  }
  return out;
}

void Stage::submit(core::MemberId to,
                   const std::function<void(coordination::Request::Builder)>& fill) {
  if (tasks.get() == nullptr) return;  // the run is over; a client still hears of it
  auto found = doors.find(to);
  if (found == doors.end() || !found->second->open()) return;
  bool passes = !world.servers.at(to).environment->gate.shut();
  if (passes && !recorder) {
    tasks->add(found->second->submit(fill).catch_([](kj::Exception&&) {}));
    return;
  }
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<coordination::Request>());
  if (recorder) recorder->request(to, message.getRoot<coordination::Request>());
  auto& server = world.servers.at(to);
  if (passes) {
    return pass(to, server.lives, message.getRoot<coordination::Request>());
  }
  auto kept = kj::heap<capnp::MallocMessageBuilder>();
  kept->setRoot(message.getRoot<coordination::Request>().asReader());
  tasks->add(server.environment->gate.pass().then(
      [this, to, life = server.lives, kept = kj::mv(kept)]() mutable {
        pass(to, life, kept->getRoot<coordination::Request>());
      }));
}

void Stage::pass(core::MemberId to, std::uint64_t life, coordination::Request::Reader request) {
  auto found = doors.find(to);
  if (found == doors.end() || world.servers.at(to).lives != life || !found->second->open()) return;
  tasks->add(found->second->submit([&](coordination::Request::Builder out) { copy(request, out); })
                 .catch_([](kj::Exception&&) {}));
}

}  // namespace polyquorum::simulator
