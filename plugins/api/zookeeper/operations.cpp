// SPDX-License-Identifier: Apache-2.0
// The bodies of create, delete, setData, setACL and check; ZooKeeper's rules for create's flags.
#include "plugins/api/zookeeper/operations.h"
#include "plugins/api/zookeeper/protocol.h"

namespace polyquorum::zookeeper {
namespace {

/// 2^40 - 1, as EphemeralType.TTL with one byte for the server's id.
constexpr std::int64_t TTL_MAX_MS = (std::int64_t{1} << 40) - 1;
constexpr std::uint8_t ALL_BITS = 31;

/// Positions out at the ACL's entries and steps over them.
void readAcl(Reader& body, Write& out) {
  out.aclCount = body.count(12);
  out.acl = body;
  out.aclWords = 1 + out.aclCount * structWords<Permission>();
  for (std::size_t i = 0; i < out.aclCount && body.good(); i++) {
    body.int32();
    auto scheme = body.view(), id = body.view();
    out.aclWords += structWords<Identity>() + textWords(scheme.bytes.size()) +
                    textWords(id.bytes.size());
  }
}

void buildAcl(Reader acl, std::size_t count, capnp::List<Permission>::Builder out) {
  for (unsigned i = 0; i < count; i++) {
    auto permission = out[i];
    permission.setBits(static_cast<std::uint8_t>(acl.int32()) & ALL_BITS);
    auto scheme = acl.view().bytes, id = acl.view().bytes;
    auto who = permission.initWho();
    setText(who.initScheme(static_cast<unsigned>(scheme.size())), scheme);
    setText(who.initId(static_cast<unsigned>(id.size())), id);
  }
}

/// CreateMode.fromFlag and PrepRequestProcessor.validateCreateRequest. An enum, not a set of bits.
void readMode(std::int32_t flags, const Rules& rules, Write& out) {
  if (flags < 0 || flags > 6) {
    out.refused = code::BAD_ARGUMENTS;
    return;
  }
  out.sequential = flags == 2 || flags == 3 || flags == 6;
  if (flags == 1 || flags == 3) out.mode = Create::Mode::EPHEMERAL;
  if (flags == 4) out.mode = Create::Mode::CONTAINER;
  if (flags >= 5) {
    out.mode = Create::Mode::TTL;
    if (!rules.extendedTypes) {
      out.refused = code::UNIMPLEMENTED;
    } else if (out.ttlMs <= 0 || out.ttlMs > TTL_MAX_MS) {
      out.refused = code::BAD_ARGUMENTS;
    }
  } else if (out.ttlMs >= 0) {
    out.refused = code::BAD_ARGUMENTS;  // a TTL for a mode that has none
  }
}

/// PrepRequestProcessor.pRequest2TxnCreate: outside a multi the opcode, not the flag, makes a container.
void applyOpcode(Write& out) {
  if (out.mode == Create::Mode::TTL) return;
  if (out.type == op::CREATE_CONTAINER) {
    out.mode = Create::Mode::CONTAINER;
  } else if (out.mode == Create::Mode::CONTAINER) {
    out.mode = Create::Mode::PERSISTENT;
  }
}

}  // namespace

bool isWrite(std::int32_t type) {
  switch (type) {
    case op::CREATE: case op::CREATE2: case op::CREATE_CONTAINER: case op::CREATE_TTL:
    case op::DELETE: case op::SET_DATA: case op::SET_ACL: case op::CHECK:
      return true;
    default:
      return false;
  }
}

bool Write::creates() const {
  return type == op::CREATE || type == op::CREATE2 || type == op::CREATE_CONTAINER ||
         type == op::CREATE_TTL;
}

bool readWrite(std::int32_t type, Reader& body, const Rules& rules, Write& out, bool inMulti) {
  out = {};
  out.type = type;
  auto path = body.view();
  out.path = path.bytes;
  switch (type) {
    case op::CREATE: case op::CREATE2: case op::CREATE_CONTAINER: case op::CREATE_TTL: {
      out.data = body.view();
      readAcl(body, out);
      auto flags = body.int32();
      out.ttlMs = type == op::CREATE_TTL ? body.int64() : -1;
      // Op.create looks at the time to live only if the flags ask for one.
      if (inMulti && flags < 5) out.ttlMs = -1;
      if (body.good()) readMode(flags, rules, out);
      if (!inMulti) applyOpcode(out);
      break;
    }
    case op::SET_DATA:
      out.data = body.view();
      out.version = body.int32();
      break;
    case op::SET_ACL:
      readAcl(body, out);
      out.version = body.int32();
      break;
    case op::DELETE: case op::CHECK:
      out.version = body.int32();
      break;
    default:
      return false;
  }
  return body.good() && !path.null;
}

std::size_t Write::words() const {
  std::size_t words = textWords(path.size());
  if (creates()) {
    return words + structWords<Create>() + dataWords(data.bytes.size()) + aclWords;
  }
  words += structWords<Guard>();
  if (type == op::SET_DATA) words += structWords<SetData>() + dataWords(data.bytes.size());
  if (type == op::SET_ACL) words += structWords<SetAcl>() + aclWords;
  return words;
}

void Write::build(Operation::Builder out) const {
  auto guard = [&](Guard::Builder guard) {
    setText(guard.initPath(static_cast<unsigned>(path.size())), path);
    guard.setVersion(version);
  };
  auto dataSize = static_cast<unsigned>(data.bytes.size());
  switch (type) {
    case op::DELETE: guard(out.initDelete()); return;
    case op::CHECK: guard(out.initCheck()); return;
    case op::SET_DATA: {
      auto set = out.initSetData();
      guard(set.initGuard());
      set.setHasData(!data.null);
      if (!data.null) setData(set.initData(dataSize), data.bytes);
      return;
    }
    case op::SET_ACL: {
      auto set = out.initSetAcl();
      guard(set.initGuard());
      buildAcl(acl, aclCount, set.initAcl(static_cast<unsigned>(aclCount)));
      return;
    }
    default: break;
  }
  auto create = out.initCreate();
  setText(create.initPath(static_cast<unsigned>(path.size())), path);
  create.setHasData(!data.null);
  if (!data.null) setData(create.initData(dataSize), data.bytes);
  buildAcl(acl, aclCount, create.initAcl(static_cast<unsigned>(aclCount)));
  create.setMode(mode);
  create.setSequential(sequential);
  if (mode == Create::Mode::TTL) create.setTtlMs(static_cast<std::uint64_t>(ttlMs));
}

}  // namespace polyquorum::zookeeper
