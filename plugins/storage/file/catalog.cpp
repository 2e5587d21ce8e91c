// SPDX-License-Identifier: Apache-2.0
// The rules of one segment's places, and how a write changes the whole catalog.
#include "plugins/storage/file/catalog.h"
#include <kj/debug.h>
#include <algorithm>
#include <limits>

namespace polyquorum::file {
namespace {

constexpr Index END = std::numeric_limits<Index>::max();

}  // namespace

std::deque<Span>::const_iterator SegmentLog::find(Index index) const {
  return std::partition_point(spans.begin(), spans.end(),
                              [index](const Span& span) { return span.end() <= index; });
}

void SegmentLog::put(const Span& span) {
  if (!damaged.empty()) heal(span.first, span.end());
  if (spans.empty() || span.first > last()) {
    spans.push_back(span);
    return;
  }
  erase(span.first, span.end());
  spans.insert(find(span.first), span);
}

void SegmentLog::erase(Index first, Index end) {
  if (!damaged.empty()) heal(first, end);
  auto from = find(first) - spans.cbegin();
  if (static_cast<std::size_t>(from) == spans.size()) return;
  if (spans[from].first < first) {
    auto right = spans[from];
    spans[from].count = static_cast<std::uint32_t>(first - right.first);
    from++;
    if (right.end() <= end) {
      // Only its end is cut off.
    } else {
      right.count = static_cast<std::uint32_t>(right.end() - end);
      right.first = end;
      spans.insert(spans.begin() + from, right);
      return;
    }
  }
  auto to = from;
  while (static_cast<std::size_t>(to) < spans.size() && spans[to].end() <= end) to++;
  if (static_cast<std::size_t>(to) < spans.size() && spans[to].first < end) {
    auto& cut = spans[to];
    cut.count = static_cast<std::uint32_t>(cut.end() - end);
    cut.first = end;
  }
  spans.erase(spans.begin() + from, spans.begin() + to);
}

void SegmentLog::heal(Index first, Index end) {
  std::vector<IndexRange> left;
  for (auto& range : damaged) {
    if (range.last < first || range.first >= end) {
      left.push_back(range);
      continue;
    }
    if (range.first < first) left.push_back({range.first, first - 1});
    if (range.last >= end) left.push_back({end, range.last});
  }
  damaged = std::move(left);
}

void SegmentLog::damage(Index first, Index last) {
  if (first > last) return;
  heal(first, last + 1);
  auto place = std::partition_point(damaged.begin(), damaged.end(),
                                    [first](const IndexRange& r) { return r.first < first; });
  damaged.insert(place, {first, last});
}

std::vector<IndexRange> SegmentLog::unreadable() const {
  auto all = damaged;
  for (auto& span : spans) {
    if (span.wal == 0) all.push_back({span.first, span.end() - 1});
  }
  std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<IndexRange> merged;
  for (auto& range : all) {
    if (!merged.empty() && range.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

SegmentLog& Catalog::log(std::uint32_t segment) {
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

void Catalog::join(polyquorum::Segment::Reader segment) {
  auto message = kj::heap<capnp::MallocMessageBuilder>();
  message->setRoot(segment);
  chain[segment.getId()] = kj::mv(message);
  for (auto& older : logs) {
    if (older.first < segment.getId()) older.second.ended = true;
  }
}

bool Catalog::isSpecial(storage::Write::Reader write) const {
  if (write.getBase().getIndex() != 0 || write.getTrim() != 0 || write.getTruncateFrom() != 0 ||
      write.getFacts().size() != 0 || write.hasNext()) {
    return true;
  }
  auto found = logs.find(write.getSegment());
  Index last = found == logs.end() ? 0 : found->second.last();
  for (auto entry : write.getEntries()) {
    if (entry.getIndex() <= last) return true;
    last = entry.getIndex();
  }
  return false;
}

void Catalog::before(storage::Write::Reader write) {
  auto base = write.getBase();
  if (base.getIndex() > (adopted.empty() ? 0 : adopted.back().index)) {
    adopted.push_back({base.getStamp(), base.getIndex()});
  }
  auto& target = log(write.getSegment());
  if (auto trim = write.getTrim()) {
    // Indexes are dense over the chain, so what goes here goes in older segments too.
    for (auto& each : logs) {
      if (each.first <= write.getSegment()) each.second.floor = std::max(each.second.floor, trim);
    }
  }
  if (auto from = write.getTruncateFrom()) target.erase(from, END);
}

void Catalog::after(storage::Write::Reader write) {
  auto& target = log(write.getSegment());
  for (auto fact : write.getFacts()) target.facts[fact.getName().cStr()] = fact.getValue();
  if (!write.hasNext()) return;
  auto next = write.getNext();
  join(next);
  if (next.getId() > write.getSegment()) {
    target.erase(next.getBase() + 1, END);
    target.ended = true;
  }
}

void Catalog::demand(Index first, Index last) {
  for (auto segment = chain.begin(); segment != chain.end(); ++segment) {
    auto after = std::next(segment);
    auto base = segment->second->getRoot<polyquorum::Segment>().getBase();
    auto from = std::max(first, base + 1);
    auto to = last;
    if (after != chain.end()) {
      to = std::min(to, after->second->getRoot<polyquorum::Segment>().getBase());
    }
    if (from > to) continue;
    auto& log = this->log(segment->first);
    for (auto i = log.find(from); from <= to; ++i) {
      if (i == log.spans.end() || i->first > to) {
        log.damage(from, to);
        break;
      }
      if (i->first > from) log.damage(from, i->first - 1);
      from = i->end();
    }
  }
}

void Catalog::settle(Index snapshotIndex) {
  for (auto i = logs.begin(); i != logs.end();) {
    auto& log = i->second;
    log.erase(0, std::min(log.floor, snapshotIndex + 1));
    bool forgotten = log.ended && log.spans.empty() && log.damaged.empty();
    i = forgotten ? logs.erase(i) : std::next(i);
  }
}

}  // namespace polyquorum::file
