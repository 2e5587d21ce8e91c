// SPDX-License-Identifier: Apache-2.0
// Two passes over the frame: one that checks, counts and measures, one that builds.
#include "plugins/api/zookeeper/multi.h"
#include "plugins/api/zookeeper/operations.h"
#include "plugins/api/zookeeper/protocol.h"

namespace polyquorum::zookeeper {
namespace {

/// MultiHeader {type, done, err}. False at the end or if malformed (then body is not good).
bool nextPart(Reader& body, std::int32_t& type) {
  type = body.int32();
  bool done = body.flag();
  body.int32();
  return body.good() && !done;
}

/// What a part that this server refuses is sent as: a change that the tree refuses at this place,
/// so that parts before it may fail first and the index moves as in ZooKeeper.
void buildRefused(Operation::Builder out) { out.initDelete().setPath("?"); }
constexpr std::size_t REFUSED_WORDS = structWords<Guard>() + textWords(1);

/// Op.getOpcode: the flags decide what a create of a multi is answered as, not the opcode.
std::int32_t answeredAs(const Write& write) {
  if (!write.creates()) return write.type;
  if (write.mode == Create::Mode::TTL) return op::CREATE_TTL;
  return write.mode == Create::Mode::CONTAINER ? op::CREATE_CONTAINER : op::CREATE;
}

bool allowedInMulti(std::int32_t type) { return isWrite(type) && type != op::SET_ACL; }

void refuse(Pending& pending, std::int32_t error) {
  pending.local = true;
  pending.error = error;
}

}  // namespace

void decodeMulti(Reader body, const Asker& asker, coordination::Request::Builder out,
                 Pending& pending) {
  Reader first = body;
  std::size_t words = 1;  // the list's tag
  std::int32_t type;
  Write write;
  pending.text.clear();
  while (nextPart(body, type)) {
    if (!allowedInMulti(type) || !readWrite(type, body, *asker.rules, write, true)) {
      return refuse(pending, code::MARSHALLING_ERROR);
    }
    if (write.refused != 0 && pending.refusedPart < 0) {
      pending.refusedPart = static_cast<std::int32_t>(pending.text.size());
      pending.error = write.refused;
    }
    words += structWords<Operation>() + (write.refused != 0 ? REFUSED_WORDS : write.words());
    pending.text.push_back(static_cast<char>(answeredAs(write)));
  }
  if (!body.good()) return refuse(pending, code::MARSHALLING_ERROR);

  auto count = static_cast<unsigned>(pending.text.size());
  buildOperation(out, words, asker.identities, *asker.rules, [&](Operation::Builder operation) {
    auto parts = operation.initMulti(count);
    for (unsigned i = 0; i < count; i++) {
      nextPart(first, type);
      readWrite(type, first, *asker.rules, write, true);
      if (write.refused != 0) {
        buildRefused(parts[i]);
      } else {
        write.build(parts[i]);
      }
    }
  });
}

void decodeMultiRead(Reader body, const Asker& asker, coordination::Request::Builder out,
                     Pending& pending) {
  Reader first = body;
  std::int32_t type;
  pending.text.clear();
  while (nextPart(body, type)) {
    auto path = body.view();
    body.flag();  // watch: ignored in multiRead, as in ZooKeeper
    if (path.null || (type != op::GET_DATA && type != op::GET_CHILDREN)) {
      return refuse(pending, code::MARSHALLING_ERROR);
    }
    pending.text.push_back(static_cast<char>(type));
  }
  if (!body.good()) return refuse(pending, code::MARSHALLING_ERROR);

  auto count = static_cast<unsigned>(pending.text.size());
  auto at = out.initQuery();
  at.setLevel(coordination::Level::SESSION);
  auto query = at.initQuery();
  auto identityCount = static_cast<unsigned>(asker.identities.count());
  asker.identities.write(query.initIdentities(identityCount));
  auto parts = query.initMulti(count);
  for (unsigned i = 0; i < count; i++) {
    nextPart(first, type);
    auto path = first.view().bytes;
    first.flag();
    setText(parts[i].initPath(static_cast<unsigned>(path.size())), path);
    if (type == op::GET_DATA) {
      parts[i].setGet();
    } else {
      parts[i].setNames();
    }
  }
}

}  // namespace polyquorum::zookeeper
