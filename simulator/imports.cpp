// SPDX-License-Identifier: Apache-2.0
// What a plugin's library asks of others; see imports.h.
#include "simulator/imports.h"
#include <elf.h>
#include <kj/debug.h>
#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

namespace polyquorum::simulator {
namespace {

enum Reach : std::uint8_t { CLOCK, CHANCE, SOCKETS, THREADS, SLEEP, FILES, PROCESSES, LOADING };

const char* const WHY[] = {"reads a clock", "draws chance", "opens sockets", "starts threads",
                           "sleeps",        "opens files",  "starts processes", "loads libraries"};

struct Ban {
  Reach reach;
  const char* name;  ///< with a * at its end: everything that begins so
};

const Ban BANS[] = {
    {CLOCK, "clock_gettime"},
    {CLOCK, "gettimeofday"},
    {CLOCK, "time"},
    {CLOCK, "times"},
    {CLOCK, "clock"},
    {CLOCK, "ftime"},
    {CLOCK, "timespec_get"},
    {CLOCK, "_ZNSt6chrono3_V212steady_clock3nowEv"},
    {CLOCK, "_ZNSt6chrono3_V212system_clock3nowEv"},
    {CLOCK, "_ZN2kj25systemCoarseCalendarClockEv"},
    {CLOCK, "_ZN2kj26systemPreciseCalendarClockEv"},
    {CLOCK, "_ZN2kj26systemCoarseMonotonicClockEv"},
    {CLOCK, "_ZN2kj27systemPreciseMonotonicClockEv"},
    {CHANCE, "rand"},
    {CHANCE, "rand_r"},
    {CHANCE, "srand"},
    {CHANCE, "random"},
    {CHANCE, "random_r"},
    {CHANCE, "srandom"},
    {CHANCE, "drand48"},
    {CHANCE, "erand48"},
    {CHANCE, "lrand48"},
    {CHANCE, "mrand48"},
    {CHANCE, "getrandom"},
    {CHANCE, "getentropy"},
    {CHANCE, "arc4random*"},
    {CHANCE, "RAND_*"},
    {CHANCE, "_ZNSt13random_device*"},
    {SOCKETS, "socket"},
    {SOCKETS, "socketpair"},
    {SOCKETS, "connect"},
    {SOCKETS, "bind"},
    {SOCKETS, "listen"},
    {SOCKETS, "accept*"},
    {SOCKETS, "send"},
    {SOCKETS, "sendto"},
    {SOCKETS, "sendmsg"},
    {SOCKETS, "recv*"},
    {SOCKETS, "getaddrinfo"},
    {SOCKETS, "gethostby*"},
    {SOCKETS, "epoll_*"},
    {SOCKETS, "_ZN5boost4asio*"},
    {SOCKETS, "_ZN2kj12setupAsyncIoEv"},
    {THREADS, "pthread_create"},
    {THREADS, "thrd_create"},
    {THREADS, "_ZNSt6thread*"},
    {THREADS, "_ZN2kj6ThreadC*"},
    {SLEEP, "nanosleep"},
    {SLEEP, "clock_nanosleep"},
    {SLEEP, "usleep"},
    {SLEEP, "sleep"},
    {SLEEP, "timerfd_*"},
    {SLEEP, "setitimer"},
    {SLEEP, "_ZNSt11this_thread11__sleep_for*"},
    {FILES, "open"},
    {FILES, "open64"},
    {FILES, "openat"},
    {FILES, "openat64"},
    {FILES, "__open*_2"},
    {FILES, "creat*"},
    {FILES, "fopen*"},
    {FILES, "freopen*"},
    {FILES, "opendir"},
    {FILES, "_ZNSt10filesystem*"},
    {FILES, "_ZNSt12__basic_fileIcE*"},
    {FILES, "_ZNSt13basic_filebuf*"},
    {FILES, "_ZNSt14basic_ifstream*"},
    {FILES, "_ZNSt14basic_ofstream*"},
    {FILES, "_ZNSt13basic_fstream*"},
    {FILES, "_ZN2kj17newDiskFilesystemEv"},
    {PROCESSES, "fork"},
    {PROCESSES, "vfork"},
    {PROCESSES, "exec*"},
    {PROCESSES, "system"},
    {PROCESSES, "popen"},
    {PROCESSES, "posix_spawn*"},
    {PROCESSES, "syscall"},
    {LOADING, "dlopen"},
    {LOADING, "dlsym"},
};

/// A * stands for whatever, once.
bool fits(const std::string& symbol, const std::string& name) {
  auto star = name.find('*');
  if (star == std::string::npos) return symbol == name;
  auto head = name.substr(0, star), tail = name.substr(star + 1);
  return symbol.size() >= head.size() + tail.size() &&
         symbol.compare(0, head.size(), head) == 0 &&
         symbol.compare(symbol.size() - tail.size(), tail.size(), tail) == 0;
}

/// Those who speak with the world outside do so through the environment's io(), which is Boost.Asio; what
/// of files an API tells operators is its own.
bool allowed(const std::string& kind, Reach reach) {
  bool speaks = kind == "transport" || kind == "api";
  return (speaks && reach == SOCKETS) || (kind == "api" && reach == FILES);
}

template <typename T>
T at(const std::string& bytes, std::uint64_t offset) {
  KJ_REQUIRE(offset <= bytes.size() && bytes.size() - offset >= sizeof(T), "a library cut short");
  T out;
  memcpy(&out, bytes.data() + offset, sizeof(out));
  return out;
}

std::string nameAt(const std::string& bytes, std::uint64_t offset) {
  KJ_REQUIRE(offset < bytes.size(), "a library cut short");
  return bytes.c_str() + offset;
}

}  // namespace

std::vector<std::string> importsOf(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  KJ_REQUIRE(in.good(), "cannot be read", file);
  std::ostringstream content;
  content << in.rdbuf();
  auto bytes = content.str();
  auto head = at<Elf64_Ehdr>(bytes, 0);
  bool elf = memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_ident[EI_CLASS] == ELFCLASS64;
  KJ_REQUIRE(elf, "is no ELF library of 64 bits", file);
  std::vector<std::string> out;
  for (unsigned i = 0; i < head.e_shnum; i++) {
    auto section = at<Elf64_Shdr>(bytes, head.e_shoff + std::uint64_t{i} * head.e_shentsize);
    if (section.sh_type != SHT_DYNSYM) continue;
    auto names = at<Elf64_Shdr>(bytes, head.e_shoff + std::uint64_t{section.sh_link} * head.e_shentsize);
    for (std::uint64_t n = 0; n < section.sh_size / sizeof(Elf64_Sym); n++) {
      auto symbol = at<Elf64_Sym>(bytes, section.sh_offset + n * sizeof(Elf64_Sym));
      if (symbol.st_shndx != SHN_UNDEF || symbol.st_name == 0) continue;
      out.push_back(nameAt(bytes, names.sh_offset + symbol.st_name));
    }
  }
  KJ_REQUIRE(!out.empty(), "has no dynamic symbols", file);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<ForbiddenImport> forbiddenImports(const std::string& kind,
                                              const std::vector<std::string>& imports) {
  std::vector<ForbiddenImport> out;
  for (auto& symbol : imports) {
    for (auto& ban : BANS) {
      if (!fits(symbol, ban.name) || allowed(kind, ban.reach)) continue;
      out.push_back({symbol, WHY[ban.reach]});
      break;
    }
  }
  return out;
}

}  // namespace polyquorum::simulator
