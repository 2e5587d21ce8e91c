// SPDX-License-Identifier: Apache-2.0
// For this room's tests only: a state with a log, and short words for the operations of a client.
#pragma once
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include "state/state.h"

namespace polyquorum::state::trial {

using Fill = std::function<void(polyquorum::Operation::Builder)>;

inline capnp::Data::Reader blob(std::string_view text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}

inline void setIdentities(capnp::List<polyquorum::Identity>::Builder out,
                          const std::vector<Identity>& identities) {
  for (std::size_t i = 0; i < identities.size(); i++) {
    out[i].setScheme(identities[i].scheme);
    out[i].setId(identities[i].id);
  }
}

inline void setAcl(capnp::List<polyquorum::Permission>::Builder out,
                   const std::vector<Permission>& acl) {
  for (std::size_t i = 0; i < acl.size(); i++) {
    out[i].setBits(acl[i].bits);
    out[i].initWho().setScheme(acl[i].who.scheme);
    out[i].getWho().setId(acl[i].who.id);
  }
}

inline const std::vector<Permission> OPEN = {{31, {"world", "anyone"}}};

/// What a create may say besides its path.
struct Born {
  polyquorum::Create::Mode mode = polyquorum::Create::Mode::PERSISTENT;
  bool sequential = false;
  std::uint64_t ttlMs = 0;
  const char* data = "";  ///< null: null
  std::vector<Permission> acl = OPEN;
};
inline const Born SEQUENTIAL{polyquorum::Create::Mode::PERSISTENT, true};
inline const Born EPHEMERAL{polyquorum::Create::Mode::EPHEMERAL};
inline const Born CONTAINER{polyquorum::Create::Mode::CONTAINER};

inline Fill create(std::string path, Born born = {}) {
  return [=](polyquorum::Operation::Builder operation) {
    auto create = operation.initCreate();
    create.setPath(path);
    create.setHasData(born.data != nullptr);
    if (born.data != nullptr) create.setData(blob(born.data));
    create.setMode(born.mode);
    create.setSequential(born.sequential);
    create.setTtlMs(born.ttlMs);
    setAcl(create.initAcl(born.acl.size()), born.acl);
  };
}
inline void setGuard(polyquorum::Guard::Builder guard, const std::string& path,
                     std::int32_t version, std::uint64_t czxid = 0) {
  guard.setPath(path);
  guard.setVersion(version);
  guard.setCzxid(czxid);
}
inline Fill erase(std::string path, std::int32_t version = -1, std::uint64_t czxid = 0) {
  return [=](auto operation) { setGuard(operation.initDelete(), path, version, czxid); };
}
inline Fill check(std::string path, std::int32_t version = -1, std::uint64_t czxid = 0) {
  return [=](auto operation) { setGuard(operation.initCheck(), path, version, czxid); };
}
inline Fill setData(std::string path, std::string bytes, std::int32_t version = -1) {
  return [=](auto operation) {
    auto set = operation.initSetData();
    setGuard(set.initGuard(), path, version);
    set.setHasData(true);
    set.setData(blob(bytes));
  };
}
inline Fill setNull(std::string path) {
  return [=](auto operation) { setGuard(operation.initSetData().initGuard(), path, -1); };
}
inline Fill setAclOf(std::string path, std::vector<Permission> acl, std::int32_t version = -1) {
  return [=](auto operation) {
    auto set = operation.initSetAcl();
    setGuard(set.initGuard(), path, version);
    setAcl(set.initAcl(acl.size()), acl);
  };
}
inline Fill multi(std::vector<Fill> parts) {
  return [=](auto operation) {
    auto list = operation.initMulti(parts.size());
    for (unsigned i = 0; i < parts.size(); i++) parts[i](list[i]);
  };
}
inline Fill detach() {
  return [](auto operation) { operation.setDetach(); };
}
inline Fill expire(std::vector<std::uint64_t> incarnations) {
  return [=](auto operation) {
    auto list = operation.initExpire(incarnations.size());
    for (unsigned i = 0; i < incarnations.size(); i++) list.set(i, incarnations[i]);
  };
}
inline Fill reap(std::vector<std::string> paths) {
  return [=](auto operation) {
    auto list = operation.initReap(paths.size());
    for (unsigned i = 0; i < paths.size(); i++) list.set(i, paths[i]);
  };
}
struct Attaching {
  std::uint64_t session = 0, nonce = 0;
  std::string password;
  std::uint8_t home = 1;
  std::uint32_t timeoutMs = 4000;
};
inline Fill attach(Attaching asked = {}) {
  return [=](auto operation) {
    auto attach = operation.initAttach();
    attach.setSession(asked.session);
    attach.setNonce(asked.nonce);
    attach.setPassword(blob(asked.password));
    attach.setHome(asked.home);
    attach.setTimeoutMs(asked.timeoutMs);
  };
}

/// Who a command is from; session 0: nobody.
struct From {
  std::uint64_t session = 0, incarnation = 0, sequence = 0, unanswered = 0;
};

/// A state, the entries it was given, and who asks.
class Trial {
public:
  std::unique_ptr<State> state = State::create();
  std::vector<Identity> identities = {{"ip", "127.0.0.1"}};
  bool enforceQuota = false;
  std::int64_t timeMs = 1000;  ///< of the next entry
  std::vector<kj::Array<capnp::word>> log;

  const Applied& raw(From from, std::string_view operation) {
    capnp::MallocMessageBuilder message;
    auto body = message.initRoot<polyquorum::Body>();
    body.setSession(from.session);
    body.setIncarnation(from.incarnation);
    body.setSequence(from.sequence);
    body.setUnanswered(from.unanswered);
    body.setTimeMs(timeMs);
    body.setOperation(blob(operation));
    log.push_back(capnp::messageToFlatArray(message));
    return replay(*state, log.size() - 1);
  }

  const Applied& replay(State& other, std::size_t entry) const {
    capnp::FlatArrayMessageReader reader(log[entry]);
    return other.apply(entry + 1, reader.getRoot<polyquorum::Body>());
  }

  const Applied& operator()(From from, const Fill& fill) {
    capnp::MallocMessageBuilder message;
    auto operation = message.initRoot<polyquorum::Operation>();
    fill(operation);
    setIdentities(operation.initIdentities(identities.size()), identities);
    operation.setEnforceQuota(enforceQuota);
    auto words = capnp::messageToFlatArray(message);
    auto bytes = words.asBytes();
    return raw(from, {reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
  }
  const Applied& operator()(const Fill& fill) { return (*this)(From(), fill); }
  Error error(const Fill& fill) { return (*this)(fill).outcome.error; }

  /// An answer lives as long as its message.
  struct Asked {
    std::unique_ptr<capnp::MallocMessageBuilder> message;
    polyquorum::Answer::Reader get() const {
      return message->getRoot<polyquorum::Answer>().asReader();
    }
  };
  Asked ask(const std::string& path,
            const std::function<void(polyquorum::Query::Builder)>& kind) const {
    capnp::MallocMessageBuilder question;
    auto query = question.initRoot<polyquorum::Query>();
    query.setPath(path);
    kind(query);
    setIdentities(query.initIdentities(identities.size()), identities);
    Asked asked{std::make_unique<capnp::MallocMessageBuilder>()};
    state->answer(query.asReader(), asked.message->initRoot<polyquorum::Answer>());
    return asked;
  }
  Asked get(const std::string& path) const {
    return ask(path, [](auto query) { query.setGet(); });
  }
  polyquorum::Stat::Reader stat(const std::string& path) {
    last = ask(path, [](auto query) { query.setExists(); });
    return last.get().getStat();
  }
  std::string text(const std::string& path) const {
    auto asked = get(path);
    auto bytes = asked.get().getData();
    return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
  }
  std::vector<std::string> children(const std::string& path) const {
    auto asked = ask(path, [](auto query) { query.initChildren(); });
    std::vector<std::string> names;
    for (auto name : asked.get().getNames()) names.emplace_back(name.cStr());
    return names;
  }

private:
  Asked last;
};

/// A client's session: numbers its commands as a desk does.
class Client {
public:
  explicit Client(Trial& trial, Attaching asked = {}) : trial(&trial), home(asked.home) {
    attached = *trial(attach(asked)).outcome.attached;
  }
  const Applied& operator()(const Fill& fill) {
    ++sequence;
    return (*trial)({attached.session, attached.incarnation, sequence, sequence}, fill);
  }
  void resume() {
    Attaching asked;
    asked.session = attached.session;
    asked.password = attached.password;
    asked.home = home;
    attached = *(*trial)(attach(asked)).outcome.attached;
    sequence = 0;
  }
  Trial* trial;
  Attached attached;
  std::uint64_t sequence = 0;
  std::uint8_t home;
};

inline std::string image(State& state, std::size_t slice = 1 << 20) {
  std::string bytes;
  auto capture = state.capture();
  while (capture->next(slice, bytes)) {
  }
  return bytes;
}

inline std::unique_ptr<State> load(const std::string& image, std::size_t slice = 1 << 20) {
  auto loader = State::load();
  for (std::size_t at = 0; at < image.size(); at += slice) {
    auto size = std::min(slice, image.size() - at);
    loader->feed({reinterpret_cast<const std::uint8_t*>(image.data()) + at, size});
  }
  return loader->finish();
}

}  // namespace polyquorum::state::trial
