// SPDX-License-Identifier: Apache-2.0
// Context records: the catalog as bytes and back. They begin every file, so that older files may
// go, and they prove after damage what must be there.
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <cstring>
#include "plugins/storage/file/catalog.h"

namespace polyquorum::file {
namespace {

/// Before the flat message: one for each segment with a log.
struct Floor {
  std::uint64_t segment;
  std::uint64_t floor;
  std::uint64_t ended;
};

struct Runs {
  std::vector<Span> list;

  void add(const Span& span) {
    if (!list.empty() && list.back().end() == span.first && list.back().stamp == span.stamp &&
        list.back().count <= 0xffffffffu - span.count) {
      list.back().count += span.count;
    } else {
      list.push_back(span);
    }
  }
};

/// The places in log for what run claims; what is not there becomes a lost span.
void locate(const SegmentLog& log, polyquorum::Run::Reader run, std::deque<Span>& out) {
  Index at = run.getFirst(), end = run.getFirst() + run.getCount();
  auto lose = [&](Index to) {
    while (at < to) {
      Span lost;
      lost.first = at;
      lost.stamp = run.getStamp();
      lost.count = static_cast<std::uint32_t>(kj::min(to - at, Index(0xffffffffu)));
      out.push_back(lost);
      at += lost.count;
    }
  };
  for (auto i = log.find(at); i != log.spans.end() && i->first < end; ++i) {
    if (i->stamp != run.getStamp() || i->wal == 0) continue;
    auto part = *i;
    part.first = kj::max(i->first, at);
    part.count = static_cast<std::uint32_t>(kj::min(i->end(), end) - part.first);
    lose(part.first);
    out.push_back(part);
    at = part.end();
  }
  lose(end);
}

}  // namespace

void writeRanges(const std::vector<IndexRange>& ranges,
                 capnp::List<storage::Range>::Builder out) {
  for (unsigned i = 0; i < ranges.size(); i++) {
    out[i].setFirst(ranges[i].first);
    out[i].setLast(ranges[i].last);
  }
}

void writeRuns(const SegmentLog& log, bool withLost, storage::Log::Builder out) {
  Runs runs;
  for (auto& span : log.spans) {
    if (withLost || span.wal != 0) runs.add(span);
  }
  auto list = out.initRuns(runs.list.size());
  for (unsigned i = 0; i < runs.list.size(); i++) {
    list[i].setFirst(runs.list[i].first);
    list[i].setCount(runs.list[i].count);
    list[i].setStamp(runs.list[i].stamp);
  }
  auto facts = out.initFacts(log.facts.size());
  unsigned n = 0;
  for (auto& fact : log.facts) {
    facts[n].setName(fact.first.c_str());
    facts[n++].setValue(fact.second);
  }
}

kj::Array<capnp::word> Catalog::writeContext() {
  capnp::MallocMessageBuilder message(256);
  auto root = message.initRoot<storage::Storage::OpenResults>();
  auto segments = root.initChain(chain.size());
  unsigned n = 0;
  for (auto& each : chain) {
    segments.setWithCaveats(n++, each.second->getRoot<polyquorum::Segment>().asReader());
  }
  auto list = root.initLogs(logs.size());
  n = 0;
  for (auto& each : logs) {
    auto out = list[n++];
    out.setSegment(each.first);
    writeRuns(each.second, true, out);
    writeRanges(each.second.damaged, out.initDamaged(each.second.damaged.size()));
  }
  if (!adopted.empty()) {
    auto at = root.initSnapshot().initAt();
    at.setStamp(adopted.back().stamp);
    at.setIndex(adopted.back().index);
  }
  auto flat = capnp::messageToFlatArray(message);
  std::size_t words = 1 + logs.size() * (sizeof(Floor) / sizeof(capnp::word));
  auto body = kj::heapArray<capnp::word>(words + flat.size());
  auto at = reinterpret_cast<unsigned char*>(body.begin());
  std::uint64_t count = logs.size();
  std::memcpy(at, &count, sizeof count);
  at += sizeof count;
  for (auto& each : logs) {
    Floor floor{each.first, each.second.floor, each.second.ended};
    std::memcpy(at, &floor, sizeof floor);
    at += sizeof floor;
  }
  std::memcpy(at, flat.begin(), flat.asBytes().size());
  return body;
}

bool Catalog::readContext(const unsigned char* body, std::size_t bytes) {
  std::uint64_t count = 0;
  if (bytes < sizeof count || bytes % sizeof(capnp::word) != 0) return false;
  std::memcpy(&count, body, sizeof count);
  if (count > (bytes - sizeof count) / sizeof(Floor)) return false;
  std::size_t fixed = sizeof count + count * sizeof(Floor);
  auto words = kj::heapArray<capnp::word>((bytes - fixed) / sizeof(capnp::word));
  std::memcpy(words.begin(), body + fixed, bytes - fixed);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = words.size() * 8 + 1024;
  capnp::FlatArrayMessageReader message(words, options);
  auto root = message.getRoot<storage::Storage::OpenResults>();
  auto list = root.getLogs();
  if (list.size() != count) return false;

  std::map<std::uint32_t, SegmentLog> rebuilt;
  for (unsigned i = 0; i < count; i++) {
    Floor floor;
    std::memcpy(&floor, body + sizeof count + i * sizeof floor, sizeof floor);
    auto in = list[i];
    if (in.getSegment() != floor.segment) return false;
    auto& known = logs[in.getSegment()];
    auto& log = rebuilt[in.getSegment()];
    log.floor = floor.floor;
    log.ended = floor.ended != 0;
    // Below the floor: wanted only if an older snapshot is. If one was in use, the runs begin there.
    auto runs = in.getRuns();
    auto below = runs.size() > 0 ? kj::min(floor.floor, runs[0].getFirst()) : floor.floor;
    for (auto& span : known.spans) {
      if (span.first >= below) break;
      log.spans.push_back(span);
      log.spans.back().count = static_cast<std::uint32_t>(kj::min(span.end(), below) - span.first);
    }
    for (auto run : runs) locate(known, run, log.spans);
    for (auto range : in.getDamaged()) log.damage(range.getFirst(), range.getLast());
    for (auto fact : in.getFacts()) log.facts[fact.getName().cStr()] = fact.getValue();
  }
  // Forgotten by now, but an older snapshot may want their entries.
  for (auto& known : logs) {
    if (rebuilt.count(known.first) == 0 && !known.second.spans.empty()) {
      known.second.ended = true;
      known.second.floor = known.second.last() + 1;
      rebuilt[known.first] = std::move(known.second);
    }
  }
  logs = std::move(rebuilt);
  chain.clear();
  for (auto segment : root.getChain()) join(segment);
  if (root.hasSnapshot()) {
    auto at = root.getSnapshot().getAt();
    adopted.push_back({at.getStamp(), at.getIndex()});
  }
  return true;
}

}  // namespace polyquorum::file
