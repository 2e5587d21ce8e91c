// SPDX-License-Identifier: Apache-2.0
// Writes the image of one moment while later entries are applied: what changes before its turn
// keeps its old record. See image.h, freeze.h.
#include <kj/debug.h>
#include <algorithm>
#include "state/bytes.h"
#include "state/image.h"
#include "state/machine.h"

namespace polyquorum::state {

class ImageCapture final : public Capture {
public:
  explicit ImageCapture(Machine& machine) : machine(machine) {
    auto& slots = machine.tree.slotTable();
    header.index = machine.now.index;
    header.timeMs = machine.now.timeMs;
    header.digest = machine.digest();
    people.ids = machine.sessions.sortedIds();
    people.waiting.end = people.ids.size();
    header.sessions = people.ids.size();
    for (AclId id = 0; id < machine.acls.size(); id++) acls.push_back(machine.acls.at(id));
    unusedAcls = machine.acls.unusedIds();
    unusedSlots = slots.unusedSlots();
    header.acls = acls.size();
    header.unusedAcls = unusedAcls.size();
    header.slots = nodes.end = slots.count();
    header.unusedSlots = unusedSlots.size();
    machine.tree.freeze(&nodes);
    machine.sessions.freeze(&people);
  }
  ~ImageCapture() override {
    machine.tree.freeze(nullptr);
    machine.sessions.freeze(nullptr);
  }

  std::uint64_t index() const override { return header.index; }

  /// The call that answers false appends nothing.
  bool next(std::size_t bytesMax, std::string& out) override {
    auto start = out.size();
    while (out.size() - start < std::max<std::size_t>(bytesMax, 1)) {
      if (!headerWritten) {
        headerWritten = true;
        appendSized(out, {reinterpret_cast<const char*>(&header), sizeof(header)});
      } else if (aclCursor < acls.size()) {
        recordAcl(acls[aclCursor++].get(), out);
      } else if (!nextOf(unusedAcls, unusedAclCursor, out) &&
                 !nextOf(unusedSlots, unusedSlotCursor, out) && !nextSession(out) &&
                 !nextNode(out)) {
        break;
      }
    }
    return out.size() > start;
  }

private:
  Machine& machine;
  ImageHeader header;
  bool headerWritten = false;
  std::vector<Acl> acls;
  std::size_t aclCursor = 0, unusedAclCursor = 0, unusedSlotCursor = 0;
  std::vector<AclId> unusedAcls;
  std::vector<Slot> unusedSlots;
  Sessions::Frozen people;
  Freeze nodes;

  static bool nextOf(const std::vector<std::uint32_t>& list, std::size_t& cursor,
                     std::string& out) {
    auto count = std::min<std::size_t>(list.size() - cursor, LIST_COUNT_MAX);
    if (count == 0) return false;
    appendSized(out, {reinterpret_cast<const char*>(list.data() + cursor),
                      count * sizeof(std::uint32_t)});
    cursor += count;
    return true;
  }

  bool nextSession(std::string& out) {
    auto& waiting = people.waiting;
    if (waiting.cursor == waiting.end) return false;
    auto old = waiting.kept.find(waiting.cursor);
    if (old != waiting.kept.end()) {
      appendSized(out, old->second);
      waiting.kept.erase(old);
    } else {
      std::string record;
      Sessions::record(*machine.sessions.find(people.ids[waiting.cursor]), record);
      appendSized(out, record);
    }
    waiting.cursor++;
    return true;
  }

  bool nextNode(std::string& out) {
    while (nodes.cursor < nodes.end) {  // unused slots write nothing
      auto before = out.size();
      auto slot = nodes.cursor;
      auto old = nodes.kept.empty() ? nodes.kept.end() : nodes.kept.find(slot);
      if (old != nodes.kept.end()) {
        out.append(old->second);
        nodes.kept.erase(old);
      } else if (machine.tree.slotTable().at(slot) != nullptr) {
        machine.tree.record(slot, out);
      }
      nodes.cursor++;
      if (out.size() > before) return true;
    }
    return false;
  }
};

std::unique_ptr<Capture> Machine::capture() {
  KJ_REQUIRE(tree.freezing() == nullptr, "one capture at a time: drop the one before");
  return std::make_unique<ImageCapture>(*this);
}

}  // namespace polyquorum::state
