// SPDX-License-Identifier: Apache-2.0
// The handles behind core::Body inside an adapted core: who counts a ticket's copies, and which
// tickets are free to go. Not the bodies themselves: those never leave the driver.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>
#include "sdk/core.h"

namespace polyquorum::sdk {

/// Turns tickets into handles and back. One per adapted core; outlives every handle it made. Blocks
/// of dropped handles are kept for the next ones, so a steady core allocates nothing.
class Tickets {
public:
  Tickets() = default;
  Tickets(const Tickets&) = delete;
  Tickets& operator=(const Tickets&) = delete;
  ~Tickets() {
    for (void* block : spare) ::operator delete(block);
  }

  /// A handle of its own for this giving; empty for ticket 0, whatever its bytes.
  core::Body give(std::uint64_t ticket, std::uint32_t bytes) {
    if (ticket == 0) return {};
    return {std::allocate_shared<Handle>(Recycler<Handle>(*this), *this, ticket), bytes};
  }

  /// The ticket of a body made by give(); 0 for an empty one.
  static std::uint64_t of(const core::Body& body) {
    return body ? static_cast<const Handle*>(body.held.get())->ticket : 0;
  }

  /// Tickets whose handles died since the last clear(), one line for each giving.
  std::vector<std::uint64_t> released;

private:
  struct Handle {
    Tickets& home;
    std::uint64_t ticket;
    Handle(Tickets& home, std::uint64_t ticket) : home(home), ticket(ticket) {}
    ~Handle() { home.released.push_back(ticket); }
  };

  /// Serves the one block size that allocate_shared asks for, from the blocks of dropped handles.
  template <typename T>
  struct Recycler {
    using value_type = T;
    Tickets* home;
    explicit Recycler(Tickets& home) : home(&home) {}
    template <typename U>
    Recycler(const Recycler<U>& other) : home(other.home) {}
    T* allocate(std::size_t count) { return static_cast<T*>(home->block(count * sizeof(T))); }
    void deallocate(T* block, std::size_t) { home->spare.push_back(block); }
    bool operator==(const Recycler&) const = default;
  };

  std::vector<void*> spare;

  void* block(std::size_t bytes) {
    if (spare.empty()) return ::operator new(bytes);
    void* found = spare.back();
    spare.pop_back();
    return found;
  }
};

}  // namespace polyquorum::sdk
