// SPDX-License-Identifier: Apache-2.0
// data/identity; see identity.h.
#include "kernel/identity.h"
#include <kj/debug.h>
#include <map>
#include <sstream>
#include <string_view>
#include "sdk/crc32c.h"
#include "sdk/mutant.h"

namespace polyquorum::kernel {
namespace {

const kj::PathPtr identityPath() {
  static const kj::Path path("identity");
  return path;
}

/// The last line, over all before it: a flipped bit must not make a server forget what it lost.
kj::String checkOf(kj::StringPtr text) {
  return kj::str("check ", kj::hex(sdk::crc32c(0, text.begin(), text.size())), "\n");
}

}  // namespace

Identity readIdentity(const kj::Directory& data, const std::string& cluster, core::MemberId server) {
  Identity identity;
  KJ_IF_MAYBE(file, data.tryOpenFile(identityPath())) {
    auto text = (*file)->readAllText();
    kj::StringPtr whole = text;
    std::size_t end = std::string_view(text.cStr(), text.size()).rfind("check ");
    bool intact = end < text.size() && checkOf(kj::heapString(whole.slice(0, end))) == whole.slice(end);
    KJ_REQUIRE(intact, "the file `identity` of this data directory is damaged, and with it what this "
               "server knew of its own promises: wipe the directory and start the server again, it "
               "will learn from the others");
    std::istringstream lines(text.cStr());
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
  replacer->get().writeAll(kj::str(text, checkOf(text)));
  if (!MUTANT("kernel.sync.identity")) replacer->get().sync();
  replacer->commit();
  if (!MUTANT("kernel.sync.identity")) data.sync();
}

}  // namespace polyquorum::kernel
