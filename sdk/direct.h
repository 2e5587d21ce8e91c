// SPDX-License-Identifier: Apache-2.0
// A capability whose object lives on this loop, called at a quarter of the price of Cap'n Proto's own:
// no streaming methods, no cancelling. All else is as there.
#pragma once
#include <capnp/capability.h>
#include <kj/memory.h>

namespace polyquorum::sdk {

/// The object is called later in the turn, in the order of the calls. A call goes on when its promise is
/// dropped, and keeps the object alive.
kj::Own<capnp::ClientHook> directHook(kj::Own<capnp::Capability::Server> object);

/// For example direct<transport::Inbox>(kj::heap<Inbox>(...)).
template <typename Interface>
typename Interface::Client direct(kj::Own<typename Interface::Server> object) {
  return typename Interface::Client(directHook(kj::mv(object)));
}

}  // namespace polyquorum::sdk
