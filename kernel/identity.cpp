// SPDX-License-Identifier: Apache-2.0
// data/identity; see identity.h.
#include "kernel/identity.h"
#include <kj/debug.h>
#include <map>
#include <sstream>
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

const kj::PathPtr identityPath() {
  static const kj::Path path("identity");
  return path;
}

}  // namespace

Identity readIdentity(const kj::Directory& data, const std::string& cluster, core::MemberId server) {
  Identity identity;
  KJ_IF_MAYBE(file, data.tryOpenFile(identityPath())) {
    std::istringstream lines((*file)->readAllText().cStr());
    std::map<std::string, std::string> values;
    for (std::string line; std::getline(lines, line);) {
      auto space = line.find(' ');
      if (space != std::string::npos) values[line.substr(0, space)] = line.substr(space + 1);
    }
    auto number = [&](const char* name) { return std::strtoull(values[name].c_str(), nullptr, 10); };
    identity.cluster = values["cluster"];
    identity.server = number("server");
    identity.incarnation = number("incarnation");
    identity.lost = number("lost");
    identity.founded = number("founded") != 0;
    KJ_REQUIRE(identity.cluster == cluster && identity.server == server,
               "this data directory belongs to another server; name its own in the YAML (key `data`)",
               identity.cluster, identity.server, cluster, server);
  }
  return identity;
}

void writeIdentity(const kj::Directory& data, const Identity& identity) {
  auto text = kj::str("cluster ", identity.cluster.c_str(), "\nserver ", identity.server,
                      "\nincarnation ", identity.incarnation, "\nlost ", identity.lost,
                      "\nfounded ", identity.founded ? 1 : 0, "\n");
  auto replacer = data.replaceFile(identityPath(), kj::WriteMode::CREATE | kj::WriteMode::MODIFY);
  replacer->get().writeAll(text);
  if (!MUTANT("kernel.sync.identity")) replacer->get().sync();
  replacer->commit();
  if (!MUTANT("kernel.sync.identity")) data.sync();
}

}  // namespace polyquorum::kernel
