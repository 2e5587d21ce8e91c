// SPDX-License-Identifier: Apache-2.0
// Sessions: the gate, repeats, moving, ending (contract README, holes 19 to 21; B4).
#include <catch2/catch.hpp>
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;

TEST_CASE("a session's id is home and index, its incarnation the index, its password 16 bytes") {
  Trial trial;
  trial(create("/a"));
  Attaching asked;
  asked.home = 255;
  auto& applied = trial(attach(asked));

  CHECK(applied.outcome.attached->session == (255ull << 56 | 2));
  CHECK(applied.outcome.attached->incarnation == 2);
  CHECK(applied.outcome.attached->timeoutMs == 4000);
  CHECK(applied.outcome.attached->password.size() == 16);
  CHECK(applied.outcome.attached->before == 0);
  REQUIRE(applied.sessions.size() == 1);
  CHECK(applied.sessions[0].what == SessionChange::OPENED);
}

TEST_CASE("a command is accepted only if it is its session's next (hole 20)") {
  Trial trial;
  Client client(trial);
  auto id = client.attached.session, life = client.attached.incarnation;
  CHECK(client(create("/a")).outcome.error == Error::OK);

  auto& gap = trial({id, life, 3, 0}, create("/b"));
  CHECK(gap.stale);
  CHECK(gap.outcome.error == Error::SESSION_MOVED);
  CHECK(trial({id, life - 1, 2, 0}, create("/b")).stale);
  CHECK(trial({id, life + 1, 2, 0}, create("/b")).stale);
  CHECK(trial({id, life, 0, 0}, create("/b")).stale);
  auto& unknown = trial({id + 1, life, 2, 0}, create("/b"));
  CHECK(unknown.stale);
  CHECK(unknown.outcome.error == Error::SESSION_EXPIRED);
  CHECK(!trial.state->look("/b"));
  CHECK(trial.state->session(id)->sequence == 1);
  CHECK(client(create("/b")).outcome.error == Error::OK);
}

TEST_CASE("a repeat answers what was kept and changes nothing (hole 21)") {
  Trial trial;
  Client client(trial);
  auto id = client.attached.session, life = client.attached.incarnation;
  Outcome first = trial({id, life, 1, 1}, create("/q", SEQUENTIAL)).outcome;
  trial({id, life, 2, 1}, multi({setData(first.path, "x"), check("/none")}));

  auto& again = trial({id, life, 1, 1}, create("/q", SEQUENTIAL));
  CHECK(again.repeated);
  CHECK(again.changes.empty());
  CHECK(again.outcome.path == first.path);
  CHECK(again.outcome.stat->czxid == first.stat->czxid);
  CHECK(again.outcome.stat->pzxid == first.stat->pzxid);
  auto& failed = trial({id, life, 2, 1}, multi({}));
  CHECK(failed.repeated);
  CHECK(failed.outcome.parts.at(1).error == Error::NO_NODE);
  CHECK(trial.state->kept(id, 1)->path == first.path);

  // Answered ones are forgotten; what became of them is then unknown, but they took place.
  trial({id, life, 3, 3}, create("/z"));
  CHECK(trial.state->kept(id, 1) == nullptr);
  CHECK(trial.state->kept(id, 3)->path == "/z");
  auto& late = trial({id, life, 2, 1}, multi({}));
  CHECK(late.repeated);
  CHECK(late.outcome.error == Error::TIMED_OUT);
  CHECK(trial.children("/") == std::vector<std::string>{"q0000000000", "z", "zookeeper"});
}

TEST_CASE("kept outcomes are bounded") {
  Trial trial;
  Client client(trial);
  auto id = client.attached.session, life = client.attached.incarnation;
  trial({id, life, 1, 1}, create("/a"));
  for (unsigned i = 2; i <= 5000; i++) trial({id, life, i, 1}, setData("/a", "x"));

  CHECK(trial.state->kept(id, 5000));
  CHECK(trial.state->kept(id, 905));
  CHECK(!trial.state->kept(id, 904));
  CHECK(load(image(*trial.state))->digest() == trial.state->digest());
}

TEST_CASE("resuming fences the old life and says how far it got (hole 19)") {
  Trial trial;
  Client client(trial);
  auto id = client.attached.session, first = client.attached.incarnation;
  client(create("/e", EPHEMERAL));
  client(create("/f", EPHEMERAL));
  client.resume();

  CHECK(client.attached.session == id);
  CHECK(client.attached.incarnation > first);
  CHECK(client.attached.before == first);
  CHECK(client.attached.sequence == 2);
  CHECK(trial({id, first, 3, 0}, create("/late")).outcome.error == Error::SESSION_MOVED);
  CHECK(!trial.state->kept(id, 2));
  auto second = client.attached.incarnation;
  client.resume();  // the second life did nothing, so the first is still the one before
  CHECK(client.attached.before == first);
  CHECK(client.attached.sequence == 2);
  CHECK(trial({id, second, 1, 0}, create("/late")).stale);
  CHECK(client(create("/g")).outcome.error == Error::OK);
  CHECK(trial.state->ephemerals(id) == std::vector<std::string>{"/e", "/f"});
}

TEST_CASE("a wrong password or an unknown session attaches nothing and disturbs nobody (B8)") {
  Trial trial;
  Client client(trial);
  Attaching asked;
  asked.session = client.attached.session;
  asked.password = "0123456789abcdef";
  auto& wrong = trial(attach(asked));
  CHECK(wrong.outcome.error == Error::SESSION_EXPIRED);
  CHECK(!wrong.outcome.attached);
  CHECK(wrong.sessions.empty());
  asked.session = 4711;
  CHECK(trial(attach(asked)).outcome.error == Error::SESSION_EXPIRED);
  CHECK(client(create("/a")).outcome.error == Error::OK);
}

TEST_CASE("a repeated attach gets the same answer, an older one is stale") {
  Trial trial;
  Client client(trial);
  Attaching asked;
  asked.session = client.attached.session;
  asked.password = client.attached.password;
  asked.nonce = 5;
  auto first = *trial(attach(asked)).outcome.attached;
  auto& again = trial(attach(asked));
  CHECK(again.repeated);
  CHECK(again.outcome.attached->incarnation == first.incarnation);
  CHECK(again.sessions.empty());
  asked.nonce = 4;
  auto& older = trial(attach(asked));
  CHECK(older.stale);
  CHECK(older.outcome.error == Error::SESSION_MOVED);
  asked.home = 2;  // another asker counts for itself
  auto& moved = trial(attach(asked));
  CHECK(moved.outcome.attached->incarnation > first.incarnation);
  REQUIRE(moved.sessions.size() == 1);
  CHECK(moved.sessions[0].what == SessionChange::RESUMED);
}

TEST_CASE("detaching deletes all ephemerals in one entry, in the order of their paths (B4)") {
  Trial trial;
  Client client(trial);
  trial(create("/d"));
  for (auto path : {"/z", "/d/b", "/a", "/d/a"}) client(create(path, EPHEMERAL));
  auto& applied = client(detach());

  std::vector<std::string> deleted;
  for (auto& change : applied.changes) {
    if (change.what == polyquorum::Change::What::DELETED) deleted.push_back(change.path);
  }
  CHECK(deleted == std::vector<std::string>{"/a", "/d/a", "/d/b", "/z"});
  REQUIRE(applied.sessions.size() == 1);
  CHECK(applied.sessions[0].what == SessionChange::ENDED);
  CHECK(trial.state->sessionCount() == 0);
  CHECK(trial.state->ephemeralCount() == 0);
  CHECK(trial.stat("/d").getPzxid() == trial.state->index());
  auto& after = client(create("/x"));
  CHECK(after.stale);
  CHECK(after.outcome.error == Error::SESSION_EXPIRED);
}

TEST_CASE("expiry ends the lives it names; a resumed session lives on") {
  Trial trial;
  Client slow(trial), moved(trial);
  slow(create("/s", EPHEMERAL));
  moved(create("/m", EPHEMERAL));
  auto old = moved.attached.incarnation;
  moved.resume();
  auto& applied = trial(expire({old, slow.attached.incarnation, 999}));

  REQUIRE(applied.sessions.size() == 1);
  CHECK(applied.sessions[0].session == slow.attached.session);
  CHECK(!trial.state->look("/s"));
  CHECK(trial.state->look("/m"));
  std::vector<std::uint64_t> ids;
  trial.state->eachSession([&](const SessionView& view) { ids.push_back(view.id); });
  CHECK(ids == std::vector<std::uint64_t>{moved.attached.session});
}

TEST_CASE("ephemerals are listed by plain prefix (B1)") {
  Trial trial;
  Client client(trial);
  for (auto path : {"/ab", "/a", "/b"}) client(create(path, EPHEMERAL));
  auto id = client.attached.session;
  auto asked = trial.ask("/a", [&](auto query) { query.setEphemerals(id); });
  CHECK(asked.get().getNames().size() == 2);
  CHECK(trial.ask("/", [&](auto query) { query.setEphemerals(id); }).get().getNames().size() == 3);
  CHECK(trial.stat("/a").getEphemeralOwner() == id);
}

TEST_CASE("a failed command of a session counts and is kept") {
  Trial trial;
  Client client(trial);
  CHECK(client(erase("/none")).outcome.error == Error::NO_NODE);
  CHECK(trial.state->session(client.attached.session)->sequence == 1);
  CHECK(trial.state->kept(client.attached.session, 1)->error == Error::NO_NODE);
}
