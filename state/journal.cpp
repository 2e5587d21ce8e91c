// SPDX-License-Identifier: Apache-2.0
// How a failed multi leaves no trace in the tree: each change kept what it replaced.
#include <cstdlib>
#include "state/tree.h"

namespace polyquorum::state {

void Tree::commit() {
  for (auto& step : journal) {
    if (step.what == Undo::REMOVED) {
      acls.release(step.block->acl);
      std::free(step.block);
    } else if (step.what == Undo::ACL) {
      acls.release(step.acl);
    }
  }
  journal.clear();
  journaling = false;
}

void Tree::rollBack() {
  journaling = false;
  for (auto step = journal.rbegin(); step != journal.rend(); ++step) undo(*step);
  journal.clear();
}

void Tree::undo(Undo& step) {
  auto slot = step.slot;
  switch (step.what) {
    case Undo::CREATED: {
      auto* block = slots.at(slot);
      auto parent = block->parent;
      sum -= statHash(*block) + dataHash(*block);
      bytesTotal -= step.pathBytes + block->dataBytes();
      unlink(slot);
      slots.give(slot);
      acls.release(block->acl);
      std::free(block);
      setParent(parent, step.number, step.zxid);
      break;
    }
    case Undo::REMOVED: {
      // Undone in reverse order, so the slot is the last one given back.
      auto* block = step.block;
      slots.take(block);
      link(slot);
      sum += statHash(*block) + dataHash(*block);
      bytesTotal += step.pathBytes + block->dataBytes();
      setParent(block->parent, step.number, step.zxid);
      break;
    }
    case Undo::DATA: {
      sum -= statHash(node(slot)) + dataHash(node(slot));
      putData(slot, {step.bytes, step.present});
      auto& restored = node(slot);
      restored.version = step.number;
      restored.mzxid = step.zxid;
      restored.mtimeMs = step.timeMs;
      sum += statHash(restored) + dataHash(restored);
      break;
    }
    case Undo::ACL: {
      auto& restored = node(slot);
      sum -= statHash(restored);
      acls.release(restored.acl);
      restored.acl = step.acl;
      restored.aversion = step.number;
      sum += statHash(restored);
      break;
    }
  }
}

void Tree::keepOld(Slot slot) {
  std::string old;
  record(slot, old);
  frozen->kept.emplace(slot, std::move(old));
}

}  // namespace polyquorum::state
