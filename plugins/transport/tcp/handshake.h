// SPDX-License-Identifier: Apache-2.0
// How two members prove to each other who they are before a link is up. Whether the connection then
// becomes the link is the transport's decision.
#pragma once
#include <kj/function.h>
#include "frame_reader.h"
#include "sdk/async.h"
#include "socket.h"
#include "wire.h"

namespace polyquorum::tcp {

/// Answers why a member may not be linked with; "" if it may.
using Judge = kj::Function<kj::String(const Greeting&)>;

/// Says HELLO, expects WELCOME of mine.to. Throws FAILED with the reason of a refusal, DISCONNECTED
/// if the connection breaks. Give the connection up or confirm() it.
sdk::Async<Greeting> greet(Socket& socket, FrameReader& reader, Greeting mine);

/// This connection is the link from now on.
sdk::Async<void> confirm(Socket& socket);

/// Expects HELLO, asks judge, answers WELCOME. Throws after it has sent a refusal.
sdk::Async<Greeting> welcome(Socket& socket, FrameReader& reader, Greeting mine, Judge& judge);

/// Waits for the CONFIRM of whom was welcomed. Throws DISCONNECTED if another connection was
/// chosen.
sdk::Async<void> awaitConfirm(Socket& socket, FrameReader& reader);

/// Why greeting does not belong to this cluster and member, as text with the cure; "" if it does.
kj::String mismatch(const Greeting& greeting, const Greeting& mine);

}  // namespace polyquorum::tcp
