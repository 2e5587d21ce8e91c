// SPDX-License-Identifier: Apache-2.0
// The arena, and the program's `new` and `delete` in front of it; see arena.h. Without useArena they
// are malloc and free.
#include "kernel/arena.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

namespace polyquorum::kernel {
void useArena() {}  // the sanitizer wants to see every object
std::uint64_t objectsMade() { return 0; }
}  // namespace polyquorum::kernel

#else

#include <sys/mman.h>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t GRAIN = 16, SIZE_MAX_SMALL = 1024, LISTS = SIZE_MAX_SMALL / GRAIN + 1;
constexpr std::size_t CHUNK = 64 << 10, RANGE = std::size_t(16) << 30;  // of addresses, not memory

struct Free {
  Free* next;
};

std::uintptr_t base = std::uintptr_t(1) << 63;  ///< where the arena lies; at first where nothing is
std::atomic<std::size_t> chunks{0};             ///< handed out
std::uint8_t listOf[RANGE / CHUNK];             ///< by chunk
std::atomic<Free*> strays[LISTS];               ///< deleted by threads that have no lists

struct Arena {
  Free* lists[LISTS] = {};  ///< that of size 0 stays empty
  std::uint64_t made = 0;
  bool on = false;
};
thread_local Arena arena;

/// Objects of this list: those that came back, or a new chunk of them; null if there is no room.
Free* refill(std::size_t list) {
  if (auto* back = strays[list].exchange(nullptr, std::memory_order_acquire)) return back;
  auto chunk = chunks.fetch_add(1, std::memory_order_relaxed);
  if (chunk >= RANGE / CHUNK) return nullptr;
  listOf[chunk] = static_cast<std::uint8_t>(list);
  auto size = list * GRAIN;
  auto* begin = reinterpret_cast<char*>(base + chunk * CHUNK);
  Free* first = nullptr;
  for (auto count = CHUNK / size; count > 0; count--) {
    first = new (begin + (count - 1) * size) Free{first};
  }
  return first;
}

void* plain(std::size_t size) {
  for (;;) {
    if (auto* object = std::malloc(size > 0 ? size : 1)) return object;
    auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

[[gnu::noinline]] void* makeSlowly(std::size_t size) {
  if (!arena.on || size > SIZE_MAX_SMALL || size == 0) return plain(size);
  auto list = (size + GRAIN - 1) / GRAIN;
  auto* first = refill(list);
  if (first == nullptr) return plain(size);
  arena.lists[list] = first->next;
  arena.made++;
  return first;
}

inline void* make(std::size_t size) {
  if (size <= SIZE_MAX_SMALL) {
    auto& list = arena.lists[(size + GRAIN - 1) / GRAIN];
    if (auto* first = list) {
      list = first->next;
      arena.made++;
      return first;
    }
  }
  return makeSlowly(size);
}

[[gnu::noinline]] void stray(std::size_t list, void* object) {
  auto* last = new (object) Free{strays[list].load(std::memory_order_relaxed)};
  while (!strays[list].compare_exchange_weak(last->next, last, std::memory_order_release)) {
  }
}

inline void drop(void* object) {
  auto place = reinterpret_cast<std::uintptr_t>(object) - base;
  if (place >= RANGE) return std::free(object);
  auto number = listOf[place / CHUNK];
  if (!arena.on) return stray(number, object);
  auto& list = arena.lists[number];
  list = new (object) Free{list};
}

}  // namespace

void* operator new(std::size_t size) { return make(size); }
void operator delete(void* object) noexcept { drop(object); }
void operator delete(void* object, std::size_t) noexcept { drop(object); }

namespace polyquorum::kernel {

void useArena() {
  static const bool reserved = [] {
    auto* at = mmap(nullptr, RANGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return false;
    base = reinterpret_cast<std::uintptr_t>(at);
    return true;
  }();
  arena.on = reserved;
}

std::uint64_t objectsMade() { return arena.made; }

}  // namespace polyquorum::kernel

#endif
