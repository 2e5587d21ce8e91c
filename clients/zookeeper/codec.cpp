// SPDX-License-Identifier: Apache-2.0
// See codec.h.
#include "clients/zookeeper/codec.h"

namespace polyquorum::zookeeper_client {
namespace {

constexpr std::size_t PASSWORD_BYTES = 16;

void writeAcls(Writer& writer, const Acls& acls) {
  writer.int32(static_cast<std::int32_t>(acls.size()));
  for (auto& acl : acls) {
    writer.int32(acl.permissions);
    writer.text(acl.scheme);
    writer.text(acl.id);
  }
}

void writeTexts(Writer& writer, const std::vector<std::string>& texts) {
  writer.int32(static_cast<std::int32_t>(texts.size()));
  for (auto& text : texts) writer.text(text);
}

bool hasTtl(Mode mode) { return mode == Mode::TTL || mode == Mode::TTL_SEQUENTIAL; }

void writeMultiHeader(Writer& writer, std::int32_t type, bool done) {
  writer.int32(type);
  writer.boolean(done);
  writer.int32(-1);
}

}  // namespace

const char* text(Change change) {
  switch (change) {
    case Change::NONE:
      return "none";
    case Change::CREATED:
      return "created";
    case Change::DELETED:
      return "deleted";
    case Change::DATA_CHANGED:
      return "changed";
    case Change::CHILDREN_CHANGED:
      return "children";
    case Change::WATCH_REMOVED:
      return "unwatched";
  }
  return "unknown";
}

void encodeConnect(std::string& out, std::int64_t lastZxid, std::int32_t timeoutMs,
                   std::int64_t sessionId, std::string_view password) {
  Writer writer(out);
  auto place = writer.beginFrame();
  writer.int32(0);  // protocol version
  writer.int64(lastZxid);
  writer.int32(timeoutMs);
  writer.int64(sessionId);
  writer.text(password.empty() ? std::string(PASSWORD_BYTES, '\0') : std::string(password));
  writer.boolean(false);  // a read-only server will not do
  writer.endFrame(place);
}

void encodeRequest(std::string& out, std::int32_t xid, Op op, std::string_view body) {
  Writer writer(out);
  auto place = writer.beginFrame();
  writer.int32(xid);
  writer.int32(static_cast<std::int32_t>(op));
  out.append(body);
  writer.endFrame(place);
}

std::string pathBody(std::string_view path) {
  std::string body;
  Writer(body).text(path);
  return body;
}

std::string watchBody(std::string_view path, bool watch) {
  std::string body;
  Writer writer(body);
  writer.text(path);
  writer.boolean(watch);
  return body;
}

std::string createBody(std::string_view path, const std::optional<std::string>& data,
                       const Acls& acls, Mode mode, std::int64_t ttlMs) {
  std::string body;
  Writer writer(body);
  writer.text(path);
  writer.buffer(data);
  writeAcls(writer, acls);
  writer.int32(static_cast<std::int32_t>(mode));
  if (hasTtl(mode)) writer.int64(ttlMs);
  return body;
}

std::string deleteBody(std::string_view path, std::int32_t version) {
  std::string body;
  Writer writer(body);
  writer.text(path);
  writer.int32(version);
  return body;
}

std::string setDataBody(std::string_view path, const std::optional<std::string>& data,
                        std::int32_t version) {
  std::string body;
  Writer writer(body);
  writer.text(path);
  writer.buffer(data);
  writer.int32(version);
  return body;
}

std::string setAclBody(std::string_view path, const Acls& acls, std::int32_t version) {
  std::string body;
  Writer writer(body);
  writer.text(path);
  writeAcls(writer, acls);
  writer.int32(version);
  return body;
}

std::string multiBody(const std::vector<Part>& parts) {
  std::string body;
  Writer writer(body);
  for (auto& part : parts) {
    auto op = part.op == Op::CREATE2 ? createOp(part.mode) : part.op;
    writeMultiHeader(writer, static_cast<std::int32_t>(op), false);
    switch (part.op) {
      case Op::CREATE:
      case Op::CREATE2:
        body += createBody(part.path, part.data, part.acls, part.mode);
        break;
      case Op::SET_DATA:
        body += setDataBody(part.path, part.data, part.version);
        break;
      case Op::GET_DATA:
      case Op::GET_CHILDREN:
        body += watchBody(part.path, false);
        break;
      default:  // delete and check look alike
        body += deleteBody(part.path, part.version);
    }
  }
  writeMultiHeader(writer, -1, true);
  return body;
}

std::string addWatchBody(std::string_view path, bool recursive) {
  std::string body;
  Writer writer(body);
  writer.text(path);
  writer.int32(recursive ? 1 : 0);
  return body;
}

std::string authBody(std::string_view scheme, std::string_view credentials) {
  std::string body;
  Writer writer(body);
  writer.int32(0);
  writer.text(scheme);
  writer.text(credentials);
  return body;
}

std::string setWatchesBody(std::int64_t lastZxid, const WatchList& watches) {
  std::string body;
  Writer writer(body);
  writer.int64(lastZxid);
  writeTexts(writer, watches.data);
  writeTexts(writer, watches.exist);
  writeTexts(writer, watches.child);
  if (!watches.persistent.empty() || !watches.recursive.empty()) {
    writeTexts(writer, watches.persistent);
    writeTexts(writer, watches.recursive);
  }
  return body;
}

Op createOp(Mode mode) {
  if (mode == Mode::CONTAINER) return Op::CREATE_CONTAINER;
  return hasTtl(mode) ? Op::CREATE_TTL : Op::CREATE2;
}

ReplyHeader readHeader(Reader& reader) {
  ReplyHeader header;
  header.xid = reader.int32();
  header.zxid = reader.int64();
  header.error = static_cast<Error>(reader.int32());
  return header;
}

Connected readConnected(Reader& reader) {
  Connected connected;
  reader.int32();  // protocol version
  connected.timeoutMs = reader.int32();
  connected.sessionId = reader.int64();
  connected.password = std::string(reader.text());
  return connected;
}

Stat readStat(Reader& reader) {
  Stat stat;
  stat.czxid = reader.int64();
  stat.mzxid = reader.int64();
  stat.ctimeMs = reader.int64();
  stat.mtimeMs = reader.int64();
  stat.version = reader.int32();
  stat.cversion = reader.int32();
  stat.aversion = reader.int32();
  stat.ephemeralOwner = reader.int64();
  stat.dataLength = reader.int32();
  stat.numChildren = reader.int32();
  stat.pzxid = reader.int64();
  return stat;
}

Acls readAcls(Reader& reader) {
  Acls acls;
  auto count = reader.count(12);
  for (std::size_t i = 0; i < count && !reader.bad(); i++) {
    Acl acl;
    acl.permissions = reader.int32();
    acl.scheme = std::string(reader.text());
    acl.id = std::string(reader.text());
    acls.push_back(std::move(acl));
  }
  return acls;
}

std::vector<std::string> readTexts(Reader& reader) {
  std::vector<std::string> texts;
  auto count = reader.count(4);
  texts.reserve(count);
  for (std::size_t i = 0; i < count && !reader.bad(); i++) texts.emplace_back(reader.text());
  return texts;
}

Notice readNotice(Reader& reader) {
  Notice notice;
  notice.change = static_cast<Change>(reader.int32());
  reader.int32();  // state of the session, which we know better
  notice.path = std::string(reader.text());
  return notice;
}

std::vector<PartResult> readMulti(Reader& reader) {
  std::vector<PartResult> results;
  while (!reader.bad()) {
    auto type = reader.int32();
    bool done = reader.boolean();
    auto error = reader.int32();
    if (done || reader.bad()) break;
    PartResult result;
    result.op = static_cast<Op>(type);
    result.error = static_cast<Error>(error);
    switch (type) {
      case -1:
        result.error = static_cast<Error>(reader.int32());
        break;
      case static_cast<int>(Op::CREATE):
        result.path = std::string(reader.text());
        break;
      case static_cast<int>(Op::CREATE2):
      case static_cast<int>(Op::CREATE_CONTAINER):
      case static_cast<int>(Op::CREATE_TTL):
        result.path = std::string(reader.text());
        result.stat = readStat(reader);
        break;
      case static_cast<int>(Op::SET_DATA):
        result.stat = readStat(reader);
        break;
      case static_cast<int>(Op::GET_DATA):
        result.data = reader.buffer();
        result.stat = readStat(reader);
        break;
      case static_cast<int>(Op::GET_CHILDREN):
        result.children = readTexts(reader);
        break;
      default:
        break;
    }
    if (!reader.bad()) results.push_back(std::move(result));
  }
  return results;
}

}  // namespace polyquorum::zookeeper_client
