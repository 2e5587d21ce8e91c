// SPDX-License-Identifier: Apache-2.0
// See handshake.h.
#include "handshake.h"
#include <kj/debug.h>

namespace polyquorum::tcp {
namespace {

sdk::Async<void> sendAll(Socket& socket, kj::Array<kj::byte> bytes) {
  kj::ArrayPtr<const kj::byte> rest = bytes;
  while (rest.size() > 0) {
    std::vector<kj::ArrayPtr<const kj::byte>> pieces;
    pieces.push_back(rest);
    auto size = socket.write(pieces);
    rest = rest.slice(size, rest.size());
    if (rest.size() > 0) co_await socket.writable();
  }
}

struct Received {
  Kind kind;
  kj::Array<kj::byte> payload;
};

sdk::Async<Received> receive(Socket& socket, FrameReader& reader) {
  for (;;) {
    KJ_IF_MAYBE (frame, reader.next()) {
      co_return Received{frame->header.kind, kj::heapArray(frame->payload)};
    }
    co_await socket.readable();
    auto space = reader.space();
    reader.filled(socket.read(space));
  }
}

kj::String quoted(const std::string& cluster) {
  auto bytes = kj::StringPtr(cluster.c_str(), cluster.size()).asBytes();
  return kj::str("\"", safeText(bytes), "\"");
}

}  // namespace

kj::String mismatch(const Greeting& greeting, const Greeting& mine) {
  if (greeting.version != PROTOCOL_VERSION) {
    return kj::str("it speaks version ", greeting.version, " of the peer protocol, not ",
                   PROTOCOL_VERSION, "; run the same release on both");
  }
  if (greeting.cluster != mine.cluster) {
    return kj::str("it belongs to cluster ", quoted(greeting.cluster), ", not ",
                   quoted(mine.cluster), "; check the peer addresses in the YAML");
  }
  if (greeting.from == mine.from) {
    return kj::str("it has the same id ", mine.from,
                   " as this server; give each server its own id");
  }
  if (greeting.to != mine.from) {
    return kj::str("it was looking for member ", greeting.to, ", and this is member ", mine.from,
                   "; check the peer addresses in the YAML");
  }
  if (mine.to != 0 && greeting.from != mine.to) {
    return kj::str("it is member ", greeting.from, ", and member ", mine.to,
                   " was expected at this address; check the peer addresses in the YAML");
  }
  if (greeting.lanes != mine.lanes) {
    return kj::str("it has other lanes; run the same release on both");
  }
  if (greeting.frameMax < HANDSHAKE_BYTES_MAX) return kj::str("it accepts no frames of use");
  return kj::String();
}

sdk::Async<Greeting> greet(Socket& socket, FrameReader& reader, Greeting mine) {
  co_await sendAll(socket, encodeGreeting(Kind::HELLO, mine));
  auto answer = co_await receive(socket, reader);
  if (answer.kind == Kind::REFUSE) {
    kj::throwFatalException(
        KJ_EXCEPTION(FAILED, kj::str("refused by the peer: ", safeText(answer.payload))));
  }
  demand(answer.kind == Kind::WELCOME, "expected a welcome from the peer");
  auto greeting = decodeGreeting(answer.payload);
  auto problem = mismatch(greeting, mine);
  if (problem.size() > 0) kj::throwFatalException(KJ_EXCEPTION(FAILED, kj::str(problem)));
  co_return greeting;
}

sdk::Async<void> confirm(Socket& socket) {
  return sendAll(socket, encodeFrame(Kind::CONFIRM, 0, nullptr));
}

sdk::Async<Greeting> welcome(Socket& socket, FrameReader& reader, Greeting mine, Judge& judge) {
  auto hello = co_await receive(socket, reader);
  demand(hello.kind == Kind::HELLO, "expected a greeting from the peer");
  auto greeting = decodeGreeting(hello.payload);
  auto problem = mismatch(greeting, mine);
  if (problem.size() == 0) problem = judge(greeting);
  if (problem.size() > 0) {
    co_await sendAll(socket, encodeFrame(Kind::REFUSE, 0, problem.asBytes()));
    kj::throwFatalException(KJ_EXCEPTION(FAILED, kj::str(problem)));
  }
  mine.to = greeting.from;
  co_await sendAll(socket, encodeGreeting(Kind::WELCOME, mine));
  co_return greeting;
}

sdk::Async<void> awaitConfirm(Socket& socket, FrameReader& reader) {
  auto frame = co_await receive(socket, reader);
  demand(frame.kind == Kind::CONFIRM, "expected a confirmation from the peer");
}

}  // namespace polyquorum::tcp
