// SPDX-License-Identifier: Apache-2.0
// Reply bodies by request type; see encode.h. Source: FinalRequestProcessor, zookeeper.jute.
#include "plugins/api/zookeeper/encode.h"
#include "plugins/api/zookeeper/capnp_text.h"
#include "plugins/api/zookeeper/jute.h"
#include "plugins/api/zookeeper/protocol.h"

namespace polyquorum::zookeeper {
namespace {

constexpr std::size_t STAT_BYTES = 68;

void writeStat(Writer& out, Stat::Reader stat) {
  auto* at = out.raw(STAT_BYTES);
  Writer::put64(at, static_cast<std::int64_t>(stat.getCzxid()));
  Writer::put64(at + 8, static_cast<std::int64_t>(stat.getMzxid()));
  Writer::put64(at + 16, stat.getCtimeMs());
  Writer::put64(at + 24, stat.getMtimeMs());
  Writer::put32(at + 32, stat.getVersion());
  Writer::put32(at + 36, stat.getCversion());
  Writer::put32(at + 40, stat.getAversion());
  Writer::put64(at + 44, static_cast<std::int64_t>(stat.getEphemeralOwner()));
  Writer::put32(at + 52, stat.getDataLength());
  Writer::put32(at + 56, stat.getNumChildren());
  Writer::put64(at + 60, static_cast<std::int64_t>(stat.getPzxid()));
}

void writeHeader(Writer& out, std::int32_t xid, std::int64_t zxid, std::int32_t error) {
  auto* at = out.raw(REPLY_HEADER_BYTES);
  Writer::put32(at, xid);
  Writer::put64(at + 4, zxid);
  Writer::put32(at + 12, error);
}

void writeData(Writer& out, Answer::Reader answer) {
  if (answer.getHasData()) {
    out.text(viewOf(answer.getData()));
  } else {
    out.null();
  }
}

void writeNames(Writer& out, Answer::Reader answer) {
  auto names = answer.getNames();
  out.int32(static_cast<std::int32_t>(names.size()));
  for (auto name : names) out.text(viewOf(name));
}

void writeAcl(Writer& out, Answer::Reader answer) {
  auto acl = answer.getAcl();
  out.int32(static_cast<std::int32_t>(acl.size()));
  for (auto permission : acl) {
    out.int32(permission.getBits());
    auto who = permission.getWho();
    out.text(viewOf(who.getScheme()));
    out.text(viewOf(who.getId()));
  }
}

void writeMultiHeader(Writer& out, std::int32_t type, bool done, std::int32_t error) {
  out.int32(type);
  out.flag(done);
  out.int32(error);
}

void writeErrorResult(Writer& out, std::int32_t error) {
  writeMultiHeader(out, op::ERROR, false, error);
  out.int32(error);
}

void writeOutcome(Writer& out, std::int32_t type, Outcome::Reader outcome) {
  switch (type) {
    case op::CREATE: out.text(viewOf(outcome.getPath())); break;
    case op::CREATE2: case op::CREATE_CONTAINER: case op::CREATE_TTL:
      out.text(viewOf(outcome.getPath()));
      writeStat(out, outcome.getStat());
      break;
    case op::SET_DATA: case op::SET_ACL: writeStat(out, outcome.getStat()); break;
    default: break;  // delete, check, removeWatches, setWatches ...: only the header
  }
}

/// All parts succeeded. As measured on 3.8.0: create2 is answered as create, with the path only;
/// container and TTL nodes are answered as create2, with a stat.
void writeParts(Writer& out, std::string_view types, capnp::List<Outcome>::Reader parts) {
  for (unsigned i = 0; i < parts.size(); i++) {
    std::int32_t type = static_cast<unsigned char>(types[i]);
    if (type == op::CREATE2) type = op::CREATE;
    if (type == op::CREATE_CONTAINER || type == op::CREATE_TTL) type = op::CREATE2;
    writeMultiHeader(out, type, false, 0);
    writeOutcome(out, type, parts[i]);
  }
}

/// One part failed: those before it say 0, it says why, those after it say "runtime inconsistency".
void writeFailedParts(Writer& out, const Pending& pending, capnp::List<Outcome>::Reader parts) {
  bool failed = false;
  for (unsigned i = 0; i < parts.size(); i++) {
    auto error = parts[i].getError();
    bool here = !failed && error != Error::OK && error != Error::ROLLED_BACK;
    if (here) {
      failed = true;
      bool ours = static_cast<std::int32_t>(i) == pending.refusedPart;
      writeErrorResult(out, ours ? pending.error : codeOf(error));
    } else {
      writeErrorResult(out, failed ? code::RUNTIME_INCONSISTENCY : code::OK);
    }
  }
}

void writeMulti(Writer& out, const Pending& pending, Outcome::Reader outcome) {
  auto parts = outcome.getParts();
  if (outcome.getError() == Error::OK) {
    writeParts(out, pending.text, parts);
  } else {
    writeFailedParts(out, pending, parts);
  }
  writeMultiHeader(out, -1, true, -1);
}

void writeMultiRead(Writer& out, std::string_view types, capnp::List<Answer>::Reader parts) {
  for (unsigned i = 0; i < parts.size(); i++) {
    std::int32_t type = static_cast<unsigned char>(types[i]);
    if (auto error = parts[i].getError(); error != Error::OK) {
      writeErrorResult(out, codeOf(error));
      continue;
    }
    writeMultiHeader(out, type, false, 0);
    if (type == op::GET_DATA) {
      writeData(out, parts[i]);
      writeStat(out, parts[i].getStat());
    } else {
      writeNames(out, parts[i]);
    }
  }
  writeMultiHeader(out, -1, true, -1);
}

void writeAnswer(Writer& out, std::int32_t type, Answer::Reader answer) {
  switch (type) {
    case op::EXISTS: break;
    case op::GET_DATA: writeData(out, answer); break;
    case op::GET_ACL: writeAcl(out, answer); break;
    case op::GET_ALL_CHILDREN_NUMBER:
      return out.int32(static_cast<std::int32_t>(answer.getCount()));
    default: writeNames(out, answer); break;  // children and ephemerals
  }
  if (type != op::GET_CHILDREN && type != op::GET_EPHEMERALS) writeStat(out, answer.getStat());
}

/// A multi that was tried has a body and header error 0 even if it failed.
bool multiWasTried(const Pending& pending, coordination::Delivery::Reply::Reader reply) {
  return pending.type == op::MULTI && reply.getOutcome().getParts().size() == pending.text.size() &&
         (reply.getOutcome().getError() == Error::OK || !pending.text.empty());
}

}  // namespace

std::int32_t codeOf(Error error) {
  switch (error) {
    case Error::OK: return code::OK;
    case Error::NO_NODE: return code::NO_NODE;
    case Error::NODE_EXISTS: return code::NODE_EXISTS;
    case Error::BAD_VERSION: return code::BAD_VERSION;
    case Error::NOT_EMPTY: return code::NOT_EMPTY;
    case Error::NO_AUTH: return code::NO_AUTH;
    case Error::INVALID_ACL: return code::INVALID_ACL;
    case Error::BAD_ARGUMENTS: return code::BAD_ARGUMENTS;
    case Error::NO_CHILDREN_FOR_EPHEMERALS: return code::NO_CHILDREN_FOR_EPHEMERALS;
    case Error::QUOTA_EXCEEDED: return code::QUOTA_EXCEEDED;
    case Error::SESSION_EXPIRED: return code::SESSION_EXPIRED;
    case Error::SESSION_MOVED: return code::SESSION_MOVED;
    case Error::AUTH_FAILED: return code::AUTH_FAILED;
    case Error::ROLLED_BACK: return code::RUNTIME_INCONSISTENCY;
    case Error::OVERLOADED: return code::THROTTLED_OP;
    case Error::NO_ROOM: return code::NOT_READ_ONLY;
    case Error::UNIMPLEMENTED: return code::UNIMPLEMENTED;
    case Error::NO_WATCHER: return code::NO_WATCHER;
    case Error::TIMED_OUT:
    case Error::NOT_SERVING: break;
  }
  return code::SYSTEM_ERROR;
}

bool closesConnection(Error error) {
  return error == Error::TIMED_OUT || error == Error::NOT_SERVING || error == Error::SESSION_MOVED;
}

Error errorOf(coordination::Delivery::Reply::Reader reply) {
  auto error = reply.getOutcome().getError();
  return error != Error::OK || !reply.hasAnswer() ? error : reply.getAnswer().getError();
}

void encodeReply(const Pending& pending, std::uint64_t zxid,
                 coordination::Delivery::Reply::Reader reply, Bytes& bytes) {
  Writer out(bytes);
  auto mark = out.beginFrame();
  bool tried = multiWasTried(pending, reply);
  auto error = tried ? code::OK : codeOf(errorOf(reply));
  writeHeader(out, pending.xid, static_cast<std::int64_t>(zxid), error);
  if (error == code::OK) {
    switch (pending.type) {
      case op::SYNC: pending.null ? out.null() : out.text(pending.text); break;
      case op::ADD_WATCH: out.int32(code::OK); break;
      case op::MULTI: writeMulti(out, pending, reply.getOutcome()); break;
      case op::MULTI_READ:
        writeMultiRead(out, pending.text, reply.getAnswer().getParts());
        break;
      case op::EXISTS: case op::GET_DATA: case op::GET_ACL: case op::GET_CHILDREN:
      case op::GET_CHILDREN2: case op::GET_ALL_CHILDREN_NUMBER: case op::GET_EPHEMERALS:
        writeAnswer(out, pending.type, reply.getAnswer());
        break;
      default: writeOutcome(out, pending.type, reply.getOutcome()); break;
    }
  }
  out.endFrame(mark);
}

void encodeLocal(const Pending& pending, std::uint64_t zxid, Bytes& bytes) {
  Writer out(bytes);
  auto mark = out.beginFrame();
  // A type that ZooKeeper does not know never gets a transaction, hence no zxid either.
  auto shown = pending.closes ? std::int64_t{-1} : static_cast<std::int64_t>(zxid);
  writeHeader(out, pending.xid, shown, pending.error);
  if (pending.error == code::OK && !pending.text.empty()) {
    memcpy(out.raw(pending.text.size()), pending.text.data(), pending.text.size());
  }
  out.endFrame(mark);
}

void encodeSasl(std::int32_t xid, Bytes& bytes) {
  Writer out(bytes);
  auto mark = out.beginFrame();
  writeHeader(out, xid, 0, code::OK);
  out.null();
  out.endFrame(mark);
}

void encodeHeader(std::int32_t xid, std::int64_t zxid, std::int32_t error, Bytes& bytes) {
  Writer out(bytes);
  auto mark = out.beginFrame();
  writeHeader(out, xid, zxid, error);
  out.endFrame(mark);
}

void encodeEvent(std::uint64_t zxid, Change::Reader change, Bytes& bytes) {
  // NodeCreated, NodeDeleted, NodeDataChanged, NodeChildrenChanged.
  constexpr std::int32_t TYPES[] = {1, 2, 3, 4};
  auto what = static_cast<unsigned>(change.getWhat());
  if (what >= 4) return;
  Writer out(bytes);
  auto mark = out.beginFrame();
  writeHeader(out, xid::NOTICE, static_cast<std::int64_t>(zxid), code::OK);
  out.int32(TYPES[what]);
  out.int32(SYNC_CONNECTED);
  out.text(viewOf(change.getPath()));
  out.endFrame(mark);
}

void encodeConnected(std::uint64_t session, std::uint32_t timeoutMs, std::string_view password,
                     bool withReadOnly, Bytes& bytes) {
  constexpr std::size_t PASSWORD_BYTES = 16;
  char shown[PASSWORD_BYTES] = {};
  if (!password.empty()) {
    memcpy(shown, password.data(), std::min(password.size(), PASSWORD_BYTES));
  }
  Writer out(bytes);
  auto mark = out.beginFrame();
  out.int32(0);
  out.int32(static_cast<std::int32_t>(timeoutMs));
  out.int64(static_cast<std::int64_t>(session));
  out.view(shown, PASSWORD_BYTES);
  if (withReadOnly) out.flag(false);
  out.endFrame(mark);
}

}  // namespace polyquorum::zookeeper
