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

/// Tickets in the schema become core::Body handles that count their own copies.
///
/// Holds: each giving of a ticket (in proposal, received or fetched) is one hold, also if the
/// number was given before and is still held. Each hold ends once: the effects in which the core
/// has no copy of that giving any more list the ticket in `released`, as many times as holds of it
/// ended. A driver that counts +1 for each giving and -1 for each line of `released` reaches 0
/// exactly when the core cannot name the ticket any more. Ticket 0 is no body and is never listed.
///
/// When: at the end of a step. A ticket may stand in persist or in a letter and in `released` of
/// the same effects: perform those first, drop the body last. What the core drops outside of steps
/// comes with the next step. What it holds at the end of its life is never listed.
///
/// A throw of the core rejects the step with its text and FAILED; the driver stops the node.
kj::Own<consensus::Consensus::Server> adapt(std::unique_ptr<core::ConsensusCore> core);

/// An election sees no bodies and holds no tickets. Otherwise as above.
kj::Own<election::Election::Server> adapt(std::unique_ptr<core::ElectionCore> core);

}  // namespace polyquorum::sdk
