// SPDX-License-Identifier: Apache-2.0
// How a client judges what it is told; see client.h.
#include <algorithm>
#include <cstring>
#include "simulator/client.h"

namespace polyquorum::simulator {
namespace {

using polyquorum::Error;

std::uint64_t dataOf(capnp::Data::Reader data) {
  std::uint64_t out = 0;
  memcpy(&out, data.begin(), std::min<std::size_t>(data.size(), sizeof(out)));
  return out;
}

std::string text(core::Index index) { return std::to_string(index); }

}  // namespace

void Client::violate(const char* checker, const std::string& what) {
  story.violate(checker, "client " + text(number) + " (session " + text(session) + ", server " +
                             text(server) + "): " + what);
}

/// The answer to what it asked outside of its session.
bool Client::elsewhere(coordination::Delivery::Reader delivery) {
  if (!delivery.isReply() || delivery.getSession() != 0) return false;
  auto found = loose.find(delivery.getReply().getToken());
  if (found == loose.end()) return false;
  auto [asked, seenBefore] = found->second;
  loose.erase(found);
  if (!delivery.getReply().hasAnswer()) return true;  // too late, or overloaded
  auto index = delivery.getIndex();
  story.count("reads outside of sessions");
  if (index < seenBefore) {
    violate("never-back", "had seen " + text(seenBefore) + ", another server answered at " + text(index));
    return true;
  }
  asked.level = coordination::Level::LOCAL;
  read(asked, index, delivery.getReply().getAnswer());
  return true;
}

void Client::delivered(core::MemberId from, coordination::Delivery::Reader delivery) {
  if (elsewhere(delivery)) return;
  if (phase == AWAY || from != server) return;
  if (delivery.isReply()) return replied(delivery);
  if (phase != ATTACHED || delivery.getSession() != session) return;
  switch (delivery.which()) {
    case coordination::Delivery::EVENT:
      return told(delivery.getIndex(), delivery.getEvent());
    case coordination::Delivery::ENDED:
      if (delivery.getEnded() == Error::SESSION_EXPIRED) {
        if (history.attached(session))
          violate("ephemerals", "it was told that its session ended, and it did not");
        lose("expired");
        session = 0;
        password.clear();
        unknown.clear();
      } else {
        lose("moved");
      }
      return;
    case coordination::Delivery::GAP:
      return watches.clear();
    case coordination::Delivery::ADRIFT:
      return lose("adrift");
    default:
      return;
  }
}

/// Never going back, on this connection.
bool Client::progress(core::Index index) {
  if (index < seenHere) {
    violate("never-back", "was at " + text(seenHere) + ", now at " + text(index));
    return false;
  }
  seenHere = index;
  seen = std::max(seen, index);
  return true;
}

void Client::replied(coordination::Delivery::Reader delivery) {
  auto reply = delivery.getReply();
  auto index = delivery.getIndex();
  if (phase == ATTACHING) {
    if (reply.getToken() == attachToken) attached(index, reply.getOutcome());
    return;
  }
  if (delivery.getSession() != session || line.empty()) return;
  auto error = reply.hasAnswer() ? Error::OK : reply.getOutcome().getError();
  if (error == Error::SESSION_EXPIRED || error == Error::SESSION_MOVED) {
    // What comes with the session's end is not an answer. A detach may have brought it about.
    bool over = error == Error::SESSION_EXPIRED;
    lose("expired");
    if (over && !history.attached(session)) {
      session = 0;
      password.clear();
      unknown.clear();
    }
    return;
  }
  if (reply.getToken() != line.front().token) {
    auto known = std::any_of(line.begin(), line.end(),
                             [&](const Sent& sent) { return sent.token == reply.getToken(); });
    if (known) violate("session-replies", "a request was answered before the one sent before it");
    return;
  }
  auto sent = line.front();
  line.pop_front();
  if (sent.at > heard + timeoutMs * kj::MILLISECONDS) spokeAgain = sent.at;
  heard = std::max(heard, sent.at);
  if (sent.kind != Sent::WRITE && sent.kind != Sent::DETACH && error == Error::OK)
    checkWatches(index);
  if (!progress(index)) return;
  switch (sent.kind) {
    case Sent::WRITE:
      return wrote(sent, index, reply.getOutcome());
    case Sent::DETACH:
      if (history.attached(session))
        violate("ephemerals", "a detach was answered and the session lives");
      lose("detached");
      session = 0;
      password.clear();
      unknown.clear();
      return;
    case Sent::RENEW:
      renewing = false;
      checkRenewal(index);
      return kept.clear();
    case Sent::SYNC:
      story.count("syncs answered");
      if (index < sent.acknowledgedBefore) {
        violate("sync", "answered at " + text(index) + ", " + text(sent.acknowledgedBefore) +
                            " had been acknowledged before it was sent");
      }
      return;
    default:
      return read(sent, index, reply.getAnswer());
  }
}

void Client::attached(core::Index index, polyquorum::Outcome::Reader outcome) {
  switch (outcome.getError()) {
    case Error::OK:
      break;
    case Error::SESSION_EXPIRED:
      if (history.attached(session))
        violate("ephemerals", "its session lives and cannot be resumed");
      lose("expired");
      session = 0;
      password.clear();
      unknown.clear();
      return;
    default:
      return lose("the attach was refused");
  }
  auto attached = outcome.getAttached();
  if (session != 0 && attached.getSession() != session)
    violate("reply", "a resume gave another session");
  if (session != 0) {
    story.count("sessions resumed");
    resolve(attached, index);
  } else {
    kept.clear();
  }
  session = attached.getSession();
  incarnation = attached.getIncarnation();
  auto bytes = attached.getPassword();
  password.assign(bytes.begin(), bytes.end());
  sequence = 0;
  phase = ATTACHED;
  heard = attachedAt;
  progress(index);
  history.acknowledged = std::max(history.acknowledged, incarnation);
  if (kept.empty()) return;
  if (random.chance(80)) return renew();
  kept.clear();
}

/// "Unknown" ends here: what the session did under an earlier incarnation is told by the attach.
void Client::resolve(polyquorum::Attached::Reader attached, core::Index index) {
  for (auto& command : unknown) {
    auto [ofSession, ofIncarnation, sequence] = command;
    bool took = ofIncarnation == attached.getBefore() && sequence <= attached.getSequence();
    auto at = history.tookAt(command);
    story.count("unknown outcomes resolved");
    if (took != (at != 0 && at < attached.getIncarnation())) {
      violate("exactly-once", "an unknown command is said to have " +
                                  std::string(took ? "" : "not ") + "taken place; it did so at " +
                                  text(at));
    }
    if (!took) history.never(command);
  }
  unknown.clear();
}

void Client::wrote(const Sent& sent, core::Index index, polyquorum::Outcome::Reader outcome) {
  auto error = outcome.getError();
  CommandName command{session, incarnation, sent.sequence};
  if (error == Error::OVERLOADED || error == Error::BAD_ARGUMENTS || error == Error::NOT_SERVING ||
      error == Error::TIMED_OUT) {
    return violate("reply", std::string("a write was answered ") + kj::str(error).cStr());
  }
  auto at = history.tookAt(command);
  if (at == 0 || at > index)
    return violate("durability",
                   "a write was answered at " + text(index) + " and did not take place");
  if (history.at(at).error != error)
    violate("reply", "the answer is not the outcome of index " + text(at));
  if (at <= sent.acknowledgedBefore) {
    violate("linearizable-writes", "a write took place at " + text(at) + ", but " +
                                       text(sent.acknowledgedBefore) +
                                       " had been acknowledged before it was sent");
  }
  history.acknowledged = std::max(history.acknowledged, at);
  story.count(error == Error::OK ? "writes acknowledged" : "writes refused by their outcome");
  std::string path = outcome.getPath().cStr();
  if (path.find("/s-") != path.npos) made.push_back(path);
}

void Client::read(const Sent& sent, core::Index index, polyquorum::Answer::Reader answer) {
  story.count("reads answered");
  if (sent.level != coordination::Level::LOCAL && index < seen) {
    return violate("never-back", "had seen " + text(seen) + ", read at " + text(index));
  }
  if (sent.level == coordination::Level::LINEARIZABLE && index < sent.acknowledgedBefore) {
    violate("linearizable-reads", "read at " + text(index) + ", " + text(sent.acknowledgedBefore) +
                                      " had been acknowledged before");
  }
  if (index > history.last()) return violate("reads", "answered at an index that nobody applied");
  auto expected = history.tree().at(sent.path, index);
  bool exists = answer.getError() == Error::OK;
  if (exists != expected.exists) {
    return violate("reads",
                   sent.path + (exists ? " is there" : " is not there") + " at " + text(index));
  }
  if (exists) {
    auto stat = answer.getStat();
    if (stat.getVersion() != expected.version || stat.getMzxid() != expected.mzxid ||
        stat.getCzxid() != expected.czxid || stat.getEphemeralOwner() != expected.owner) {
      violate("reads", sent.path + " has another stat at " + text(index) + " than its writes left");
    }
    if (sent.kind == Sent::GET && dataOf(answer.getData()) != expected.data) {
      violate("reads", sent.path + " has other data at " + text(index) + " than was written last");
    }
    if (sent.kind == Sent::CHILDREN) {
      std::vector<std::string> names;
      for (auto name : answer.getNames()) names.push_back(name.cStr());
      if (names != history.tree().children(sent.path, index)) {
        violate("reads", sent.path + " has other children at " + text(index));
      }
    }
  }
  if (!sent.watch || (!exists && sent.kind != Sent::EXISTS)) return;
  auto& watched = watches[sent.path];
  auto& since = sent.kind == Sent::CHILDREN ? watched.children : watched.data;
  if (since == 0) since = index;
  if (sent.kind != Sent::CHILDREN) watched.existed = exists;
  story.count("watches set");
}

/// An event: the first change after the watch was left, told once.
void Client::told(core::Index index, polyquorum::Change::Reader event) {
  std::string path = event.getPath().cStr();
  auto found = watches.find(path);
  story.count("events told");
  if (index < seenHere)
    return violate("watches",
                   "the event of " + text(index) + " came after a reply at " + text(seenHere));
  if (renewing) return renewed.emplace_back(path, event.getWhat()), void();
  if (found == watches.end())
    return violate("watches", path + " is not watched, or was told of twice");
  auto& watched = found->second;
  auto what = event.getWhat();
  auto check = [&](core::Index& since, bool data, bool children) {
    if (since == 0) return false;
    auto first = history.tree().firstChange(path, data, children, since, index);
    if (!first || first->first != index) return false;
    since = 0;
    return true;
  };
  bool due = false;
  if (what != What::CHILDREN_CHANGED) due |= check(watched.data, true, false);
  if (what == What::CHILDREN_CHANGED || what == What::DELETED)
    due |= check(watched.children, false, true);
  if (!due) {
    return violate("watches", path + " was told of at " + text(index) +
                                  ", which is not the first change after " + text(watched.data) +
                                  "/" + text(watched.children));
  }
  if (watched.data == 0 && watched.children == 0) watches.erase(found);
}

/// Before a reply at index every event due by then was told.
void Client::checkWatches(core::Index index) {
  for (auto& [path, watched] : watches) {
    for (bool children : {false, true}) {
      auto since = children ? watched.children : watched.data;
      if (since == 0) continue;
      auto missed = history.tree().firstChange(path, !children, children, since, index);
      if (!missed) continue;
      return violate("watches", path + " changed at " + text(missed->first) + " and a reply at " +
                                    text(index) + " came without its event");
    }
  }
}

/// A renewed watch tells what became of its node since the client saw it last, as the node is now: once
/// if something did, else it waits again. (DataTree.setWatches.)
void Client::checkRenewal(core::Index index) {
  std::vector<Renewal> due;
  auto& tree = history.tree();
  for (auto& [path, watched] : kept) {
    auto node = tree.at(path, index);
    Watched waits;
    if (watched.data != 0) {
      if (!watched.existed && node.exists) due.emplace_back(path, What::CREATED);
      else if (watched.existed && !node.exists) due.emplace_back(path, What::DELETED);
      else if (watched.existed && node.mzxid > keptSince) due.emplace_back(path, What::DATA_CHANGED);
      else waits.data = index, waits.existed = node.exists;
    }
    if (watched.children != 0) {
      auto changed = tree.firstChange(path, false, true, keptSince, index);
      if (!node.exists) due.emplace_back(path, What::DELETED);
      else if (changed) due.emplace_back(path, What::CHILDREN_CHANGED);
      else waits.children = index;
    }
    if (waits.data != 0 || waits.children != 0) watches[path] = waits;
  }
  std::sort(due.begin(), due.end());
  std::sort(renewed.begin(), renewed.end());
  if (due == renewed) return;
  std::string all;
  for (auto& [path, what] : due) all += " " + path + " " + kj::str(what).cStr();
  violate("watches", text(renewed.size()) + " events were told when watches were renewed from " +
                         text(keptSince) + " at " + text(index) + ", due was:" + all);
}

/// The leader ended the session while the client was answered all the time.
void Client::expired(std::uint64_t ended, std::uint64_t ofIncarnation) {
  if (ended != session || ofIncarnation != incarnation || phase != ATTACHED) return;
  auto silent = timer.now() - heard;
  // It had been silent for longer than its timeout, and word of its return takes up to a tick.
  if (timer.now() - spokeAgain < 2 * kj::SECONDS) return;
  if (silent < timeoutMs * kj::MILLISECONDS / 2) {
    violate("ephemerals", "its session of " + text(timeoutMs) +
                              " ms was expired, though a request sent " +
                              text(silent / kj::MILLISECONDS) + " ms ago was answered");
  }
}

}  // namespace polyquorum::simulator
