// SPDX-License-Identifier: Apache-2.0
// Who this server is: data/identity, written before anything else opens. No protocol reads it.
#pragma once
#include <kj/filesystem.h>
#include <cstdint>
#include <string>
#include "sdk/core.h"

namespace polyquorum::kernel {

struct Identity {
  std::string cluster;
  core::MemberId server = 0;
  std::uint64_t incarnation = 0;  ///< of this life; grows with every boot
  std::uint64_t lost = 0;         ///< life in which the promises of earlier ones were lost; 0: never
  bool founded = false;           ///< formatted as a founding member
};

/// Reads the identity of the last life; a file that names another cluster or server is refused with
/// both names. Absent: server == 0.
Identity readIdentity(const kj::Directory& data, const std::string& cluster, core::MemberId server);

/// Durable when it returns.
void writeIdentity(const kj::Directory& data, const Identity& identity);

}  // namespace polyquorum::kernel
