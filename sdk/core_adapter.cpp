// SPDX-License-Identifier: Apache-2.0
// The consensus half of core_adapter.h.
#include "sdk/core_adapter.h"
#include "sdk/adapter_words.h"
#include "sdk/tickets.h"

namespace polyquorum::sdk {
namespace {

using consensus::Consensus;

static_assert(static_cast<int>(core::Standing::LEADING) ==
                  static_cast<int>(consensus::Standing::Phase::LEADING) &&
              static_cast<int>(core::Standing::FOLLOWING) ==
                  static_cast<int>(consensus::Standing::Phase::FOLLOWING) &&
              static_cast<int>(core::Standing::CLAIMING) ==
                  static_cast<int>(consensus::Standing::Phase::CLAIMING) &&
              static_cast<int>(core::Refused::OVERLOADED) ==
                  static_cast<int>(consensus::Refused::Why::OVERLOADED));

// ------------------------------------------------------------------------------------------------
// Events in.

core::ConsensusOpened readOpened(consensus::Opened::Reader in) {
  core::ConsensusOpened opened{in.getSelf(), in.getMayVote(), read(in.getMembers()),
                               read(in.getBase()), {}, read(in.getFacts()), in.getSeed()};
  auto runs = in.getLog();
  opened.log.reserve(runs.size());
  for (auto run : runs) opened.log.push_back({run.getFirst(), run.getCount(), run.getStamp()});
  return opened;
}

std::vector<core::Entry> readEntries(Tickets& tickets,
                                     capnp::List<consensus::Head>::Reader heads) {
  std::vector<core::Entry> entries;
  entries.reserve(heads.size());
  for (auto head : heads) {
    entries.push_back(
        {head.getIndex(), head.getStamp(), tickets.give(head.getBody(), head.getBytes())});
  }
  return entries;
}

core::Received readReceived(Tickets& tickets, consensus::Letter::Reader in) {
  core::Received received{readLetter(in)};
  received.letter.entries = readEntries(tickets, in.getEntries());
  return received;
}

core::ConsensusEvent readEvent(Tickets& tickets, consensus::Event::Reader in) {
  using E = consensus::Event;
  switch (in.which()) {
    case E::OPENED: return readOpened(in.getOpened());
    case E::PEER_UP: return readUp(in.getPeerUp());
    case E::PEER_DOWN: return readDown(in.getPeerDown());
    case E::RECEIVED: return readReceived(tickets, in.getReceived());
    case E::NOMINATED: {
      auto nominated = in.getNominated();
      return core::Nominated{nominated.getLeader(), nominated.getRound()};
    }
    case E::PROPOSAL: {
      auto proposal = in.getProposal();
      return core::Proposal{proposal.getToken(),
                            tickets.give(proposal.getBody(), proposal.getBytes()),
                            proposal.getHome()};
    }
    case E::READ: return core::Read{in.getRead()};
    case E::FETCHED: {
      auto fetched = in.getFetched();
      return core::Fetched{fetched.getToken(), fetched.getFirst(),
                           readEntries(tickets, fetched.getEntries())};
    }
    case E::SNAPSHOT_ARRIVED: {
      auto image = in.getSnapshotArrived();
      return core::SnapshotArrived{image.getPeer(), image.getLink(), read(image.getAt())};
    }
    case E::SNAPSHOT_SENT: {
      auto image = in.getSnapshotSent();
      return core::SnapshotSent{image.getPeer(), image.getLink(), read(image.getAt()),
                                image.getWhole()};
    }
    case E::TRIMMED: return core::Trimmed{in.getTrimmed()};
    case E::HAND_OVER: return core::HandOver{in.getHandOver()};
  }
  KJ_FAIL_REQUIRE("a consensus event of a newer interface; build the plugin against it",
                  (int)in.which());
}

// ------------------------------------------------------------------------------------------------
// Effects out.

std::uint64_t wordsOf(const std::vector<core::Letter>& letters) {
  std::uint64_t words = wordsOfList<consensus::Letter>(letters.size());
  for (auto& letter : letters) {
    words += letter.numbers.size() + wordsOfList<consensus::Head>(letter.entries.size());
  }
  return words;
}

std::uint64_t wordsOf(const core::Batch& batch) {
  return capnp::sizeInWords<consensus::Batch>() + capnp::sizeInWords<polyquorum::Position>() +
         wordsOfList<consensus::Head>(batch.entries.size()) + sdk::wordsOf(batch.facts);
}

std::uint64_t wordsOf(const core::ConsensusEffects& effects) {
  return capnp::sizeInWords<Consensus::StepResults>() +
         capnp::sizeInWords<consensus::Effects>() +
         (effects.persist ? wordsOf(*effects.persist) : 0) + wordsOf(effects.now) +
         wordsOf(effects.afterPersist) +
         wordsOfList<consensus::Readable>(effects.readable.size()) +
         wordsOfList<consensus::Refused>(effects.refused.size()) +
         wordsOfList<consensus::Fetch>(effects.fetch.size()) +
         wordsOfList<consensus::SendSnapshot>(effects.snapshots.size()) +
         capnp::sizeInWords<consensus::Standing>() + capnp::sizeInWords<election::Evidence>() +
         capnp::sizeInWords<polyquorum::Position>() +
         wordsOfList<election::Feedback>(effects.feedback.size()) + sdk::wordsOf(effects.notes);
}

void writeEntries(capnp::List<consensus::Head>::Builder out,
                  const std::vector<core::Entry>& entries) {
  for (unsigned i = 0; i < entries.size(); i++) {
    auto head = out[i];
    head.setIndex(entries[i].index);
    head.setStamp(entries[i].stamp);
    head.setBody(Tickets::of(entries[i].body));
    head.setBytes(entries[i].body.bytes);
  }
}

void writeLetters(capnp::List<consensus::Letter>::Builder out,
                  const std::vector<core::Letter>& letters) {
  for (unsigned i = 0; i < letters.size(); i++) {
    auto& letter = letters[i];
    writeLetter(out[i], letter);
    if (!letter.entries.empty()) {
      writeEntries(out[i].initEntries(letter.entries.size()), letter.entries);
    }
  }
}

void writeBatch(consensus::Batch::Builder out, const core::Batch& batch) {
  if (batch.base) write(out.initBase(), *batch.base);
  if (batch.truncateFrom) {
    KJ_ASSERT(*batch.truncateFrom != 0, "a core cuts from index 0; indexes begin at 1");
    out.setTruncateFrom(*batch.truncateFrom);
  }
  if (!batch.entries.empty()) writeEntries(out.initEntries(batch.entries.size()), batch.entries);
  if (!batch.facts.empty()) writeFacts(out.initFacts(batch.facts.size()), batch.facts);
}

void writeAnswers(consensus::Effects::Builder out, const core::ConsensusEffects& effects) {
  if (!effects.readable.empty()) {
    auto list = out.initReadable(effects.readable.size());
    for (unsigned i = 0; i < list.size(); i++) {
      list[i].setToken(effects.readable[i].token);
      list[i].setIndex(effects.readable[i].index);
    }
  }
  if (!effects.refused.empty()) {
    auto list = out.initRefused(effects.refused.size());
    for (unsigned i = 0; i < list.size(); i++) {
      list[i].setToken(effects.refused[i].token);
      list[i].setWhy(static_cast<consensus::Refused::Why>(effects.refused[i].why));
    }
  }
}

void writeQuestions(consensus::Effects::Builder out, const core::ConsensusEffects& effects) {
  if (!effects.fetch.empty()) {
    auto list = out.initFetch(effects.fetch.size());
    for (unsigned i = 0; i < list.size(); i++) {
      auto& fetch = effects.fetch[i];
      list[i].setToken(fetch.token);
      list[i].setFirst(fetch.first);
      list[i].setLast(fetch.last);
      list[i].setBytesMax(fetch.bytesMax);
    }
  }
  if (!effects.snapshots.empty()) {
    auto list = out.initSnapshots(effects.snapshots.size());
    for (unsigned i = 0; i < list.size(); i++) {
      list[i].setPeer(effects.snapshots[i].peer);
      list[i].setLink(effects.snapshots[i].link);
      list[i].setAtLeast(effects.snapshots[i].atLeast);
    }
  }
}

void writeStanding(consensus::Standing::Builder out, const core::Standing& standing) {
  out.setPhase(static_cast<consensus::Standing::Phase>(standing.phase));
  out.setLeader(standing.leader);
  out.setFence(standing.fence);
}

void writeEffects(consensus::Effects::Builder out, const core::ConsensusEffects& effects) {
  if (effects.persist) writeBatch(out.initPersist(), *effects.persist);
  if (!effects.now.empty()) writeLetters(out.initNow(effects.now.size()), effects.now);
  if (!effects.afterPersist.empty()) {
    writeLetters(out.initAfterPersist(effects.afterPersist.size()), effects.afterPersist);
  }
  out.setCommitted(effects.committed.value_or(0));
  writeAnswers(out, effects);
  writeQuestions(out, effects);
  if (effects.standing) writeStanding(out.initStanding(), *effects.standing);
  if (effects.evidence) write(out.initEvidence(), *effects.evidence);
  if (!effects.feedback.empty()) {
    auto list = out.initFeedback(effects.feedback.size());
    for (unsigned i = 0; i < list.size(); i++) write(list[i], effects.feedback[i]);
  }
  out.setWakeAt(effects.wakeAt);
  out.setKeepsImage(effects.keepsImage);
  if (!effects.notes.empty()) writeNotes(out.initNotes(effects.notes.size()), effects.notes);
}

class ConsensusAdapter final : public Consensus::Server {
public:
  explicit ConsensusAdapter(std::unique_ptr<core::ConsensusCore> core) : core(std::move(core)) {}

  kj::Promise<void> step(StepContext context) override {
    auto params = context.getParams();
    auto given = params.getEvents();
    events.clear();
    events.reserve(given.size());
    for (auto event : given) events.push_back(readEvent(tickets, event));
    perform(context, core->step(params.getNow(), events));
    return kj::READY_NOW;
  }

private:
  // Order of members is order of death: the core and the events hold handles made by tickets.
  Tickets tickets;
  std::vector<core::ConsensusEvent> events;  // kept for its memory; empty between steps
  std::unique_ptr<core::ConsensusCore> core;

  void perform(StepContext& context, core::ConsensusEffects effects) {
    // Every giving of this step may end with it, and so may what the effects still name.
    auto endings = tickets.released.size() + 2 * events.size();
    events.clear();
    auto results = context.getResults(capnp::MessageSize{wordsOf(effects) + endings, 0});
    auto out = results.initEffects();
    writeEffects(out, effects);
    effects = {};  // drops its handles: a ticket named here for the last time is released here
    if (tickets.released.empty()) return;
    auto released = out.initReleased(tickets.released.size());
    for (unsigned i = 0; i < released.size(); i++) released.set(i, tickets.released[i]);
    tickets.released.clear();
  }
};

}  // namespace

kj::Own<Consensus::Server> adapt(std::unique_ptr<core::ConsensusCore> core) {
  return kj::heap<ConsensusAdapter>(std::move(core));
}

}  // namespace polyquorum::sdk
