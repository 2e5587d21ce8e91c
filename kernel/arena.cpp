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
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace {

constexpr std::size_t GRAIN = 16, SMALL_MAX = 1024, LISTS = SMALL_MAX / GRAIN + 1;
constexpr std::size_t CHUNK = 32 << 10, PAGE = 4 << 10;
constexpr std::size_t RANGE = std::size_t(16) << 30;  // of addresses, not memory
constexpr std::size_t WARM_MAX = 64;  // empty chunks whose memory is kept

struct Free {
  Free* next;
};
struct Arena;

/// Where a chunk is: the one that objects are made in, in the list of those with room, or in no list.
enum class State : std::uint8_t { CURRENT, ROOMY, FULL };

/// The head of CHUNK bytes that hold objects of one size, or nothing.
struct alignas(64) Chunk {
  Free* free;        ///< Objects that were deleted, or cut and not made yet.
  Arena* owner;      ///< Its thread alone changes this head.
  Chunk* next;       ///< Of the roomy, or of the empty ones.
  Chunk* previous;
  char* uncut;       ///< From here on no objects yet.
  std::uint32_t used;
  std::uint16_t list;
  State state;
};

/// Of one thread, and never deleted: its objects may outlive the thread.
struct Arena {
  Chunk* current[LISTS] = {};  ///< That of size 0 stays null.
  Chunk* roomy[LISTS] = {};
  Chunk* warm = nullptr;  ///< Empty ones, at most WARM_MAX,
  Chunk* cold = nullptr;  ///< and those that gave their memory back.
  std::size_t warms = 0;
  std::uint64_t made = 0;
  std::atomic<Free*> strays{nullptr};  ///< Deleted by other threads.
};

std::uintptr_t base = std::uintptr_t(1) << 63;  ///< Where chunks lie; at first where nothing is.
std::atomic<std::size_t> chunks{0};             ///< Handed out.
Arena none;                                     ///< Of threads that have none; it stays as it is.
thread_local Arena* arena = &none;

void link(Chunk& chunk) {
  auto& first = arena->roomy[chunk.list];
  chunk.state = State::ROOMY;
  chunk.previous = nullptr;
  chunk.next = first;
  if (first != nullptr) first->previous = &chunk;
  first = &chunk;
}

void unlink(Chunk& chunk) {
  if (chunk.next != nullptr) chunk.next->previous = chunk.previous;
  (chunk.previous != nullptr ? chunk.previous->next : arena->roomy[chunk.list]) = chunk.next;
}

/// A chunk that is not current got an object back, its last one or the first since it was full.
[[gnu::noinline]] void dropped(Chunk& chunk) {
  if (chunk.used > 0) return link(chunk);
  if (chunk.state == State::ROOMY) unlink(chunk);
  auto& empty = arena->warms < WARM_MAX ? arena->warm : arena->cold;
  if (&empty == &arena->warm) {
    arena->warms++;
  } else {
    auto* begin = reinterpret_cast<char*>(&chunk);
    madvise(begin + PAGE, CHUNK - PAGE, MADV_DONTNEED);  // all but the head
  }
  chunk.next = empty;
  empty = &chunk;
}

Chunk* takeEmpty() {
  if (arena->warm != nullptr) {
    arena->warms--;
    return std::exchange(arena->warm, arena->warm->next);
  }
  return arena->cold == nullptr ? nullptr : std::exchange(arena->cold, arena->cold->next);
}

inline Chunk& chunkOf(std::uintptr_t place) {
  return *reinterpret_cast<Chunk*>(base + place / CHUNK * CHUNK);
}

inline void giveBack(Chunk& chunk, void* object) {
  chunk.free = new (object) Free{chunk.free};
  chunk.used--;
  if (chunk.state != State::CURRENT && (chunk.used == 0 || chunk.state == State::FULL)) dropped(chunk);
}

void takeStrays() {
  auto* next = arena->strays.exchange(nullptr, std::memory_order_acquire);
  while (next != nullptr) {
    auto* object = next;
    next = object->next;
    giveBack(chunkOf(reinterpret_cast<std::uintptr_t>(object) - base), object);
  }
}

/// Cuts a page of objects, at least one; false if there is no room for any.
bool cut(Chunk& chunk) {
  auto size = chunk.list * GRAIN;
  auto room = reinterpret_cast<char*>(&chunk) + CHUNK - chunk.uncut;
  auto count = std::min(static_cast<std::size_t>(room), PAGE) / size;
  for (auto i = count; i > 0; i--) chunk.free = new (chunk.uncut + (i - 1) * size) Free{chunk.free};
  chunk.uncut += count * size;
  return count > 0;
}

/// A chunk for objects of this list; null if there is no room for more.
Chunk* newChunk(std::size_t list) {
  auto* chunk = takeEmpty();
  if (chunk == nullptr) {
    auto number = chunks.fetch_add(1, std::memory_order_relaxed);
    if (number >= RANGE / CHUNK) return nullptr;
    chunk = reinterpret_cast<Chunk*>(base + number * CHUNK);
  }
  return new (chunk) Chunk{nullptr, arena, nullptr, nullptr, reinterpret_cast<char*>(chunk + 1), 0,
                           static_cast<std::uint16_t>(list), State::CURRENT};
}

/// Makes another chunk of this list the current one, if the current one is full. False: there is none.
bool refill(std::size_t list) {
  takeStrays();
  auto*& current = arena->current[list];
  while (current == nullptr || (current->free == nullptr && !cut(*current))) {
    if (current != nullptr) current->state = State::FULL;
    current = arena->roomy[list];
    if (current != nullptr) {
      unlink(*current);
      current->state = State::CURRENT;
    } else if ((current = newChunk(list)) == nullptr) {
      return false;
    }
  }
  return true;
}

void* plain(std::size_t size) {
  for (;;) {
    if (auto* object = std::malloc(size > 0 ? size : 1)) return object;
    auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

inline void* takeFrom(Chunk& chunk) {
  auto* first = chunk.free;
  chunk.free = first->next;
  chunk.used++;
  arena->made++;
  return first;
}

[[gnu::noinline]] void* makeSlowly(std::size_t size) {
  auto list = (size + GRAIN - 1) / GRAIN;
  if (arena == &none || list == 0 || list >= LISTS || !refill(list)) return plain(size);
  return takeFrom(*arena->current[list]);
}

inline void* make(std::size_t size) {
  if (size <= SMALL_MAX) {
    auto* chunk = arena->current[(size + GRAIN - 1) / GRAIN];
    if (chunk != nullptr && chunk->free != nullptr) return takeFrom(*chunk);
  }
  return makeSlowly(size);
}

[[gnu::noinline]] void stray(Arena& owner, void* object) {
  auto* last = new (object) Free{owner.strays.load(std::memory_order_relaxed)};
  while (!owner.strays.compare_exchange_weak(last->next, last, std::memory_order_release,
                                             std::memory_order_relaxed)) {
  }
}

inline void drop(void* object) {
  auto place = reinterpret_cast<std::uintptr_t>(object) - base;
  if (place >= RANGE) return std::free(object);
  auto& chunk = chunkOf(place);
  if (chunk.owner != arena) return stray(*chunk.owner, object);
  giveBack(chunk, object);
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
  if (reserved && arena == &none) arena = new (plain(sizeof(Arena))) Arena();
}

std::uint64_t objectsMade() { return arena->made; }

}  // namespace polyquorum::kernel

#endif
