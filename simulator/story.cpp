// SPDX-License-Identifier: Apache-2.0
// What happened in one run; see story.h.
#include "simulator/story.h"
#include <cstdio>

namespace polyquorum::simulator {
namespace {

/// What a person reads first; the rest is for whoever asks for all of it.
bool coarse(Event::Kind kind) {
  switch (kind) {
    case Event::PHASE:
    case Event::FAULT:
    case Event::CURE:
    case Event::START:
    case Event::STOP:
    case Event::LOG:
    case Event::VIOLATION:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Story::tell(Event&& event) {
  event.ms = now ? now() : 0.0;
  if (trace != nullptr) *trace << json(event) << '\n';
  if (coarse(event.kind)) {
    char stamp[32];
    snprintf(stamp, sizeof(stamp), "%12.3f ms  ", event.ms);
    lines.push_back(stamp + plain(event));
    if (lines.size() > LINES_KEPT) lines.pop_front();
  }
  if (events != nullptr) events->push_back(std::move(event));
}

void Story::tell(Event::Kind kind, core::MemberId server, const std::string& text) {
  Event event;
  event.kind = kind;
  event.server = server;
  event.text = text;
  tell(std::move(event));
}

void Story::violate(const std::string& checker, const std::string& what) {
  Event event;
  event.kind = Event::VIOLATION;
  event.what = checker;
  event.text = what;
  tell(std::move(event));
  if (first) return;
  first = Violation{checker, what};
  if (broken) broken();
}

}  // namespace polyquorum::simulator
