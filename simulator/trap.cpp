// SPDX-License-Identifier: Apache-2.0
// The trap; see trap.h. What is defined here wins over libc for every library that is loaded into
// the program, as the program comes first in the scope where names are looked up; trap.list lets
// the linker export it. No header may declare these functions here: each would come with its own
// attributes and inline versions.
#include "simulator/trap.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <cstddef>

#if defined(__has_feature)
#define POLYQUORUM_FEATURE(name) __has_feature(name)
#else
#define POLYQUORUM_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    POLYQUORUM_FEATURE(address_sanitizer) || POLYQUORUM_FEATURE(thread_sanitizer)
#define POLYQUORUM_TRAPPED 0
#else
#define POLYQUORUM_TRAPPED 1
#endif

namespace polyquorum::simulator {
namespace {

thread_local bool inside = false;

EscapeSink& sink() {
  static auto* one = new EscapeSink();
  return *one;
}

}  // namespace

Inside::Inside() : before(inside) { inside = true; }
Inside::~Inside() { inside = before; }

void onEscape(EscapeSink told) { sink() = std::move(told); }

bool trapped() { return POLYQUORUM_TRAPPED; }

#if POLYQUORUM_TRAPPED

namespace {

constexpr int FRAMES_MAX = 48;

bool ofSystem(const std::string& file) {
  bool system = file.compare(0, 5, "/lib/") == 0 || file.compare(0, 9, "/usr/lib/") == 0 ||
                file.compare(0, 7, "/lib64/") == 0;
  return system && file.find("/polyquorum/") == std::string::npos;
}

/// Who called: the first library above the call that is not the system's.
std::string callerOf(void* returns) {
  void* frames[FRAMES_MAX];
  auto count = backtrace(frames, FRAMES_MAX);
  bool above = false;
  for (int i = 0; i < count; i++) {
    above = above || frames[i] == returns;
    Dl_info info;
    if (!above || dladdr(frames[i], &info) == 0 || info.dli_fname == nullptr) continue;
    std::string file = info.dli_fname;
    if (!ofSystem(file)) return file.substr(file.rfind('/') + 1);
  }
  return "somebody";
}

__attribute__((noinline)) void escaped(const char* function, void* returns) {
  inside = false;  // what follows is the simulator's own doing
  if (sink()) sink()(function, callerOf(returns));
  inside = true;
}

/// The function that would be called if there were no trap.
template <typename Function>
Function* next(const char* name) {
  auto* found = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
  if (found == nullptr) __builtin_trap();  // trap.list names what libc does not have
  return found;
}

}  // namespace
}  // namespace polyquorum::simulator

#define TRAP_AS(Return, symbol, alias, Parameters, ...)                                       \
  extern "C" __attribute__((visibility("default"), noinline)) Return alias Parameters asm(symbol); \
  extern "C" Return alias Parameters {                                                        \
    using namespace polyquorum::simulator;                                                    \
    static auto* const real = next<Return Parameters>(symbol);                                \
    if (inside) escaped(symbol, __builtin_return_address(0));                                 \
    return real(__VA_ARGS__);                                                                 \
  }
#define TRAP(Return, name, Parameters, ...) TRAP_AS(Return, #name, trapped_##name, Parameters, __VA_ARGS__)

TRAP(int, clock_gettime, (int clock, void* out), clock, out)
TRAP(int, gettimeofday, (void* out, void* zone), out, zone)
TRAP(int, timespec_get, (void* out, int base), out, base)
TRAP(long, time, (long* out), out)
TRAP(int, nanosleep, (const void* wanted, void* left), wanted, left)
TRAP(int, clock_nanosleep, (int clock, int flags, const void* wanted, void* left), clock, flags, wanted, left)
TRAP(int, usleep, (unsigned microseconds), microseconds)
TRAP(unsigned, sleep, (unsigned seconds), seconds)
TRAP(int, rand, ())
TRAP(int, rand_r, (unsigned* seed), seed)
TRAP(long, random, ())
TRAP(double, drand48, ())
TRAP(long, getrandom, (void* out, std::size_t size, unsigned flags), out, size, flags)
TRAP(int, getentropy, (void* out, std::size_t size), out, size)
TRAP(unsigned, arc4random, ())
TRAP(void, arc4random_buf, (void* out, std::size_t size), out, size)
TRAP(unsigned, arc4random_uniform, (unsigned bound), bound)
TRAP_AS(unsigned, "_ZNSt13random_device9_M_getvalEv", trapped_random_device, (void* device), device)
TRAP(int, socket, (int family, int type, int protocol), family, type, protocol)
TRAP(int, socketpair, (int family, int type, int protocol, int* out), family, type, protocol, out)
TRAP(int, connect, (int fd, const void* address, unsigned size), fd, address, size)
TRAP(int, bind, (int fd, const void* address, unsigned size), fd, address, size)
TRAP(int, getaddrinfo, (const char* host, const char* service, const void* hints, void** out), host, service,
     hints, out)
// layering: allow(thread): defined, not called
TRAP(int, pthread_create, (void* out, const void* attributes, void* (*start)(void*), void* argument), out,
     attributes, start, argument)
TRAP(int, fork, ())
TRAP(int, system, (const char* command), command)
TRAP(void*, popen, (const char* command, const char* mode), command, mode)
TRAP(int, open, (const char* path, int flags, unsigned mode), path, flags, mode)
TRAP(int, open64, (const char* path, int flags, unsigned mode), path, flags, mode)
TRAP(int, openat, (int folder, const char* path, int flags, unsigned mode), folder, path, flags, mode)
TRAP(int, openat64, (int folder, const char* path, int flags, unsigned mode), folder, path, flags, mode)
TRAP(int, creat, (const char* path, unsigned mode), path, mode)
TRAP(void*, fopen, (const char* path, const char* mode), path, mode)
TRAP(void*, fopen64, (const char* path, const char* mode), path, mode)

#else
}  // namespace polyquorum::simulator
#endif
