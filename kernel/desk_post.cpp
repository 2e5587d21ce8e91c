// SPDX-License-Identifier: Apache-2.0
// Letters between desks; see desk_post.h.
#include "kernel/desk_post.h"
#include <capnp/serialize.h>
#include <algorithm>
#include "kernel/desk_lane.capnp.h"

namespace polyquorum::kernel {
namespace {

/// A letter is at most about this long, or one command.
constexpr std::size_t LETTER_BYTES_MAX = 512 << 10;

}  // namespace

void DeskPost::down(core::MemberId peer) {
  auto at = links.find(peer);
  if (at == links.end() || --at->second > 0) return;
  links.erase(at);
  bags.erase(peer);
}

void DeskPost::command(core::MemberId to, BodyRef body) {
  bags[to].commands.push_back(kj::mv(body));
}

void DeskPost::touch(core::MemberId to, std::uint64_t session, std::uint64_t incarnation,
                     std::uint32_t ageMs) {
  bags[to].touches.push_back({session, incarnation, ageMs});
}

void DeskPost::read(core::MemberId to, std::uint64_t barrier) {
  auto& bag = bags[to];
  bag.read = std::max(bag.read, barrier);
}

void DeskPost::readable(core::MemberId to, std::uint64_t barrier, core::Index index) {
  auto& bag = bags[to];
  bag.readable = std::max(bag.readable, barrier);
  bag.index = std::max(bag.index, index);
}

void DeskPost::ready(core::MemberId to) { bags[to].ready = true; }

void DeskPost::sendAll() {
  auto full = std::move(bags);
  bags.clear();
  for (auto& [to, bag] : full) send(to, bag);
}

void DeskPost::send(core::MemberId to, const Bag& bag) {
  std::size_t next = 0;
  do {
    next = sendSome(to, bag, next);
  } while (next < bag.commands.size());
}

std::size_t DeskPost::sendSome(core::MemberId to, const Bag& bag, std::size_t first) {
  std::size_t last = first, bytes = 0;
  while (last < bag.commands.size() && (last == first || bytes < LETTER_BYTES_MAX)) {
    bytes += bag.commands[last++]->bytes().size() + sizeof(capnp::word);
  }
  bool whole = last == bag.commands.size();
  auto touches = whole ? bag.touches.size() : 0;
  auto more = touches * 3 + bag.ending.size() * 2;
  capnp::MallocMessageBuilder message(bytes / sizeof(capnp::word) + more + 32);
  auto letter = message.initRoot<DeskLetter>();
  if (last > first) {
    auto commands = letter.initCommands(last - first);
    for (auto i = first; i < last; i++) commands.set(i - first, bag.commands[i]->bytes());
  }
  if (whole) {  // what is asked along with commands is asked after them
    auto list = letter.initTouches(touches);
    for (std::size_t i = 0; i < touches; i++) {
      list[i].setSession(bag.touches[i].session);
      list[i].setIncarnation(bag.touches[i].incarnation);
      list[i].setAgeMs(bag.touches[i].ageMs);
    }
    letter.setTold(bag.told);
    letter.setRead(bag.read);
  }
  letter.setReadable(bag.readable);
  letter.setIndex(bag.index);
  letter.setHeard(bag.heard);
  auto ending = letter.initEnding(bag.ending.size());
  for (unsigned i = 0; i < ending.size(); i++) {
    ending[i].setSession(bag.ending[i].session);
    ending[i].setIncarnation(bag.ending[i].incarnation);
  }
  letter.setReady(bag.ready);
  auto words = capnp::messageToFlatArray(message);
  auto view = words.asBytes();
  host.post(to, view.attach(kj::mv(words)));
  return last;
}

}  // namespace polyquorum::kernel
