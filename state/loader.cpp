// SPDX-License-Identifier: Apache-2.0
// Reads an image in slices of any size and believes nothing in it; see image.h.
#include <kj/debug.h>
#include <stdexcept>
#include "state/bytes.h"
#include "state/image.h"
#include "state/machine.h"

namespace polyquorum::state {

class ImageLoader final : public Loader {
public:
  ImageLoader()
      : machine(std::make_unique<Machine>(Tree::Empty())), nodes(machine->tree) {}

  void feed(std::span<const std::uint8_t> bytes) override {
    std::string_view fresh(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (carry.empty()) {
      auto used = consume(fresh);
      carry.assign(fresh.substr(used));
      return;
    }
    // Only the cut record is put together; what follows it is read where it lies.
    while (!fresh.empty() && !carry.empty()) {
      auto missing = std::min(missingBytes(), fresh.size());
      carry.append(fresh.substr(0, missing));
      fresh.remove_prefix(missing);
      carry.erase(0, consume(carry));
    }
    if (carry.empty()) carry.assign(fresh.substr(consume(fresh)));
  }

  std::unique_ptr<State> finish() override {
    if (stage() != DONE) fail("the image ends too early");
    if (!carry.empty()) fail("something follows the image");
    check(nodes.finish(std::move(unusedSlots)));
    if (!machine->acls.setUnused(std::move(unusedAcls))) fail("ACLs that no node has");
    auto& tree = machine->tree;
    tree.eachBelow(ROOT, [&](Slot slot) {
      auto& node = tree.at(slot);
      if (node.kind() == Kind::EPHEMERAL && !machine->sessions.find(node.owner())) {
        fail("an ephemeral node without its session");
      }
      if (node.name() != LIMITS_NAME) return;
      auto path = tree.path(slot);
      auto limited = quotaTarget(path, LIMITS_NAME);
      if (limited.size() > 1) machine->quotas.add(limited);
    });
    if (machine->digest() != header.digest) fail("the digest is not that of the content");
    return std::move(machine);
  }

private:
  enum Stage { HEADER, ACLS, UNUSED_ACLS, UNUSED_SLOTS, SESSIONS, NODES, DONE };

  std::unique_ptr<Machine> machine;
  TreeLoader nodes;
  std::string carry;            // the beginning of a record
  std::uint64_t offset = 0;     // of carry's first byte in the image
  bool headerRead = false;
  ImageHeader header;
  std::uint64_t sessionsRead = 0, lastSession = 0;
  std::uint32_t nodesRead = 0;
  std::vector<AclId> unusedAcls;
  std::vector<Slot> unusedSlots;

  [[noreturn]] void fail(const char* problem) const {
    throw std::runtime_error("state image: " + std::string(problem) + ", at byte " +
                             std::to_string(offset) + "; fetch it again from another node");
  }
  void check(const char* problem) const {
    if (problem != nullptr) fail(problem);
  }

  Stage stage() const {
    if (!headerRead) return HEADER;
    if (machine->acls.size() < header.acls) return ACLS;
    if (unusedAcls.size() < header.unusedAcls) return UNUSED_ACLS;
    if (unusedSlots.size() < header.unusedSlots) return UNUSED_SLOTS;
    if (sessionsRead < header.sessions) return SESSIONS;
    return nodesRead < header.slots - header.unusedSlots ? NODES : DONE;
  }

  /// Bytes until carry is a whole record, or until its size is known.
  std::size_t missingBytes() const {
    constexpr auto PREFIX = sizeof(std::uint32_t);
    if (carry.size() < PREFIX) return PREFIX - carry.size();
    std::uint32_t size;
    memcpy(&size, carry.data(), PREFIX);
    return PREFIX + size - carry.size();
  }

  /// Takes the whole records in front; answers how many bytes they were.
  std::size_t consume(std::string_view bytes) {
    ByteReader in(bytes);
    std::string_view record;
    while (true) {
      std::uint32_t size = 0;
      if (in.left() >= sizeof(size)) {
        memcpy(&size, bytes.data() + (bytes.size() - in.left()), sizeof(size));
        if (size > RECORD_BYTES_MAX) fail("a record is too large");
      }
      if (!in.sized(record)) return bytes.size() - in.left();
      take(record);
      offset += sizeof(size) + record.size();
    }
  }

  void take(std::string_view record) {
    switch (stage()) {
      case HEADER: return takeHeader(record);
      case ACLS: return takeAcl(record);
      case UNUSED_ACLS: return takeList(record, unusedAcls, header.unusedAcls);
      case UNUSED_SLOTS: return takeList(record, unusedSlots, header.unusedSlots);
      case SESSIONS: return takeSession(record);
      case NODES:
        check(nodes.add(record));
        nodesRead++;
        return;
      case DONE: fail("something follows the image");
    }
  }

  void takeHeader(std::string_view record) {
    if (record.size() != sizeof(header)) fail("this is no state image");
    memcpy(&header, record.data(), sizeof(header));
    if (header.magic != IMAGE_MAGIC) fail("this is no state image, or of another version");
    if (header.unusedSlots > header.slots || header.unusedAcls > header.acls) {
      fail("more is unused than there is");
    }
    headerRead = true;
    machine->now = {header.index, header.timeMs};
    nodes.begin(header.slots, header.slots - header.unusedSlots);
  }

  void takeAcl(std::string_view record) {
    if (record.empty()) return machine->acls.place(std::nullopt);
    ByteReader in(record);
    std::uint32_t count = 0;
    std::vector<Permission> list;
    bool whole = in.number(count) && count > 0 && count <= in.left();
    for (std::uint32_t i = 0; whole && i < count; i++) {
      std::uint8_t bits = 0;
      std::string_view scheme, id;
      whole = in.number(bits) && in.sized(scheme) && in.sized(id);
      if (whole) list.push_back({bits, {std::string(scheme), std::string(id)}});
    }
    if (!whole || in.left() > 0) fail("an ACL's size is wrong");
    machine->acls.place(std::move(list));
  }

  void takeList(std::string_view record, std::vector<std::uint32_t>& list, std::uint32_t count) {
    auto more = record.size() / sizeof(std::uint32_t);
    if (more == 0 || record.size() % sizeof(std::uint32_t) != 0 || more > count - list.size()) {
      fail("a list's size is wrong");
    }
    auto before = list.size();
    list.resize(before + more);
    memcpy(list.data() + before, record.data(), record.size());
  }

  void takeSession(std::string_view record) {
    auto session = Sessions::fromRecord(record);
    if (session.id <= lastSession) fail("a session is damaged or out of order");
    if (machine->sessions.attachedUnder(session.incarnation)) fail("two sessions in one entry");
    lastSession = session.id;
    sessionsRead++;
    machine->sessions.add(std::move(session));
  }
};

std::unique_ptr<Loader> State::load() { return std::make_unique<ImageLoader>(); }

}  // namespace polyquorum::state
