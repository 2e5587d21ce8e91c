// SPDX-License-Identifier: Apache-2.0
// Is one compiled set of schemas a compatible successor of another? Pure; knows no file of ours.
#pragma once
#include <capnp/schema.capnp.h>
#include <string>
#include <vector>

namespace polyquorum::frozen {

using Request = capnp::schema::CodeGeneratorRequest::Reader;

/// Every reason why code compiled against old would misread, or miss, something of now; empty:
/// none. Adding is allowed (nodes, fields at the end, methods, enumerants); removing, renaming,
/// retyping, exchanging and giving another id is not. Names count: plugins are built against them.
/// Source: the evolution rules of Cap'n Proto's language reference, made stricter for names.
std::vector<std::string> incompatibilities(Request old, Request now);

}  // namespace polyquorum::frozen
