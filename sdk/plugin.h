// SPDX-License-Identifier: Apache-2.0
// The one symbol that a plugin exports, and what builds its self-description. No loading here: that
// is kernel/loader.
#pragma once
#include <capnp/schema.h>
#include <kj/memory.h>
#include <cstdint>
#include <initializer_list>
#include "interfaces/plugin.capnp.h"
#include "sdk/build_tag.h"
#include "sdk/environment.h"

#if defined(_LIBCPP_VERSION)
#define POLYQUORUM_LIBRARY "libc++"
#elif defined(_GLIBCXX_USE_CXX11_ABI) && !_GLIBCXX_USE_CXX11_ABI
#define POLYQUORUM_LIBRARY "libstdc++ of old"
#else
#define POLYQUORUM_LIBRARY "libstdc++"
#endif
#if defined(__SANITIZE_ADDRESS__)
#define POLYQUORUM_SANITIZER " asan"
#elif defined(__SANITIZE_THREAD__)
#define POLYQUORUM_SANITIZER " tsan"
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POLYQUORUM_SANITIZER " asan"
#elif __has_feature(thread_sanitizer)
#define POLYQUORUM_SANITIZER " tsan"
#endif
#endif
#ifndef POLYQUORUM_SANITIZER
#define POLYQUORUM_SANITIZER ""
#endif
#ifdef POLYQUORUM_MUTANTS
#define POLYQUORUM_BUGS " mutants"
#else
#define POLYQUORUM_BUGS ""
#endif

namespace polyquorum::sdk {

constexpr std::uint64_t PLUGIN_MAGIC = 0x6d75726f75715950;  // "PYquorum"
constexpr std::uint32_t DESCRIPTOR_VERSION = 2;

/// What program and plugin must have in common to call each other in C++. Compilers may differ: g++ and
/// clang agree on the rest.
constexpr const char* BUILD_TAG = POLYQUORUM_VERSION " sdk " POLYQUORUM_SDK_DIGEST
                                  " " POLYQUORUM_LIBRARY POLYQUORUM_SANITIZER POLYQUORUM_BUGS;

/// What the exported symbol `polyquorumPlugin` points at. Plain data, so that a wrong library is
/// refused before any of its code runs.
struct Descriptor {
  std::uint64_t magic;
  std::uint32_t descriptorVersion;
  std::uint32_t capnpVersion;  ///< CAPNP_VERSION; libkj promises no stability between releases.
  const char* buildTag;        ///< BUILD_TAG: nothing below is used if the program has another.
  std::uint64_t kind;          ///< Id of the interface that create() of the plugin returns.
  const char* name;            ///< As written in the YAML.
  /// One plugin object for one node. The environment outlives it.
  kj::Own<plugin::Plugin::Server> (*open)(Environment& environment);
};

/// One option as the plugin documents it; see OptionKind in plugin.capnp.
struct OptionText {
  const char* name;
  const char* initial;
  const char* accepted;
  const char* meaning;
};

/// One kind of letter as the plugin documents it; the last number repeats.
struct LetterText {
  std::uint16_t kind;
  const char* name;
  std::initializer_list<const char*> numbers;
};

/// Fills everything of a description but the traits. kind is the interface's schema.
void describe(plugin::Description::Builder description, kj::StringPtr name,
              capnp::InterfaceSchema kind, std::initializer_list<OptionText> options,
              std::initializer_list<LetterText> letters = {});

/// Versions of the interfaces of this build: same major, a plugin's minor not above the kernel's.
constexpr std::uint16_t INTERFACE_MAJOR = 0;
constexpr std::uint16_t INTERFACE_MINOR = 1;

}  // namespace polyquorum::sdk

/// Exports the descriptor. Kind is the capnp interface, Type a Plugin::Server made from Environment&.
#define POLYQUORUM_PLUGIN(Kind, NAME, Type)                                                     \
  extern "C" __attribute__((visibility("default"))) const ::polyquorum::sdk::Descriptor         \
      polyquorumPlugin;                                                                         \
  const ::polyquorum::sdk::Descriptor polyquorumPlugin = {                                      \
      ::polyquorum::sdk::PLUGIN_MAGIC, ::polyquorum::sdk::DESCRIPTOR_VERSION, CAPNP_VERSION,    \
      ::polyquorum::sdk::BUILD_TAG, capnp::typeId<Kind>(), NAME,                                \
      [](::polyquorum::sdk::Environment& environment)                                           \
          -> kj::Own<::polyquorum::plugin::Plugin::Server> { return kj::heap<Type>(environment); }}
