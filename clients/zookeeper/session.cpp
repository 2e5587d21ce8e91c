// SPDX-License-Identifier: Apache-2.0
// See session.h.
#include "clients/zookeeper/session.h"
#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>
#include "clients/zookeeper/client.h"
#include "clients/zookeeper/endpoint.h"

namespace polyquorum::zookeeper_client {
namespace asio = boost::asio;

struct Session::State {
  explicit State(const SessionSettings& settings)
      : settings(settings), client(io, {splitEndpoints(settings.endpoints), settings.sessionMs}) {
    client.onNotice([this](const Notice& notice) { notices.push_back(notice); });
  }

  /// Runs the loop until condition holds; false after timeoutMs.
  template <typename Condition>
  bool until(int timeoutMs, Condition condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeoutMs);
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      io.run_one_until(end);
    }
    return true;
  }

  SessionSettings settings;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  Client client;
  std::deque<Notice> notices;
};

Session::Session(const SessionSettings& settings) {
  if (splitEndpoints(settings.endpoints).empty()) throw Unreachable("no server was named");
  state = std::make_unique<State>(settings);
  state->client.start();
  auto connected = [this] { return state->client.state() == SessionState::CONNECTED; };
  if (!state->until(settings.connectMs, connected)) {
    throw Unreachable("none of " + settings.endpoints + " let a session begin within " +
                      std::to_string(settings.connectMs) + " ms");
  }
}

Session::~Session() {
  bool closed = false;
  state->client.close([&closed] { closed = true; });
  state->until(1000, [&closed] { return closed; });
}

template <typename T, typename Decode>
Result<T> Session::call(Op op, std::string body, Decode decode) {
  // Shared: a reply that comes after the wait was given up must find its place.
  auto result = std::make_shared<std::optional<Result<T>>>();
  state->client.send(op, std::move(body), [result, decode](const Reply& reply) {
    Result<T> answer{reply.error};
    Reader reader(reply.body);
    if (reply.error == Error::OK) decode(reader, answer.value);
    if (reader.bad()) answer.error = Error::MARSHALLING_ERROR;
    *result = std::move(answer);
  });
  if (!state->until(state->settings.requestMs, [&] { return result->has_value(); })) {
    return {Error::OPERATION_TIMEOUT};
  }
  return std::move(**result);
}

template <typename T, typename Decode>
Result<T> Session::read(Op op, const std::string& path, bool watch, Decode decode) {
  if (!watch) return call<T>(op, watchBody(path, false), decode);
  auto result = std::make_shared<std::optional<Result<T>>>();
  state->client.watch(op, path, false, [result, decode](const Reply& reply) {
    Result<T> answer{reply.error};
    Reader reader(reply.body);
    if (reply.error == Error::OK) decode(reader, answer.value);
    if (reader.bad()) answer.error = Error::MARSHALLING_ERROR;
    *result = std::move(answer);
  });
  if (!state->until(state->settings.requestMs, [&] { return result->has_value(); })) {
    return {Error::OPERATION_TIMEOUT};
  }
  return std::move(**result);
}

Result<Node> Session::get(const std::string& path, bool watch) {
  return read<Node>(Op::GET_DATA, path, watch, [](Reader& reader, Node& node) {
    node.data = reader.buffer();
    node.stat = readStat(reader);
  });
}

Result<Stat> Session::exists(const std::string& path, bool watch) {
  return read<Stat>(Op::EXISTS, path, watch,
                    [](Reader& reader, Stat& stat) { stat = readStat(reader); });
}

Result<Children> Session::children(const std::string& path, bool watch) {
  return read<Children>(Op::GET_CHILDREN2, path, watch, [](Reader& reader, Children& children) {
    children.names = readTexts(reader);
    std::sort(children.names.begin(), children.names.end());
    children.stat = readStat(reader);
  });
}

Result<Created> Session::create(const std::string& path, const std::optional<std::string>& data,
                                Mode mode, const Acls& acls, std::int64_t ttlMs) {
  return call<Created>(createOp(mode), createBody(path, data, acls, mode, ttlMs),
                       [](Reader& reader, Created& created) {
                         created.path = std::string(reader.text());
                         created.stat = readStat(reader);
                       });
}

Result<Stat> Session::set(const std::string& path, const std::optional<std::string>& data,
                          std::int32_t version) {
  return call<Stat>(Op::SET_DATA, setDataBody(path, data, version),
                    [](Reader& reader, Stat& stat) { stat = readStat(reader); });
}

Error Session::remove(const std::string& path, std::int32_t version) {
  return call<bool>(Op::DELETE, deleteBody(path, version), [](Reader&, bool&) {}).error;
}

Error Session::sync(const std::string& path) {
  return call<bool>(Op::SYNC, pathBody(path), [](Reader&, bool&) {}).error;
}

Result<std::vector<PartResult>> Session::multi(const std::vector<Part>& parts) {
  bool reads = !parts.empty() && (parts[0].op == Op::GET_DATA || parts[0].op == Op::GET_CHILDREN);
  return call<std::vector<PartResult>>(
      reads ? Op::MULTI_READ : Op::MULTI, multiBody(parts),
      [](Reader& reader, std::vector<PartResult>& results) { results = readMulti(reader); });
}

Result<Access> Session::getAcl(const std::string& path) {
  return call<Access>(Op::GET_ACL, pathBody(path), [](Reader& reader, Access& access) {
    access.acls = readAcls(reader);
    access.stat = readStat(reader);
  });
}

Result<Stat> Session::setAcl(const std::string& path, const Acls& acls, std::int32_t version) {
  return call<Stat>(Op::SET_ACL, setAclBody(path, acls, version),
                    [](Reader& reader, Stat& stat) { stat = readStat(reader); });
}

Error Session::authenticate(const std::string& scheme, const std::string& credentials) {
  return call<bool>(Op::AUTH, authBody(scheme, credentials), [](Reader&, bool&) {}).error;
}

Error Session::addWatch(const std::string& path, bool recursive) {
  auto error = std::make_shared<std::optional<Error>>();
  state->client.watch(Op::ADD_WATCH, path, recursive,
                      [error](const Reply& reply) { *error = reply.error; });
  if (!state->until(state->settings.requestMs, [&] { return error->has_value(); })) {
    return Error::OPERATION_TIMEOUT;
  }
  return **error;
}

std::optional<Notice> Session::nextNotice(int timeoutMs) {
  auto ready = [this] {
    auto now = state->client.state();
    return !state->notices.empty() || now == SessionState::EXPIRED || now == SessionState::CLOSED;
  };
  state->until(timeoutMs, ready);
  if (state->notices.empty()) return std::nullopt;
  auto notice = state->notices.front();
  state->notices.pop_front();
  return notice;
}

std::int64_t Session::id() const { return state->client.sessionId(); }
bool Session::expired() const { return state->client.state() == SessionState::EXPIRED; }

}  // namespace polyquorum::zookeeper_client
