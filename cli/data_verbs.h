// SPDX-License-Identifier: Apache-2.0
// What the verbs on znodes do, over ZooKeeper's protocol. No command line here.
#pragma once
#include <string>
#include "cli/exit.h"
#include "cli/output.h"

namespace polyquorum::cli {

struct DataArguments {
  std::string endpoints;       ///< empty: usualAddresses()
  std::string auth;            ///< "digest:user:password" or empty
  std::string path, data;
  bool hasData = false;
  int version = -1;            ///< -1: any
  bool recursive = false, sequential = false, ephemeral = false, container = false;
  bool withStat = false, yes = false;
  std::string ttl;             ///< a duration, or empty
  unsigned count = 0;          ///< watch: events until the end; 0: for ever
};

/// Each prints its answer on stdout and returns DONE, or throws Refusal: NOT_FOUND without a node,
/// CONFLICT on another version or an existing node, UNAVAILABLE if nobody answers, UNKNOWN if a
/// change may have happened.
Exit listNode(const DataArguments& arguments, Format format);
Exit getNode(const DataArguments& arguments, Format format);
Exit setNode(const DataArguments& arguments, Format format);
Exit createNode(const DataArguments& arguments, Format format);
Exit removeNode(const DataArguments& arguments, Format format);
Exit statNode(const DataArguments& arguments, Format format);
Exit watchNode(const DataArguments& arguments, Format format);

/// RFC 4648.
std::string base64(const std::string& bytes);

}  // namespace polyquorum::cli
