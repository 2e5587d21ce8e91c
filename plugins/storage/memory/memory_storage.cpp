// SPDX-License-Identifier: Apache-2.0
// How each verb of Storage is performed on maps. Bodies are copied once, on their way in.
#include "plugins/storage/memory/memory_storage.h"
#include <kj/debug.h>
#include <limits>
#include <vector>

namespace polyquorum::memory {
namespace {

constexpr Index END = std::numeric_limits<Index>::max();

bool same(polyquorum::Position::Reader a, polyquorum::Position::Reader b) {
  return a.getIndex() == b.getIndex() && a.getStamp() == b.getStamp();
}

/// Fills the image that stage() made. Dropped before done: the image is dropped with it.
class ImageSink final : public storage::Sink::Server {
public:
  explicit ImageSink(kj::Own<Image> image) : image(kj::mv(image)) {}

  kj::Promise<void> write(WriteContext context) override {
    auto chunk = context.getParams().getChunk();
    KJ_REQUIRE(!image->complete, "a state image got a chunk after done");
    auto announced = image->read().getBytes();  // 0: not known when the stage began
    KJ_REQUIRE(announced == 0 || image->bytes.size() + chunk.size() <= announced,
               "a state image is longer than its header says", announced);
    image->bytes.addAll(chunk);
    return kj::READY_NOW;
  }

  kj::Promise<void> done(DoneContext context) override {
    auto announced = image->read().getBytes();
    KJ_REQUIRE(announced == 0 || image->bytes.size() == announced,
               "a state image is shorter than its header says", image->bytes.size(), announced);
    image->header.getRoot<polyquorum::Snapshot>().setBytes(image->bytes.size());
    image->complete = true;
    return kj::READY_NOW;
  }

private:
  kj::Own<Image> image;
};

class ImageSource final : public storage::Source::Server {
public:
  explicit ImageSource(kj::Own<Image> image) : image(kj::mv(image)) {}

  kj::Promise<void> read(ReadContext context) override {
    auto wanted = kj::min(static_cast<std::size_t>(kj::max(context.getParams().getBytesMax(), 1u)),
                          image->bytes.size() - offset);
    context.getResults().setChunk(
        capnp::Data::Reader(image->bytes.begin() + offset, wanted));
    offset += wanted;
    return kj::READY_NOW;
  }

private:
  kj::Own<Image> image;
  std::size_t offset = 0;
};

}  // namespace

Index MemoryStorage::snapshotIndex() {
  KJ_IF_MAYBE(image, inUse) return (*image)->read().getAt().getIndex();
  return 0;
}

SegmentLog& MemoryStorage::log(std::uint32_t segment) {
  auto found = logs.find(segment);
  if (found != logs.end()) return found->second;
  auto& made = logs[segment];
  auto place = chain.find(segment);
  if (place != chain.end()) {
    made.floor = place->second->getRoot<polyquorum::Segment>().getBase() + 1;
  }
  made.ended = chain.upper_bound(segment) != chain.end();
  return made;
}

kj::Promise<void> MemoryStorage::open(OpenContext context) {
  // Nothing can be here: this object began empty and open is the first call.
  KJ_REQUIRE(chain.empty() && logs.empty(), "memory storage was opened after it was written");
  staged = nullptr;
  return kj::READY_NOW;
}

kj::Promise<void> MemoryStorage::write(WriteContext context) {
  for (auto write : context.getParams().getWrites()) perform(write);
  return kj::READY_NOW;
}

void MemoryStorage::perform(storage::Write::Reader write) {
  if (write.getBase().getIndex() != 0) adopt(write.getBase());
  auto& target = log(write.getSegment());
  if (auto trim = write.getTrim()) {
    KJ_REQUIRE(trim <= snapshotIndex() + 1, "a trim above the snapshot in use", trim,
               snapshotIndex());
    erase(target, 0, trim);
    target.floor = kj::max(target.floor, trim);
    for (auto& older : logs) {
      if (older.first < write.getSegment()) erase(older.second, 0, trim);
    }
  }
  if (auto from = write.getTruncateFrom()) erase(target, from, END);
  for (auto entry : write.getEntries()) {
    auto& slot = target.entries.try_emplace(target.entries.end(), entry.getIndex())->second;
    bytesHeld -= slot.body.size();
    slot.stamp = entry.getStamp();
    slot.body = kj::heapArray<capnp::byte>(entry.getBody());
    bytesHeld += slot.body.size();
  }
  for (auto fact : write.getFacts()) target.facts[fact.getName().cStr()] = fact.getValue();
  if (write.hasNext()) {
    join(write.getNext());
    if (write.getNext().getId() > write.getSegment()) {
      erase(target, write.getNext().getBase() + 1, END);
      target.ended = true;
    }
  }
  // A segment that ended and keeps no entry is forgotten, and its promises with it.
  for (auto i = logs.begin(); i != logs.end();) {
    i = i->second.ended && i->second.entries.empty() ? logs.erase(i) : std::next(i);
  }
}

void MemoryStorage::adopt(polyquorum::Position::Reader base) {
  KJ_IF_MAYBE(image, inUse) {
    if (same((*image)->read().getAt(), base)) return;
  }
  auto& image = KJ_REQUIRE_NONNULL(staged, "a write adopts a snapshot that was never staged",
                                   base.getIndex());
  KJ_REQUIRE(image->complete && same(image->read().getAt(), base),
             "a write adopts a snapshot that is not the staged one, or is not done",
             base.getIndex(), image->read().getAt().getIndex(), image->complete);
  for (auto segment : image->read().getChain()) {
    if (chain.count(segment.getId()) == 0) join(segment);
  }
  if (base.getIndex() >= snapshotIndex()) inUse = kj::mv(image);
  staged = nullptr;
}

void MemoryStorage::join(polyquorum::Segment::Reader segment) {
  auto message = kj::heap<capnp::MallocMessageBuilder>();
  message->setRoot(segment);
  chain[segment.getId()] = kj::mv(message);
  for (auto& older : logs) {
    if (older.first < segment.getId()) older.second.ended = true;
  }
}

void MemoryStorage::erase(SegmentLog& log, Index first, Index end) {
  auto from = log.entries.lower_bound(first), to = log.entries.lower_bound(end);
  for (auto i = from; i != to; ++i) bytesHeld -= i->second.body.size();
  log.entries.erase(from, to);
}

kj::Promise<void> MemoryStorage::read(ReadContext context) {
  auto params = context.getParams();
  auto results = context.getResults();
  auto found = logs.find(params.getSegment());
  if (found == logs.end()) {
    results.setFirst(snapshotIndex() + 1);
    return kj::READY_NOW;
  }
  auto& log = found->second;
  results.setFirst(log.entries.empty() ? kj::max(log.floor, snapshotIndex() + 1)
                                       : log.entries.begin()->first);
  std::vector<std::map<Index, SegmentLog::Slot>::iterator> chosen;
  std::uint64_t bytes = 0;
  for (auto i = log.entries.lower_bound(params.getFirst());
       i != log.entries.end() && i->first <= params.getLast(); ++i) {
    bytes += i->second.body.size();
    if (!chosen.empty() && bytes > params.getBytesMax()) break;
    chosen.push_back(i);
  }
  auto entries = results.initEntries(chosen.size());
  for (unsigned n = 0; n < chosen.size(); n++) {
    entries[n].setIndex(chosen[n]->first);
    entries[n].setStamp(chosen[n]->second.stamp);
    if (chosen[n]->second.body.size() > 0) entries[n].setBody(chosen[n]->second.body);
  }
  return kj::READY_NOW;
}

kj::Promise<void> MemoryStorage::stage(StageContext context) {
  auto image = kj::refcounted<Image>();
  image->header.setRoot(context.getParams().getHeader());
  staged = kj::addRef(*image);
  context.getResults().setImage(kj::heap<ImageSink>(kj::mv(image)));
  return kj::READY_NOW;
}

kj::Promise<void> MemoryStorage::load(LoadContext context) {
  auto& image = KJ_REQUIRE_NONNULL(inUse, "there is no snapshot in use; ask open first");
  context.getResults().setHeader(image->read());
  context.getResults().setImage(kj::heap<ImageSource>(kj::addRef(*image)));
  return kj::READY_NOW;
}

kj::Promise<void> MemoryStorage::usage(UsageContext context) {
  auto results = context.getResults();
  std::uint64_t bytes = bytesHeld;
  KJ_IF_MAYBE(image, inUse) bytes += (*image)->bytes.size();
  results.setBytes(bytes);
  // Nobody but the system knows how much memory is left; the driver must not stop because of it.
  results.setBytesFree(std::numeric_limits<std::int64_t>::max());
  return kj::READY_NOW;
}

}  // namespace polyquorum::memory
