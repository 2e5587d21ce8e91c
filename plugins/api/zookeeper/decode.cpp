// SPDX-License-Identifier: Apache-2.0
// Questions, watches and single changes; see decode.h. multi has a file of its own.
#include "plugins/api/zookeeper/decode.h"
#include "plugins/api/zookeeper/multi.h"
#include "plugins/api/zookeeper/operations.h"
#include "plugins/api/zookeeper/protocol.h"

namespace polyquorum::zookeeper {
namespace {

using coordination::Level;
using Kind = coordination::Watch::Kind;

void refuse(Pending& pending, std::int32_t error) {
  pending.local = true;
  pending.error = error;
}

Query::Builder beginQuery(const Asker& asker, std::string_view path, bool watch,
                          coordination::Request::Builder out) {
  auto at = out.initQuery();
  at.setLevel(Level::SESSION);
  at.setWatch(watch);
  auto query = at.initQuery();
  setText(query.initPath(static_cast<unsigned>(path.size())), path);
  asker.identities.write(query.initIdentities(static_cast<unsigned>(asker.identities.count())));
  return query;
}

/// FinalRequestProcessor: a prefix of getEphemerals that Java trims to nothing or "/".
bool meansAll(std::string_view prefix) {
  auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!prefix.empty() && blank(prefix.front())) prefix.remove_prefix(1);
  while (!prefix.empty() && blank(prefix.back())) prefix.remove_suffix(1);
  return prefix.empty() || prefix == "/";
}

/// The questions that are a path and, for some, a watch flag.
void decodeQuery(std::int32_t type, Reader body, const Asker& asker,
                 coordination::Request::Builder out, Pending& pending) {
  auto path = body.view();
  bool watches = type == op::EXISTS || type == op::GET_DATA || type == op::GET_CHILDREN ||
                 type == op::GET_CHILDREN2;
  bool watch = watches && body.flag();
  bool mayBeNull = type == op::GET_EPHEMERALS;
  if (!body.good() || (path.null && !mayBeNull)) return refuse(pending, code::MARSHALLING_ERROR);
  if (type == op::EXISTS && path.bytes.find('\0') != path.bytes.npos) {
    return refuse(pending, code::BAD_ARGUMENTS);  // the other questions: NoNode
  }
  if (mayBeNull && meansAll(path.bytes)) path.bytes = {};
  auto query = beginQuery(asker, path.bytes, watch, out);
  switch (type) {
    case op::EXISTS: query.setExists(); break;
    case op::GET_DATA: query.setGet(); break;
    case op::GET_CHILDREN: query.setNames(); break;
    case op::GET_CHILDREN2: query.initChildren(); break;
    case op::GET_ACL: query.setAcl(); break;
    case op::GET_ALL_CHILDREN_NUMBER: query.setCount(); break;
    default: query.setEphemerals(asker.session); break;
  }
}

/// The lists of setWatches, in the order in which they are told.
constexpr Kind LISTS[] = {Kind::DATA, Kind::EXIST, Kind::CHILDREN, Kind::PERSISTENT,
                          Kind::RECURSIVE};

void decodeSetWatches(std::size_t listCount, Reader body, const Asker& asker,
                      coordination::Request::Builder out, Pending& pending) {
  auto since = static_cast<std::uint64_t>(body.int64());
  Reader first = body;
  std::size_t total = 0;
  for (std::size_t list = 0; list < listCount; list++) {
    auto count = body.count(4);
    total += count;
    for (std::size_t i = 0; i < count && body.good(); i++) {
      if (body.view().null) body.fail();
    }
  }
  if (!body.good()) return refuse(pending, code::MARSHALLING_ERROR);
  auto watches = out.initWatch(static_cast<unsigned>(total));
  unsigned next = 0;
  for (std::size_t list = 0; list < listCount; list++) {
    auto count = first.count(4);
    for (std::size_t i = 0; i < count; i++) {
      auto path = first.view().bytes;
      auto watch = watches[next++];
      setText(watch.initPath(static_cast<unsigned>(path.size())), path);
      watch.setKind(LISTS[list]);
      watch.setSince(since);
      watch.setRenewed(true);
    }
  }
  asker.identities.write(out.initIdentities(static_cast<unsigned>(asker.identities.count())));
}

/// AddWatchMode.fromInt and WatcherType.fromInt: an unknown number is an exception there, which
/// FinalRequestProcessor answers as a marshalling error.
bool watchKind(std::int32_t type, std::int32_t number, Kind& out) {
  if (type == op::ADD_WATCH) {
    out = number == 0 ? Kind::PERSISTENT : Kind::RECURSIVE;
    return number == 0 || number == 1;
  }
  constexpr Kind TYPES[] = {Kind::CHILDREN, Kind::DATA, Kind::ANY, Kind::PERSISTENT,
                            Kind::RECURSIVE};
  if (number < 1 || number > 5) return false;
  out = TYPES[number - 1];
  return true;
}

void decodeWatch(std::int32_t type, Reader body, const Asker& asker,
                 coordination::Request::Builder out, Pending& pending) {
  auto path = body.view();
  Kind kind;
  bool known = watchKind(type, body.int32(), kind);
  if (!body.good() || path.null || !known) return refuse(pending, code::MARSHALLING_ERROR);
  auto list = type == op::ADD_WATCH        ? out.initWatch(1)
              : type == op::REMOVE_WATCHES ? out.initUnwatch(1)
                                           : out.initWatching(1);
  setText(list[0].initPath(static_cast<unsigned>(path.bytes.size())), path.bytes);
  list[0].setKind(kind);
  if (type == op::ADD_WATCH) {
    asker.identities.write(out.initIdentities(static_cast<unsigned>(asker.identities.count())));
  }
}

void decodeWrite(std::int32_t type, Reader body, const Asker& asker,
                 coordination::Request::Builder out, Pending& pending) {
  Write write;
  if (!readWrite(type, body, *asker.rules, write)) return refuse(pending, code::MARSHALLING_ERROR);
  if (write.refused != 0) return refuse(pending, write.refused);
  buildOperation(out, write.words(), asker.identities, *asker.rules,
                 [&](Operation::Builder operation) { write.build(operation); });
}

/// WhoAmIResponse: a vector of {scheme, user}.
void decodeWhoAmI(const Asker& asker, Pending& pending) {
  Bytes body;
  Writer writer(body);
  auto& identities = asker.identities;
  writer.int32(static_cast<std::int32_t>(1 + identities.proofs->size()));
  writer.text("ip");
  writer.text(identities.address);
  for (auto& proof : *identities.proofs) {
    writer.text(proof.scheme);
    writer.text(userName(proof));
  }
  pending.text.assign(reinterpret_cast<const char*>(body.data()), body.size());
  refuse(pending, code::OK);
}

}  // namespace

bool decodeConnect(Reader frame, ConnectRequest& out) {
  out.protocolVersion = frame.int32();
  out.lastZxidSeen = frame.int64();
  out.timeoutMs = frame.int32();
  out.session = static_cast<std::uint64_t>(frame.int64());
  out.password = frame.view().bytes;
  out.readOnlySent = frame.good() && frame.left() > 0;
  out.readOnly = out.readOnlySent && frame.flag();
  return frame.good();
}

void decodeRequest(std::int32_t type, Reader body, const Asker& asker,
                   coordination::Request::Builder out, Pending& pending) {
  pending.type = type;
  switch (type) {
    case op::EXISTS: case op::GET_DATA: case op::GET_CHILDREN: case op::GET_CHILDREN2:
    case op::GET_ACL: case op::GET_ALL_CHILDREN_NUMBER: case op::GET_EPHEMERALS:
      return decodeQuery(type, body, asker, out, pending);
    case op::CREATE: case op::CREATE2: case op::CREATE_CONTAINER: case op::CREATE_TTL:
    case op::DELETE: case op::SET_DATA: case op::SET_ACL: case op::CHECK:
      return decodeWrite(type, body, asker, out, pending);
    case op::PING: return out.setPing();
    case op::SYNC: {
      auto path = body.view();
      if (!body.good()) return refuse(pending, code::MARSHALLING_ERROR);
      pending.text.assign(path.bytes);
      pending.null = path.null;
      return out.setSync();
    }
    case op::MULTI: return decodeMulti(body, asker, out, pending);
    case op::MULTI_READ: return decodeMultiRead(body, asker, out, pending);
    case op::SET_WATCHES: return decodeSetWatches(3, body, asker, out, pending);
    case op::SET_WATCHES2: return decodeSetWatches(5, body, asker, out, pending);
    case op::ADD_WATCH: case op::REMOVE_WATCHES: case op::CHECK_WATCHES:
      return decodeWatch(type, body, asker, out, pending);
    case op::WHO_AM_I: return decodeWhoAmI(asker, pending);
    case op::CLOSE_SESSION:
      pending.closes = true;
      return buildDetach(asker, out);
    case op::DELETE_CONTAINER:  // the leader's own; a client's is refused, as measured on 3.8.0
      return refuse(pending, code::BAD_ARGUMENTS);
    case op::RECONFIG:
      return refuse(pending, asker.rules->reconfigEnabled ? code::UNIMPLEMENTED
                                                          : code::RECONFIG_DISABLED);
    default:
      pending.closes = true;
      return refuse(pending, code::UNIMPLEMENTED);
  }
}

void buildAttach(const AttachRequest& attach, coordination::Request::Builder out) {
  static const std::vector<Proof> NONE;
  static const Rules RULES;
  std::size_t words = structWords<Attach>() + dataWords(attach.password.size());
  Identities nobody{"", &NONE, false};
  buildOperation(out, words, nobody, RULES, [&](Operation::Builder operation) {
    auto to = operation.initAttach();
    to.setSession(attach.session);
    to.setNonce(attach.nonce);
    to.setTimeoutMs(attach.timeoutMs);
    setData(to.initPassword(static_cast<unsigned>(attach.password.size())), attach.password);
    to.setHome(attach.home);
  });
}

void buildDetach(const Asker& asker, coordination::Request::Builder out) {
  buildOperation(out, 0, asker.identities, *asker.rules,
                 [](Operation::Builder operation) { operation.setDetach(); });
}

}  // namespace polyquorum::zookeeper
