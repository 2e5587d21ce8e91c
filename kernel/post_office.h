// SPDX-License-Identifier: Apache-2.0
// Lanes and links: turns what the kernel sends in one turn into one transport call, and what arrives
// into calls of a Recipient. Knows no protocol; moves letters of the current segment only.
#pragma once
#include <kj/async.h>
#include <kj/memory.h>
#include <map>
#include <memory>
#include <vector>
#include "interfaces/transport.capnp.h"
#include "kernel/mail.h"
#include "sdk/core.h"

namespace polyquorum::kernel {

/// Places in the list of lanes given to the transport.
enum Lane : std::uint16_t { LANE_ELECTION, LANE_CONSENSUS, LANE_DESK, LANE_CHAIN, LANES };

/// Whom the post office tells. Called on the loop's thread, in the order in which news came.
class Recipient {
public:
  virtual ~Recipient() noexcept(false) {}
  virtual void linkUp(core::MemberId peer, core::Link link, std::uint64_t incarnation) = 0;
  virtual void linkDown(core::MemberId peer, core::Link link) = 0;
  /// A letter of a core, of any segment. lane: election or consensus.
  virtual void letter(Lane lane, Decoded&& letter) = 0;
  virtual void deskLetter(core::MemberId from, kj::ArrayPtr<const kj::byte> bytes) = 0;
  virtual void chainLetter(core::MemberId from, core::Link link, wire::Chain::Reader letter) = 0;
  /// A peer begins to stream an image here.
  virtual kj::Promise<storage::Sink::Client> image(core::MemberId from, core::Link link,
                                                   Snapshot::Reader header) = 0;
  /// A parcel that cannot be read; it is dropped.
  virtual void badParcel(core::MemberId from, kj::Exception&& why) = 0;
};

struct OpenLink {
  core::Link link = 0;
  std::uint64_t incarnation = 0;
};

class PostOffice {
public:
  PostOffice(core::MemberId self, transport::Transport::Client transport, Recipient& recipient)
      : self(self), transport(kj::mv(transport)), recipient(recipient) {}
  ~PostOffice() noexcept(false) { *hinge = nullptr; }
  KJ_DISALLOW_COPY(PostOffice);

  /// Listens and dials. members: whom to keep connected, self included.
  kj::Promise<void> start(kj::StringPtr cluster, Member::Reader self,
                          capnp::List<Member>::Reader members);
  kj::Promise<void> peers(capnp::List<Member>::Reader members);

  /// The open link to each peer.
  const std::map<core::MemberId, OpenLink>& links() const { return open; }
  bool up(core::MemberId peer, core::Link link) const;

  /// Queues for this turn; dropped if the link is gone. Not for letters to oneself.
  void send(Lane lane, std::uint32_t segment, const Mail& mail);
  void send(Lane lane, core::MemberId to, core::Link link, kj::Array<kj::byte> bytes);

  /// One transport call with everything queued; resolves when it is taken.
  kj::Promise<void> flush();
  bool idle() const { return parcels.empty(); }

  kj::Promise<storage::Sink::Client> stream(core::MemberId to, core::Link link,
                                            kj::ArrayPtr<const kj::byte> header);

private:
  struct Address {
    core::MemberId id;
    core::Link link;
  };
  struct Outgoing {
    Lane lane;
    std::vector<Address> to;
    kj::Array<kj::byte> plain;  ///< desk and chain
    Encoded encoded;            ///< cores
  };
  class Inbox;

  /// A transport may hold the inbox, and a call to it may run, when this is gone.
  std::shared_ptr<PostOffice*> hinge = std::make_shared<PostOffice*>(this);
  kj::Canceler streams;

  const core::MemberId self;
  transport::Transport::Client transport;
  Recipient& recipient;
  std::map<core::MemberId, OpenLink> open;
  std::vector<Outgoing> parcels;
  /// Of the last core letter queued, to find equal ones; empty entries are cheap to keep.
  Mail lastText;
  bool lastTextValid = false;

  void arrived(core::MemberId from, core::Link link, Lane lane, kj::ArrayPtr<const kj::byte> bytes);
};

}  // namespace polyquorum::kernel
