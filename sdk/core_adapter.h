// SPDX-License-Identifier: Apache-2.0
// Wraps a pure core (core.h) as the Cap'n Proto interface of its kind. The only place where the two
// vocabularies meet; no protocol and no I/O.
#pragma once
#include <kj/memory.h>
#include <memory>
#include "interfaces/consensus.capnp.h"
#include "interfaces/election.capnp.h"
#include "sdk/core.h"

namespace polyquorum::sdk {

/// Tickets in the schema become core::Body handles that count their own copies; when the last copy of
/// one is dropped, the next step's effects name it in `released`.
kj::Own<consensus::Consensus::Server> adapt(std::unique_ptr<core::ConsensusCore> core);

kj::Own<election::Election::Server> adapt(std::unique_ptr<core::ElectionCore> core);

}  // namespace polyquorum::sdk
