// SPDX-License-Identifier: Apache-2.0
// The trap for code of the simulated world that asks the real one for time, chance, sockets, threads,
// files or processes. The program defines those functions itself: a call from inside a simulated server
// is told, and then done; a call from anywhere else is passed on.
#pragma once
#include <functional>
#include <string>

namespace polyquorum::simulator {

/// While one lives, what this thread runs belongs to the simulated world. May be nested.
class Inside {
 public:
  Inside();
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  const bool before;
};

/// function: as the linker knows it. caller: the library that asked, not a system's one between.
using EscapeSink = std::function<void(const std::string& function, const std::string& caller)>;
/// Told of each call from inside; an empty one: nobody is.
void onEscape(EscapeSink sink);

/// False under sanitizers, which need those functions for themselves.
bool trapped();

}  // namespace polyquorum::simulator
