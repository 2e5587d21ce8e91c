// SPDX-License-Identifier: Apache-2.0
// Letters of the cores and their form on the wire; see mail.h.
#include "kernel/mail.h"
#include <capnp/serialize.h>
#include <kj/debug.h>
#include <cstring>

namespace polyquorum::kernel {

MailEntry MailEntry::clone() const {
  MailEntry copy{index, stamp, nullptr};
  KJ_IF_MAYBE(held, body) copy.body = const_cast<SharedBody&>(**held).share();
  return copy;
}

bool Mail::sameText(const Mail& other) const {
  if (kind != other.kind || numbers != other.numbers || entries.size() != other.entries.size()) {
    return false;
  }
  auto address = [](const MailEntry& entry) -> const SharedBody* {
    KJ_IF_MAYBE(body, entry.body) return body->get();
    return nullptr;
  };
  for (std::size_t i = 0; i < entries.size(); i++) {
    auto &mine = entries[i], &theirs = other.entries[i];
    if (mine.index != theirs.index || mine.stamp != theirs.stamp) return false;
    if (address(mine) != address(theirs)) return false;
  }
  return true;
}

kj::Array<kj::byte> flatten(capnp::MessageBuilder& message) {
  auto words = capnp::messageToFlatArray(message);
  auto bytes = words.asBytes();
  return bytes.attach(kj::mv(words));
}

std::vector<std::uint64_t> numbersOf(capnp::List<std::uint64_t>::Reader list) {
  std::vector<std::uint64_t> numbers(list.size());
  for (unsigned i = 0; i < numbers.size(); i++) numbers[i] = list[i];
  return numbers;
}

Encoded encode(std::uint32_t segment, const Mail& mail) {
  capnp::MallocMessageBuilder message(mail.numbers.size() + 5 * mail.entries.size() + 16);
  auto letter = message.initRoot<wire::Letter>();
  letter.setSegment(segment);
  letter.setKind(mail.kind);
  auto numbers = letter.initNumbers(mail.numbers.size());
  for (unsigned i = 0; i < mail.numbers.size(); i++) numbers.set(i, mail.numbers[i]);
  Encoded out;
  out.bodies.reserve(mail.entries.size());
  auto heads = letter.initEntries(mail.entries.size());
  unsigned place = 0;
  for (auto& entry : mail.entries) {
    auto head = heads[place++];
    head.setIndex(entry.index);
    head.setStamp(entry.stamp);
    KJ_IF_MAYBE(body, entry.body) {
      head.setWords((*body)->asWords().size());
      out.bodies.push_back(const_cast<SharedBody&>(**body).share());
    }
  }
  out.letter = capnp::messageToFlatArray(message);
  return out;
}

Decoded decode(kj::ArrayPtr<const kj::byte> parcel) {
  KJ_REQUIRE(parcel.size() % sizeof(capnp::word) == 0, "a letter that is not made of whole words");
  KJ_REQUIRE(reinterpret_cast<std::uintptr_t>(parcel.begin()) % sizeof(capnp::word) == 0);
  auto words = kj::arrayPtr(reinterpret_cast<const capnp::word*>(parcel.begin()),
                            parcel.size() / sizeof(capnp::word));
  // Each word is read about once; a short letter that claims a long list of empty entries is refused.
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 2 * words.size() + 64;
  capnp::FlatArrayMessageReader reader(words, options);
  auto letter = reader.getRoot<wire::Letter>();
  Decoded out;
  out.segment = letter.getSegment();
  out.mail.kind = letter.getKind();
  out.mail.numbers = numbersOf(letter.getNumbers());
  auto rest = kj::arrayPtr(reader.getEnd(), words.end());
  auto heads = letter.getEntries();
  out.mail.entries.reserve(heads.size());
  for (auto head : heads) {
    MailEntry entry{head.getIndex(), head.getStamp(), nullptr};
    auto size = head.getWords();
    if (size != 0) {
      KJ_REQUIRE(size <= rest.size(), "a letter that promises more bodies than it has");
      entry.body = copyBody(rest.slice(0, size).asBytes());
      rest = rest.slice(size, rest.size());
    }
    out.mail.entries.push_back(kj::mv(entry));
  }
  KJ_REQUIRE(rest.size() == 0, "a letter with more words than it names");
  return out;
}

}  // namespace polyquorum::kernel
