// SPDX-License-Identifier: Apache-2.0
// The election half of core_adapter.h.
#include "sdk/adapter_words.h"
#include "sdk/core_adapter.h"

namespace polyquorum::sdk {
namespace {

using election::Election;

core::ElectionOpened readOpened(election::Opened::Reader in) {
  return {in.getSelf(), read(in.getMembers()), read(in.getFacts()), read(in.getEvidence()),
          in.getSeed()};
}

core::ElectionEvent readEvent(election::Event::Reader in) {
  switch (in.which()) {
    case election::Event::OPENED: return readOpened(in.getOpened());
    case election::Event::PEER_UP: return readUp(in.getPeerUp());
    case election::Event::PEER_DOWN: return readDown(in.getPeerDown());
    case election::Event::RECEIVED: return core::Received{readLetter(in.getReceived())};
    case election::Event::EVIDENCE: return read(in.getEvidence());
    case election::Event::FEEDBACK: return read(in.getFeedback());
  }
  KJ_FAIL_REQUIRE("an election event of a newer interface; build the plugin against it",
                  (int)in.which());
}

std::uint64_t wordsOf(const std::vector<core::Letter>& letters) {
  std::uint64_t words = wordsOfList<election::Letter>(letters.size());
  for (auto& letter : letters) words += letter.numbers.size();
  return words;
}

std::uint64_t wordsOf(const core::ElectionEffects& effects) {
  return capnp::sizeInWords<Election::StepResults>() + capnp::sizeInWords<election::Effects>() +
         sdk::wordsOf(effects.persist) + wordsOf(effects.now) + wordsOf(effects.afterPersist) +
         capnp::sizeInWords<election::Nomination>() + sdk::wordsOf(effects.notes);
}

void writeLetters(capnp::List<election::Letter>::Builder out,
                  const std::vector<core::Letter>& letters) {
  for (unsigned i = 0; i < letters.size(); i++) {
    KJ_ASSERT(letters[i].entries.empty(), "an election's letter carries numbers only");
    writeLetter(out[i], letters[i]);
  }
}

void writeEffects(election::Effects::Builder out, const core::ElectionEffects& effects) {
  if (!effects.persist.empty()) {
    writeFacts(out.initPersist(effects.persist.size()), effects.persist);
  }
  if (!effects.now.empty()) writeLetters(out.initNow(effects.now.size()), effects.now);
  if (!effects.afterPersist.empty()) {
    writeLetters(out.initAfterPersist(effects.afterPersist.size()), effects.afterPersist);
  }
  if (effects.nominate) {
    auto nominate = out.initNominate();
    nominate.setLeader(effects.nominate->leader);
    nominate.setRound(effects.nominate->round);
  }
  out.setWakeAt(effects.wakeAt);
  if (!effects.notes.empty()) writeNotes(out.initNotes(effects.notes.size()), effects.notes);
}

class ElectionAdapter final : public Election::Server {
public:
  explicit ElectionAdapter(std::unique_ptr<core::ElectionCore> core) : core(std::move(core)) {}

  kj::Promise<void> step(StepContext context) override {
    auto params = context.getParams();
    auto given = params.getEvents();
    events.clear();
    events.reserve(given.size());
    for (auto event : given) events.push_back(readEvent(event));
    auto effects = core->step(params.getNow(), events);
    events.clear();
    auto results = context.getResults(capnp::MessageSize{wordsOf(effects), 0});
    writeEffects(results.initEffects(), effects);
    return kj::READY_NOW;
  }

private:
  std::unique_ptr<core::ElectionCore> core;
  std::vector<core::ElectionEvent> events;  // kept for its memory; empty between steps
};

}  // namespace

kj::Own<Election::Server> adapt(std::unique_ptr<core::ElectionCore> core) {
  return kj::heap<ElectionAdapter>(std::move(core));
}

}  // namespace polyquorum::sdk
