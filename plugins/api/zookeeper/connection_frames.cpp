// SPDX-License-Identifier: Apache-2.0
// What a connection does with frames and with what the desk tells it: handshake, requests, replies.
#include <kj/debug.h>
#include "plugins/api/zookeeper/capnp_text.h"
#include "plugins/api/zookeeper/connection.h"
#include "plugins/api/zookeeper/encode.h"
#include "plugins/api/zookeeper/protocol.h"
#include "plugins/api/zookeeper/server.h"

namespace polyquorum::zookeeper {

bool Connection::mayParse() const {
  return state == State::OPEN && !last && !server->full() &&
         pending.size() < server->settings.outstandingPerConnectionMax &&
         unsent() <= server->settings.unsentBytesMax;
}

void Connection::parse() {
  std::size_t from = 0;
  parsing = true;
  while (parseOne(from)) {}
  parsing = false;
  if (server == nullptr) return;
  if (from > 0 && from < filled) memmove(input(), input() + from, filled - from);
  filled -= static_cast<std::uint32_t>(from);
}

/// Handles one frame and moves from past it. False: no whole frame, or none may be read now.
bool Connection::parseOne(std::size_t& from) {
  bool fresh = state == State::FRESH;
  if (server == nullptr || (!fresh && !mayParse()) || filled - from < LENGTH_BYTES) return false;
  auto* at = input() + from;
  if (fresh) {
    if (auto used = word(at, filled); used > 0) return from += used, false;
  }
  std::size_t left = filled - from - LENGTH_BYTES;
  std::int32_t length = Reader(at, LENGTH_BYTES).int32();
  std::size_t lengthMax = fresh ? HANDSHAKE_BYTES_MAX : server->settings.frameBytesMax;
  if (length < 0 || static_cast<std::size_t>(length) > lengthMax) {
    server->refusals.frameTooLarge++;
    return close(), false;
  }
  if (left < static_cast<std::size_t>(length)) return false;
  Reader content(at + LENGTH_BYTES, static_cast<std::size_t>(length));
  from += LENGTH_BYTES + static_cast<std::size_t>(length);
  if (fresh) {
    connect(content);
  } else {
    frame(content);
  }
  return true;
}

/// The first four bytes as a four-letter word. Returns how many bytes it took; 0: it is none.
std::size_t Connection::word(const std::uint8_t* at, std::size_t size) {
  std::string_view word(reinterpret_cast<const char*>(at), LENGTH_BYTES);
  if (!isWord(word)) return 0;
  std::uint64_t argument = 0;
  if (word == "stmk") {
    if (size < LENGTH_BYTES + 8) return 0;  // then it is a length, and far too large
    argument = static_cast<std::uint64_t>(Reader(at + LENGTH_BYTES, 8).int64());
  }
  state = State::WORD;
  sinceNs = server->nowNs();
  server->word(*this, word, argument);
  return size;
}

void Connection::connect(Reader content) {
  ConnectRequest asked;
  if (!decodeConnect(content, asked)) {
    server->refusals.malformed++;
    return close();
  }
  traffic.received++;
  server->traffic.received++;
  readOnlySent = asked.readOnlySent;
  zxidSeen = asked.lastZxidSeen;
  timeoutMs = server->settings.negotiate(asked.timeoutMs);
  state = State::ATTACHING;
  attachToken = server->attach(*this, asked.session, timeoutMs, asked.password);
}

void Connection::attached(std::uint64_t index, coordination::Delivery::Reply::Reader reply) {
  auto outcome = reply.getOutcome();
  auto error = outcome.getError();
  attachToken = 0;
  if (closesConnection(error) || error == Error::OVERLOADED) return close();
  traffic.sent++;
  server->traffic.sent++;
  markDirty();
  if (error != Error::OK) {
    encodeConnected(0, 0, {}, readOnlySent, outgoing());
    state = State::DRAINING;
    sinceNs = server->nowNs();
    return;
  }
  auto attached = outcome.getAttached();
  session = attached.getSession();
  if (attached.getTimeoutMs() != 0) timeoutMs = attached.getTimeoutMs();
  owner = true;
  server->bind(*this);
  if (zxidSeen > static_cast<std::int64_t>(index)) {
    // The single system image rule: this client has seen what no server here has.
    server->refusals.zxidAhead++;
    return close();
  }
  state = State::OPEN;
  encodeConnected(session, timeoutMs, viewOf(attached.getPassword()), readOnlySent, outgoing());
  parse();
  if (server == nullptr) return;
  fitInput(BUSY_BYTES);
  readOn();
}

void Connection::frame(Reader content) {
  auto xid = content.int32();
  auto type = content.int32();
  if (!content.good()) {
    server->refusals.malformed++;
    return close();
  }
  traffic.received++;
  server->traffic.received++;
  lastType = type;
  if (type != op::PING && type != op::AUTH && type != op::SASL) lastCxid = xid;
  if (type == op::AUTH) return authenticate(xid, content);
  if (type == op::SASL) {
    encodeSasl(xid, outgoing());
    traffic.sent++;
    server->traffic.sent++;
    return markDirty();
  }
  request(xid, type, content);
}

void Connection::request(std::int32_t xid, std::int32_t type, Reader body) {
  Pending asked;
  asked.xid = type == op::PING ? xid::PING : xid;  // as FinalRequestProcessor answers
  asked.sinceNs = server->nowNs();
  decodeRequest(type, body, asker(), server->slot(*this, session), asked);
  if (!asked.local) {
    asked.token = server->take();
  } else if (asked.closes) {
    server->refusals.unknownType++;
  } else if (asked.error == code::MARSHALLING_ERROR) {
    server->refusals.malformed++;
  }
  last = asked.closes;
  server->asked();
  pending.push(std::move(asked));
  answerLocals();
}

/// Answered at once, before what is pending, as in ZooKeeperServer.processPacket.
void Connection::authenticate(std::int32_t xid, Reader body) {
  body.int32();
  auto scheme = body.view(), auth = body.view();
  if (!body.good()) {
    server->refusals.malformed++;
    return close();
  }
  bool proved = prove(proofs, scheme.bytes, auth.bytes, server->settings.rules.superDigest) ==
                Proved::ADDED;
  encodeHeader(xid, 0, proved ? code::OK : code::AUTH_FAILED, outgoing());
  traffic.sent++;
  server->traffic.sent++;
  markDirty();
  if (proved) return;
  server->refusals.auth++;
  state = State::DRAINING;
  sinceNs = server->nowNs();
}

/// Those at the head that never went to the desk.
void Connection::answerLocals() {
  while (state == State::OPEN && !pending.empty() && pending.front().local) {
    auto answer = pending.pop();
    encodeLocal(answer, server->lastIndex(), outgoing());
    count(answer, lastZxid);
  }
}

/// A desk with no room left answers no ping; whatever it answers after that vouches for it too.
bool Connection::passUnansweredPings(std::uint64_t token, std::uint64_t index) {
  while (state == State::OPEN && !pending.empty() && !pending.front().local) {
    if (pending.front().token == token) return true;
    if (pending.front().type != op::PING || pending.front().token > token) return false;
    auto ping = pending.pop();
    encodeHeader(ping.xid, static_cast<std::int64_t>(index), code::OK, outgoing());
    count(ping, index);
    answerLocals();
  }
  return false;
}

bool Connection::reply(std::uint64_t token, std::uint64_t index,
                       coordination::Delivery::Reply::Reader reply) {
  if (!passUnansweredPings(token, index)) return false;
  auto error = errorOf(reply);
  if (closesConnection(error)) {
    if (error == Error::SESSION_MOVED) disown();
    return close(), true;
  }
  if (unsent() > server->settings.unsentBytesLimit) {
    server->refusals.slowReader++;
    return close(), true;
  }
  auto answer = pending.pop();
  encodeReply(answer, index, reply, outgoing());
  if (error == Error::SESSION_EXPIRED || (answer.type == op::CLOSE_SESSION && error == Error::OK)) {
    answer.closes = true;
    disown();
  }
  count(answer, index);
  answerLocals();
  return true;
}

/// Books an answer that was just written.
void Connection::count(const Pending& answered, std::uint64_t zxid) {
  auto now = server->nowNs();
  auto ms = static_cast<std::uint32_t>((now - answered.sinceNs) / 1000000);
  traffic.sent++;
  traffic.latency.add(ms);
  server->traffic.sent++;
  server->traffic.latency.add(ms);
  server->answered();
  lastZxid = zxid;
  lastResponseNs = now;
  markDirty();
  if (!answered.closes) return;
  state = State::DRAINING;
  sinceNs = now;
}

void Connection::event(std::uint64_t index, Change::Reader change) {
  if (state != State::OPEN) return;
  if (unsent() > server->settings.unsentBytesMax) {
    server->refusals.slowReader++;
    return close();
  }
  encodeEvent(index, change, outgoing());
  traffic.sent++;
  server->traffic.sent++;
  markDirty();
}

void Connection::ended(std::uint64_t index) {
  disown();
  if (state == State::DRAINING) return;  // it was told so, and closes when that is sent
  bool asked = state == State::OPEN && pending.size() == 1 &&
               pending.front().type == op::CLOSE_SESSION;
  if (!asked) return close();
  auto answer = pending.pop();
  encodeHeader(answer.xid, static_cast<std::int64_t>(index), code::OK, outgoing());
  count(answer, index);
}

}  // namespace polyquorum::zookeeper
