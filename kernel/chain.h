// SPDX-License-Identifier: Apache-2.0
// The chain of segments as this node knows it: who decides, among whom, from which index on. Data only;
// opening and closing is the driver's.
#pragma once
#include <capnp/message.h>
#include <memory>
#include <string>
#include <vector>
#include "interfaces/types.capnp.h"
#include "kernel/config.h"
#include "sdk/core.h"

namespace polyquorum::kernel {

using SegmentMessage = std::shared_ptr<capnp::MallocMessageBuilder>;

SegmentMessage copySegment(Segment::Reader segment);

/// The first segment of a new cluster, equal on every server that reads the same file.
SegmentMessage seedSegment(const Config& config);

class Chain {
public:
  bool empty() const { return segments.empty(); }
  std::uint32_t size() const { return segments.size(); }
  Segment::Reader at(std::uint32_t id) const { return segments.at(id)->getRoot<Segment>().asReader(); }
  Segment::Reader current() const { return at(segments.size() - 1); }
  /// The segment that holds this index, by the bases known.
  std::uint32_t holding(core::Index index) const;

  /// next.id must be size().
  void append(Segment::Reader next);
  /// Appends what is new of a chain that came with a snapshot.
  void extend(capnp::List<Segment>::Reader other);
  void write(capnp::List<Segment>::Builder out) const;

  /// Members of the current segment.
  std::vector<core::Member> members() const;
  bool voter(core::MemberId id) const;
  /// The life that the current segment names for this member; 0 if it names none.
  std::uint64_t incarnation(core::MemberId id) const;

  /// May the life `incarnation` of self, whose disk lost promises in life `lost` (0: never), vote in the
  /// current segment? Only if that names this very life: clocks of lives go back, so that one of before
  /// the loss may have a higher number.
  bool mayVote(core::MemberId self, std::uint64_t lost, std::uint64_t incarnation) const;

  /// The next segment: the same protocol and members, but this member's life is now `incarnation`.
  SegmentMessage healed(core::MemberId id, std::uint64_t incarnation, core::Index base) const;

private:
  std::vector<SegmentMessage> segments;
};

}  // namespace polyquorum::kernel
