// SPDX-License-Identifier: Apache-2.0
// The one symbol that a plugin exports, and what builds its self-description. No loading here: that
// is kernel/loader.
#pragma once
#include <capnp/schema.h>
#include <kj/memory.h>
#include <cstdint>
#include <initializer_list>
#include "interfaces/plugin.capnp.h"
#include "sdk/environment.h"

namespace polyquorum::sdk {

constexpr std::uint64_t PLUGIN_MAGIC = 0x6d75726f75715950;  // "PYquorum"
constexpr std::uint32_t DESCRIPTOR_VERSION = 1;

/// What the exported symbol `polyquorumPlugin` points at. Plain data, so that a wrong library is
/// refused before any of its code runs.
struct Descriptor {
  std::uint64_t magic;
  std::uint32_t descriptorVersion;
  std::uint32_t capnpVersion;  ///< CAPNP_VERSION; libkj promises no stability between releases.
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
      capnp::typeId<Kind>(), NAME,                                                              \
      [](::polyquorum::sdk::Environment& environment)                                           \
          -> kj::Own<::polyquorum::plugin::Plugin::Server> { return kj::heap<Type>(environment); }}
