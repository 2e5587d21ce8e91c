// SPDX-License-Identifier: Apache-2.0
// A story in detail; see recorder.h.
#include "simulator/recorder.h"
#include <capnp/serialize.h>
#include <cstring>
#include "kernel/desk_lane.capnp.h"
#include "kernel/post_office.h"

namespace polyquorum::simulator {
namespace {

using polyquorum::Operation;

constexpr unsigned TOKEN_BITS = 40;  // below them: the client's number plus one

const char* const LANE_NAMES[kernel::LANES] = {"election", "consensus", "desk", "chain"};
const char* const PHASES[] = {"idle", "claiming", "recovering", "following", "leading"};

/// Bytes as a message; whatever they are, reading them ends.
template <typename Root, typename Use>
void readFlat(kj::ArrayPtr<const kj::byte> bytes, Use&& use) {
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  memcpy(words.begin(), bytes.begin(), words.asBytes().size());
  capnp::FlatArrayMessageReader message(words);
  use(message.getRoot<Root>());
}

std::string withVersion(const char* path, std::int32_t version) {
  return std::string(path) + (version < 0 ? "" : " at version " + std::to_string(version));
}

std::string describe(Operation::Reader operation) {
  switch (operation.which()) {
    case Operation::CREATE: {
      auto create = operation.getCreate();
      return std::string("create ") + create.getPath().cStr() +
             (create.getMode() == polyquorum::Create::Mode::EPHEMERAL ? " ephemeral" : "") +
             (create.getSequential() ? " sequential" : "");
    }
    case Operation::DELETE:
      return "delete " + withVersion(operation.getDelete().getPath().cStr(),
                                     operation.getDelete().getVersion());
    case Operation::SET_DATA: {
      auto guard = operation.getSetData().getGuard();
      return "set " + withVersion(guard.getPath().cStr(), guard.getVersion());
    }
    case Operation::CHECK:
      return "check " + withVersion(operation.getCheck().getPath().cStr(),
                                    operation.getCheck().getVersion());
    case Operation::MULTI: {
      std::string out = "multi";
      for (auto part : operation.getMulti()) out += (out == "multi" ? " " : ", ") + describe(part);
      return out;
    }
    case Operation::ATTACH:
      return operation.getAttach().getSession() == 0 ? "attach" : "attach again";
    case Operation::DETACH:
      return "detach";
    case Operation::EXPIRE:
      return "expire " + std::to_string(operation.getExpire().size()) + " sessions";
    default:
      return "operation";
  }
}

std::string describe(coordination::QueryAt::Reader at) {
  auto query = at.getQuery();
  std::string out = query.isGet() ? "get " : query.isExists() ? "exists " : "children ";
  out += query.getPath().cStr();
  if (at.getLevel() == coordination::Level::LINEARIZABLE) out += " linearizable";
  if (at.getLevel() == coordination::Level::LOCAL) out += " local";
  return out + (at.getWatch() ? " with a watch" : "");
}

std::string describe(coordination::Request::Reader request) {
  std::string out;
  switch (request.which()) {
    case coordination::Request::OPERATION:
      readFlat<Operation>(request.getOperation(),
                          [&](Operation::Reader operation) { out = describe(operation); });
      return out;
    case coordination::Request::QUERY:
      return describe(request.getQuery());
    case coordination::Request::SYNC:
      return "sync";
    default:
      return "leave";
  }
}

/// The first word is for programs.
void tellOf(Event& event, const std::string& told) {
  auto space = told.find(' ');
  event.what = told.substr(0, space);
  if (space != std::string::npos) event.text = told.substr(space + 1);
}

std::string nameOf(polyquorum::Error error) { return kj::str(error).cStr(); }

}  // namespace

/// Looks at one life of a server on the way to the checkers' eye.
class Recorder::Eye final : public kernel::Witness {
 public:
  Eye(Recorder& recorder, core::MemberId server, std::unique_ptr<kernel::Witness> inner)
      : recorder(recorder), server(server), inner(std::move(inner)) {}
  void applied(core::Index index, kj::Maybe<Body::Reader> body, const state::Applied& applied,
               const state::State& state) override {
    recorder.apply(server, index, body);
    inner->applied(index, body, applied, state);
  }
  void installed(const state::State& state) override {
    recorder.applied[server] = state.index();
    Event event;
    event.kind = Event::IMAGE;
    event.server = server;
    event.numbers = {{"index", state.index()}};
    recorder.story.tell(std::move(event));
    inner->installed(state);
  }
  void standing(std::uint32_t segment, const core::Standing& standing) override {
    recorder.stand(server, segment, standing);
    inner->standing(segment, standing);
  }
  void booted(storage::Storage::OpenResults::Reader found) override { inner->booted(found); }
  void queued(std::uint64_t number, const kernel::PendingWrite& write) override {
    inner->queued(number, write);
  }
  void durable(std::uint64_t number) override { inner->durable(number); }

 private:
  Recorder& recorder;
  const core::MemberId server;
  std::unique_ptr<kernel::Witness> inner;
};

Recorder::Recorder(Story& story, const kernel::Wiring& wiring) : story(story) {
  names(kernel::LANE_ELECTION, wiring.election.get());
  names(kernel::LANE_CONSENSUS, wiring.consensus.get());
}

void Recorder::names(unsigned lane, const kernel::LoadedPlugin* plugin) {
  if (plugin == nullptr) return;
  for (auto letter : plugin->description().getLetters()) {
    auto& name = letters[{lane, letter.getKind()}];
    name.name = letter.getName().cStr();
    for (auto number : letter.getNumbers()) name.numbers.push_back(number.cStr());
  }
}

std::unique_ptr<kernel::Witness> Recorder::witness(core::MemberId server,
                                                   std::unique_ptr<kernel::Witness> inner) {
  return std::make_unique<Eye>(*this, server, std::move(inner));
}

int Recorder::clientOf(std::uint64_t session) const {
  auto found = clients.find(session);
  return found == clients.end() ? -1 : found->second;
}

// ---------------------------------------------------------------------------------------- parcels

void Recorder::parcel(const Passage& passage) {
  Event event;
  event.server = passage.from;
  event.peer = passage.to;
  event.id = passage.id;
  event.lane = passage.lane < kernel::LANES ? LANE_NAMES[passage.lane] : "?";
  event.text = passage.why;
  if (passage.what == Passage::SENT) {
    event.kind = Event::SEND;
    sent[passage.id] = story.now();
  } else {
    event.kind = passage.what == Passage::RECEIVED ? Event::RECEIVE : Event::LOSE;
    event.since = sent[passage.id];
    sent.erase(passage.id);
  }
  auto thrown = kj::runCatchingExceptions([&]() { read(passage, event); });
  if (thrown != nullptr) event.what = "unreadable";
  story.tell(std::move(event));
}

void Recorder::read(const Passage& passage, Event& event) const {
  switch (passage.lane) {
    case kernel::LANE_ELECTION:
    case kernel::LANE_CONSENSUS:
      return letter(passage, event);
    case kernel::LANE_DESK:
      return readFlat<kernel::DeskLetter>(passage.bytes, [&](kernel::DeskLetter::Reader desk) {
        event.what = desk.getReady()              ? "ready"
                     : desk.getCommands().size()  ? "commands"
                     : desk.getRead() != 0        ? "barrier"
                     : desk.getReadable() != 0    ? "readable"
                                                  : "touches";
        if (desk.getCommands().size() > 0) {
          event.numbers.emplace_back("count", desk.getCommands().size());
        }
        if (desk.getReadable() != 0) event.numbers.emplace_back("index", desk.getIndex());
      });
    case kernel::LANE_CHAIN:
      return readFlat<kernel::wire::Chain>(passage.bytes, [&](kernel::wire::Chain::Reader chain) {
        event.what = chain.isTip() ? "tip" : "ask";
        auto tip = chain.isTip() ? chain.getTip() : chain.getAsk();
        event.numbers = {{"segment", tip.getSegment()}, {"applied", tip.getApplied()}};
      });
    default:
      event.what = "unknown";
  }
}

void Recorder::letter(const Passage& passage, Event& event) const {
  auto [segment, mail] = kernel::decode(passage.bytes);
  auto found = letters.find({passage.lane, mail.kind});
  bool known = found != letters.end() && !found->second.numbers.empty();
  event.what = found != letters.end() ? found->second.name : "kind" + std::to_string(mail.kind);
  for (std::size_t i = 0; i < mail.numbers.size(); i++) {
    auto& names = known ? found->second.numbers : std::vector<std::string>{"number"};
    event.numbers.emplace_back(names[std::min(i, names.size() - 1)], mail.numbers[i]);
  }
  if (!mail.entries.empty()) {
    event.numbers.emplace_back("firstIndex", mail.entries.front().index);
    event.numbers.emplace_back("lastIndex", mail.entries.back().index);
  }
  if (segment != 0) event.numbers.emplace_back("segment", segment);
}

void Recorder::link(core::MemberId a, core::MemberId b, bool up) {
  Event event;
  event.kind = Event::LINK;
  event.server = a;
  event.peer = b;
  event.what = up ? "up" : "down";
  story.tell(std::move(event));
}

// ---------------------------------------------------------------------------------------- servers

void Recorder::apply(core::MemberId server, core::Index index, kj::Maybe<Body::Reader> body) {
  if (index <= applied[server]) return;  // once more, as it starts: says nothing new
  applied[server] = index;
  Event event;
  event.kind = index > decided ? Event::DECIDE : Event::APPLY;
  event.server = server;
  event.numbers = {{"index", index}};
  if (index > decided) {
    decided = index;
    KJ_IF_MAYBE (text, body) {
      event.client = clientOf(text->getSession());
      if (text->isSeal()) {
        event.what = "seal";
      } else {
        readFlat<Operation>(text->getOperation(),
                            [&](Operation::Reader read) { tellOf(event, describe(read)); });
      }
    } else {
      event.what = "noop";
    }
  }
  story.tell(std::move(event));
}

void Recorder::stand(core::MemberId server, std::uint32_t segment,
                     const core::Standing& standing) {
  Event event;
  event.kind = Event::STANDING;
  event.server = server;
  event.peer = standing.leader;
  event.what = PHASES[standing.phase];
  event.numbers = {{"fence", standing.fence}, {"leader", standing.leader}};
  if (segment != 0) event.numbers.emplace_back("segment", segment);
  story.tell(std::move(event));
}

// ---------------------------------------------------------------------------------------- clients

void Recorder::request(core::MemberId to, coordination::Request::Reader request) {
  Event event;
  event.kind = Event::REQUEST;
  event.server = to;
  event.client = request.getToken() != 0 ? static_cast<int>(request.getToken() >> TOKEN_BITS) - 1
                                         : clientOf(request.getSession());
  event.id = request.getToken();
  auto what = describe(request);
  tellOf(event, what);
  if (event.id != 0) asked[event.id] = {story.now(), what};
  story.tell(std::move(event));
}

void Recorder::delivery(core::MemberId from, coordination::Delivery::Reader delivery) {
  Event event;
  event.server = from;
  event.numbers = {{"index", delivery.getIndex()}};
  if (delivery.isReply()) {
    auto reply = delivery.getReply();
    auto found = asked.find(reply.getToken());
    if (found == asked.end()) return;
    event.kind = Event::REPLY;
    event.id = reply.getToken();
    event.client = static_cast<int>(event.id >> TOKEN_BITS) - 1;
    event.since = found->second.ms;
    event.what = nameOf(reply.hasAnswer() ? reply.getAnswer().getError()
                                          : reply.getOutcome().getError());
    event.text = "to " + found->second.what;
    asked.erase(found);
    if (reply.getOutcome().hasAttached()) {
      clients[reply.getOutcome().getAttached().getSession()] = event.client;
    }
  } else {
    event.kind = Event::NOTICE;
    event.client = clientOf(delivery.getSession());
    switch (delivery.which()) {
      case coordination::Delivery::EVENT:
        event.what = kj::str(delivery.getEvent().getWhat()).cStr();
        event.text = delivery.getEvent().getPath().cStr();
        break;
      case coordination::Delivery::ENDED:
        event.what = nameOf(delivery.getEnded());
        break;
      case coordination::Delivery::ADRIFT:
        event.what = "adrift";
        break;
      default:
        event.what = "gap";
    }
  }
  story.tell(std::move(event));
}

}  // namespace polyquorum::simulator
