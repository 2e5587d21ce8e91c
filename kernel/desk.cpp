// SPDX-License-Identifier: Apache-2.0
// Puts the two sides of the desk together and opens its doors to API plugins; see desk.h.
#include "kernel/desk.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <cstring>
#include "kernel/desk_home.h"
#include "kernel/desk_lane.capnp.h"
#include "kernel/desk_leader.h"
#include "kernel/desk_post.h"
#include "kernel/failure.h"
#include "sdk/direct.h"

namespace polyquorum::kernel {
namespace {

class Room;

/// Doors may outlive the room: plugins hold them.
struct Hinge final : public kj::Refcounted {
  Room* room = nullptr;
  Room& get() const {
    KJ_REQUIRE(room != nullptr, "the node has stopped");
    return *room;
  }
};

class Room final : public Desk {
public:
  Room(const DeskSettings& given, DeskHost& host, sdk::Environment& environment)
      : settings(given),
        host(host),
        environment(environment),
        tickets(settings.self, settings.incarnation),
        post(host),
        leader(settings, host, environment, failure, tickets,
               [this](core::MemberId to, std::uint64_t barrier, core::Index index) {
                 answerBarrier(to, barrier, index);
               }),
        home(settings, host, environment, failure, tickets, leader, post) {
    hinge->room = this;
  }
  ~Room() noexcept(false) { hinge->room = nullptr; }

  coordination::Desk::Client door(unsigned api) override;
  void setOutbox(unsigned api, coordination::Outbox::Client outbox) override {
    home.outbox(api).set(kj::mv(outbox));
  }

  void standing(const core::Standing& standing, core::Index through) override {
    if (standing == now) return;
    bool leads = standing.phase == core::Standing::LEADING;
    now = standing;
    if (leads) {
      leader.begin(through);
      for (auto& [peer, count] : post.peers()) post.ready(peer);
    } else {
      leader.end();
    }
    home.standing(standing);
    post.flush();
  }

  void contact() override { home.contact(); }

  void applied(core::Index index, kj::Maybe<polyquorum::Body::Reader> body,
               const state::Applied& applied) override {
    leader.applied(index, body, applied);
    home.applied(index, body, applied);
  }

  void entered(const state::Applied& applied) override { home.entered(applied); }

  void settle() override {
    leader.settle();
    home.settle();
    post.flush();
  }

  void readable(core::Token token, core::Index index) override {
    leader.readable(token, index);
    post.flush();
  }

  void refused(core::Token token, core::Refused::Why why) override { leader.refused(token, why); }

  void received(core::MemberId from, kj::ArrayPtr<const kj::byte> letter) override;

  void linkUp(core::MemberId peer) override {
    post.up(peer);
    if (leader.leading()) post.ready(peer);
    home.linkUp(peer);
    post.flush();
  }

  void linkDown(core::MemberId peer) override {
    post.down(peer);
  }

  void stateReplaced() override {
    leader.stateReplaced();
    home.stateReplaced();
    post.flush();
  }

  kj::Promise<void> stop() override {
    home.close();
    return home.drained();
  }

  kj::Promise<void> failed() override { return failure.happened(); }

private:
  friend class Door;

  void answerBarrier(core::MemberId to, std::uint64_t barrier, core::Index index) {
    if (to == settings.self) {
      home.readable(barrier, index);
    } else {
      post.readable(to, barrier, index);
    }
  }

  void read(core::MemberId from, DeskLetter::Reader letter);

  kj::Own<Hinge> hinge = kj::refcounted<Hinge>();
  const DeskSettings settings;
  DeskHost& host;
  sdk::Environment& environment;
  Failure failure;
  Tickets tickets;
  DeskPost post;
  DeskLeader leader;
  DeskHome home;
  core::Standing now;
};

/// What one API plugin holds.
class Door final : public coordination::Desk::Server {
public:
  Door(kj::Own<Hinge> hinge, unsigned api) : hinge(kj::mv(hinge)), api(api) {}

protected:
  kj::Promise<void> submit(SubmitContext context) override {
    auto& room = hinge->get();
    room.home.submit(api, context.getParams().getRequests());
    room.post.flush();
    return kj::READY_NOW;
  }

  kj::Promise<void> status(StatusContext context) override {
    auto& room = hinge->get();
    auto status = context.getResults().initStatus();
    room.host.fill(status);
    auto& watches = room.home.watched();
    status.setSessions(room.host.state().sessionCount());
    status.setWatches(watches.count());
    status.setWatchPaths(watches.paths());
    status.setWatchers(watches.sessions());
    status.setPending(room.home.pending());
    return kj::READY_NOW;
  }

  kj::Promise<void> inspect(InspectContext context) override {
    auto results = context.getResults();
    switch (context.getParams().getWhat()) {
      case coordination::Inspection::WATCHES_BY_PATH: watchesByPath(results); break;
      case coordination::Inspection::WATCHES_BY_SESSION: watchesBySession(results); break;
      case coordination::Inspection::EPHEMERALS: ephemerals(results); break;
    }
    return kj::READY_NOW;
  }

private:
  using Results = coordination::Desk::InspectResults::Builder;

  void watchesByPath(Results results) {
    auto& watches = hinge->get().home.watched();
    auto rows = results.initRows(watches.paths());
    unsigned place = 0;
    watches.eachPath([&](const std::string& path, const std::vector<std::uint64_t>& sessions) {
      auto row = rows[place++];
      row.setPath(path);
      auto list = row.initSessions(sessions.size());
      for (unsigned i = 0; i < sessions.size(); i++) list.set(i, sessions[i]);
    });
  }

  static void fillPaths(coordination::Row::Builder row, const std::vector<std::string>& paths) {
    auto list = row.initPaths(paths.size());
    for (unsigned i = 0; i < paths.size(); i++) list.set(i, paths[i]);
  }

  void watchesBySession(Results results) {
    auto& watches = hinge->get().home.watched();
    auto rows = results.initRows(watches.sessions());
    unsigned place = 0;
    watches.eachSession([&](std::uint64_t session, const std::vector<std::string>& paths) {
      auto row = rows[place++];
      row.setSession(session);
      fillPaths(row, paths);
    });
  }

  void ephemerals(Results results) {
    auto& state = hinge->get().host.state();
    std::vector<state::SessionView> views;
    state.eachSession([&](const state::SessionView& view) { views.push_back(view); });
    auto rows = results.initRows(views.size());
    for (unsigned i = 0; i < views.size(); i++) {
      rows[i].setSession(views[i].id);
      rows[i].setTimeoutMs(views[i].timeoutMs);
      fillPaths(rows[i], state.ephemerals(views[i].id));
    }
  }

  kj::Own<Hinge> hinge;
  unsigned api;
};

coordination::Desk::Client Room::door(unsigned api) {
  return sdk::direct<coordination::Desk>(kj::heap<Door>(kj::addRef(*hinge), api));
}

void Room::received(core::MemberId from, kj::ArrayPtr<const kj::byte> letter) {
  auto fault = kj::runCatchingExceptions([&] {
    auto words = kj::heapArray<capnp::word>(letter.size() / sizeof(capnp::word));
    memcpy(words.begin(), letter.begin(), words.asBytes().size());
    capnp::ReaderOptions options;
    options.traversalLimitInWords = words.size() * 2 + 64;
    capnp::FlatArrayMessageReader reader(words, options);
    read(from, reader.getRoot<DeskLetter>());
  });
  KJ_IF_MAYBE (problem, fault) {
    environment.log(sdk::Level::WARNING, kj::str("desk.letter_bad peer=", from, " why=\"",
                                                 problem->getDescription(), "\""));
  }
  post.flush();
}

void Room::read(core::MemberId from, DeskLetter::Reader letter) {
  if (letter.getReady()) home.ready(from);
  if (letter.getReadable() != 0) home.readable(letter.getReadable(), letter.getIndex());
  for (auto end : letter.getEnding()) home.ending(end.getSession(), end.getIncarnation());
  if (letter.getHeard() != 0) home.heard(letter.getHeard());
  if (!leader.leading()) return;  // the sender hears from the desk that leads
  for (auto command : letter.getCommands()) leader.take(copyBody(command), from);
  auto now = environment.timer().now();
  for (auto touch : letter.getTouches()) {
    auto session = touch.getSession(), incarnation = touch.getIncarnation();
    bool lives = leader.touch(session, incarnation, now - touch.getAgeMs() * kj::MILLISECONDS);
    if (!lives) post.ending(from, session, incarnation);
  }
  if (letter.getTold() != 0) post.heard(from, letter.getTold());
  if (letter.getRead() != 0) leader.read(from, letter.getRead());
}

}  // namespace

kj::Own<Desk> makeDesk(const DeskSettings& settings, DeskHost& host,
                       sdk::Environment& environment) {
  return kj::heap<Room>(settings, host, environment);
}

}  // namespace polyquorum::kernel
