// SPDX-License-Identifier: Apache-2.0
// Tells a story in detail: parcels with the letters in them, standings, applied entries, what
// clients ask and hear. Reads what passes; changes nothing, judges nothing. Only there if somebody
// wants to know: most runs have none.
#pragma once
#include <map>
#include <memory>
#include <string>
#include "interfaces/coordination.capnp.h"
#include "kernel/loader.h"
#include "kernel/witness.h"
#include "simulator/network.h"
#include "simulator/story.h"

namespace polyquorum::simulator {

class Recorder {
 public:
  /// wiring gives the letters their names, if it has plugins that do.
  Recorder(Story& story, const kernel::Wiring& wiring);

  void parcel(const Passage& passage);
  void link(core::MemberId a, core::MemberId b, bool up);
  /// Tells, and passes on.
  std::unique_ptr<kernel::Witness> witness(core::MemberId server,
                                           std::unique_ptr<kernel::Witness> inner);
  void request(core::MemberId to, coordination::Request::Reader request);
  void delivery(core::MemberId from, coordination::Delivery::Reader delivery);

 private:
  class Eye;
  struct LetterName {
    std::string name;
    std::vector<std::string> numbers;
  };
  struct Asked {
    double ms = 0;
    std::string what;
  };
  Story& story;
  std::map<std::pair<unsigned, unsigned>, LetterName> letters;  ///< by lane and kind
  std::map<std::uint64_t, Asked> asked;                         ///< by token
  std::map<std::uint64_t, int> clients;                         ///< by session
  std::map<std::uint64_t, double> sent;                         ///< parcels on their way
  std::map<core::MemberId, core::Index> applied;
  core::Index decided = 0;

  void names(unsigned lane, const kernel::LoadedPlugin* plugin);
  void read(const Passage& passage, Event& event) const;
  void letter(const Passage& passage, Event& event) const;
  void apply(core::MemberId server, core::Index index, kj::Maybe<Body::Reader> body);
  void stand(core::MemberId server, std::uint32_t segment, const core::Standing& standing);
  int clientOf(std::uint64_t session) const;
};

}  // namespace polyquorum::simulator
