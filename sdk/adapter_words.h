// SPDX-License-Identifier: Apache-2.0
// The words that both adapters translate between core.h and the schemas: peers, members, numbers,
// facts, evidence, feedback, notes. Private to core_adapter.cpp and election_adapter.cpp.
#pragma once
#include <capnp/message.h>
#include <kj/debug.h>
#include <string>
#include <vector>
#include "interfaces/election.capnp.h"
#include "sdk/core.h"

namespace polyquorum::sdk {

inline core::Position read(polyquorum::Position::Reader in) {
  return {in.getStamp(), in.getIndex()};
}

inline void write(polyquorum::Position::Builder out, const core::Position& at) {
  out.setStamp(at.stamp);
  out.setIndex(at.index);
}

inline core::PeerUp readUp(election::Peer::Reader in) {
  return {in.getId(), in.getLink(), in.getIncarnation()};
}

inline core::PeerDown readDown(election::Peer::Reader in) { return {in.getId(), in.getLink()}; }

inline std::vector<core::Member> read(capnp::List<polyquorum::Member>::Reader in) {
  std::vector<core::Member> members;
  members.reserve(in.size());
  for (auto member : in) {
    bool votes = member.getRole() == polyquorum::Role::VOTER;
    members.push_back({member.getId(), votes ? core::Role::VOTER : core::Role::LEARNER});
  }
  return members;
}

inline std::vector<core::Fact> read(capnp::List<polyquorum::Fact>::Reader in) {
  std::vector<core::Fact> facts;
  facts.reserve(in.size());
  for (auto fact : in) {
    auto name = fact.getName();
    facts.emplace_back(std::string(name.begin(), name.size()), fact.getValue());
  }
  return facts;
}

/// The first, protocol-free half of a letter.
template <typename Reader>
core::Letter readLetter(const Reader& in) {
  core::Letter letter;
  letter.peer = in.getPeer();
  letter.link = in.getLink();
  letter.kind = in.getKind();
  auto numbers = in.getNumbers();
  letter.numbers.reserve(numbers.size());
  for (auto number : numbers) letter.numbers.push_back(number);
  return letter;
}

template <typename Builder>
void writeLetter(Builder out, const core::Letter& letter) {
  out.setPeer(letter.peer);
  out.setLink(letter.link);
  out.setKind(letter.kind);
  if (letter.numbers.empty()) return;
  auto numbers = out.initNumbers(letter.numbers.size());
  for (unsigned i = 0; i < numbers.size(); i++) numbers.set(i, letter.numbers[i]);
}

inline core::Evidence read(election::Evidence::Reader in) {
  return {in.getViewFence(), read(in.getLast()), in.getCommitted(), in.getEligible()};
}

inline void write(election::Evidence::Builder out, const core::Evidence& evidence) {
  out.setViewFence(evidence.viewFence);
  write(out.initLast(), evidence.last);
  out.setCommitted(evidence.committed);
  out.setEligible(evidence.eligible);
}

template <core::Feedback::What ours, election::Feedback::What theirs>
constexpr bool SAME = static_cast<int>(ours) == static_cast<int>(theirs);
static_assert(SAME<core::Feedback::LEADER_ALIVE, election::Feedback::What::LEADER_ALIVE> &&
              SAME<core::Feedback::ESTABLISHED, election::Feedback::What::ESTABLISHED> &&
              SAME<core::Feedback::LOST, election::Feedback::What::LOST> &&
              SAME<core::Feedback::QUORUM_LOST, election::Feedback::What::QUORUM_LOST> &&
              SAME<core::Feedback::FENCED, election::Feedback::What::FENCED> &&
              SAME<core::Feedback::BEHIND, election::Feedback::What::BEHIND> &&
              SAME<core::Feedback::RESIGNED, election::Feedback::What::RESIGNED>);

inline core::Feedback read(election::Feedback::Reader in) {
  auto what = in.getWhat();
  KJ_REQUIRE(what <= election::Feedback::What::RESIGNED,
             "feedback of a newer interface; build the plugin against it", (int)what);
  return {static_cast<core::Feedback::What>(what), in.getPeer(), in.getFence()};
}

inline void write(election::Feedback::Builder out, const core::Feedback& feedback) {
  out.setWhat(static_cast<election::Feedback::What>(feedback.what));
  out.setPeer(feedback.peer);
  out.setFence(feedback.fence);
}

template <typename List>
void writeFacts(List out, const std::vector<core::Fact>& facts) {
  for (unsigned i = 0; i < facts.size(); i++) {
    out[i].setName(facts[i].first.c_str());
    out[i].setValue(facts[i].second);
  }
}

template <typename List>
void writeNotes(List out, const std::vector<core::Note>& notes) {
  for (unsigned i = 0; i < notes.size(); i++) {
    out.set(i, capnp::Text::Reader(notes[i].c_str(), notes[i].size()));
  }
}

// Sizes in words, so that a step's result is one allocation of the right size.

template <typename T>
std::uint64_t wordsOfList(std::size_t count) {
  return count == 0 ? 0 : 1 + count * capnp::sizeInWords<T>();
}

inline std::uint64_t wordsOf(const std::string& text) { return text.size() / 8 + 1; }

inline std::uint64_t wordsOf(const std::vector<core::Note>& notes) {
  std::uint64_t words = notes.size();
  for (auto& note : notes) words += wordsOf(note);
  return words;
}

inline std::uint64_t wordsOf(const std::vector<core::Fact>& facts) {
  std::uint64_t words = wordsOfList<polyquorum::Fact>(facts.size());
  for (auto& fact : facts) words += wordsOf(fact.first);
  return words;
}

}  // namespace polyquorum::sdk
