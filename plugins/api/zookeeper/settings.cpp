// SPDX-License-Identifier: Apache-2.0
// Reading of the options, with the names that zoo.cfg and ZooKeeper's system properties have.
#include "plugins/api/zookeeper/settings.h"
#include <algorithm>
#include "plugins/api/zookeeper/words.h"
#include "sdk/options.h"

namespace polyquorum::zookeeper {

const std::initializer_list<sdk::OptionText> OPTION_TEXTS = {
    {"tickTime", "2s", "1ms .. 1h",
     "ZooKeeper's unit of time; the default session timeouts are multiples of it. Absent: "
     "sessions.tickTime of the kernel."},
    {"minSessionTimeout", "2 x tickTime", "1ms .. 24h",
     "Shorter session timeouts are raised to it."},
    {"maxSessionTimeout", "20 x tickTime", "1ms .. 24h", "Longer session timeouts are cut to it."},
    {"maxClientCnxns", "60", "1 .. 1000000", "Connections from one address at a time."},
    {"maxCnxns", "100000", "1 .. 1000000", "Connections at a time."},
    {"globalOutstandingLimit", "20000", "1 .. 10000000",
     "Requests of all connections that wait for an answer; at the limit no more are read from the "
     "sockets. ZooKeeper's 1000 suits its threads, not a batch per turn."},
    {"connectionOutstandingLimit", "4096", "1 .. 1000000",
     "The same for one connection, so that one cannot take all."},
    {"juteMaxBuffer", "1048575", "1KiB .. 64MiB",
     "Largest request in bytes; a connection that sends a larger one is closed."},
    {"superDigest", "", "super:<base64 of sha1>",
     "Who authenticates by digest with this user and password passes every ACL. Empty: nobody."},
    {"extendedTypesEnabled", "false", "true | false",
     "Nodes with a time to live may be created."},
    {"reconfigEnabled", "false", "true | false",
     "reconfig answers Unimplemented (-6) instead of ReconfigDisabled (-123). Members cannot be "
     "changed yet."},
    {"fourLetterWords", "ruok, srvr, isro, stat, mntr, conf, envi, wchs", "words, or *",
     "Four-letter words that are answered, from any address. Absent: the initial list on loopback, "
     "ruok, srvr, isro elsewhere."},
    {"enforceQuota", "false", "true | false",
     "Hard quotas refuse (-125); otherwise they only count."},
    {"skipAcl", "false", "true | false",
     "Every client passes every ACL. For repairs; warned about at every start."},
};

Settings readSettings(capnp::List<polyquorum::Option>::Reader given) {
  sdk::Options options(given);
  auto ms = [&](const char* name, std::uint64_t initialMs, kj::Duration max) {
    auto value = options.duration(name, initialMs * kj::MILLISECONDS, 1 * kj::MILLISECONDS, max);
    return static_cast<std::uint32_t>(value / kj::MILLISECONDS);
  };
  Settings out;
  out.tickMs = ms("tickTime", 2000, 1 * kj::HOURS);
  out.sessionTimeoutMinMs = ms("minSessionTimeout", out.tickMs * 2ull, 24 * kj::HOURS);
  out.sessionTimeoutMaxMs = ms("maxSessionTimeout", out.tickMs * 20ull, 24 * kj::HOURS);
  if (out.sessionTimeoutMinMs > out.sessionTimeoutMaxMs) {
    options.refuse("minSessionTimeout", "is above maxSessionTimeout; lower one or raise the other");
  }
  out.connectionsPerAddressMax =
      static_cast<std::uint32_t>(options.number("maxClientCnxns", 60, 1, 1000000));
  out.connectionsMax = static_cast<std::uint32_t>(options.number("maxCnxns", 100000, 1, 1000000));
  out.outstandingMax =
      static_cast<std::uint32_t>(options.number("globalOutstandingLimit", 20000, 1, 10000000));
  out.outstandingPerConnectionMax =
      static_cast<std::uint32_t>(options.number("connectionOutstandingLimit", 4096, 1, 1000000));
  out.frameBytesMax = options.bytes("juteMaxBuffer", 0xfffff, 1 << 10, 64 << 20);
  out.rules.superDigest = options.text("superDigest", "");
  auto& digest = out.rules.superDigest;
  if (!digest.empty() && digest.find(':') == std::string::npos) {
    options.refuse("superDigest", "is not user:hash; make one with `polyquorum zk digest`");
  }
  out.rules.extendedTypes = options.flag("extendedTypesEnabled", false);
  out.rules.reconfigEnabled = options.flag("reconfigEnabled", false);
  out.rules.enforceQuota = options.flag("enforceQuota", false);
  out.rules.skipAcl = options.flag("skipAcl", false);
  out.words = options.list("fourLetterWords", {});
  for (auto option : given) out.wordsGiven |= option.getName() == "fourLetterWords";
  for (auto& word : out.words) {
    if (word != "*" && !isWord(word)) {
      options.refuse("fourLetterWords", kj::str("has no word ", word.c_str(), "; known: ",
                                                knownWords().c_str()));
    }
  }
  options.finish();
  return out;
}

std::uint32_t Settings::negotiate(std::int32_t askedMs) const {
  auto asked = static_cast<std::int64_t>(askedMs);
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(asked, sessionTimeoutMinMs,
                                                             sessionTimeoutMaxMs));
}

bool Settings::allows(const std::string& word, bool loopback) const {
  auto in = [&](std::initializer_list<const char*> list) {
    return std::any_of(list.begin(), list.end(), [&](const char* one) { return word == one; });
  };
  if (wordsGiven) {
    return std::any_of(words.begin(), words.end(),
                       [&](const std::string& one) { return one == "*" || one == word; });
  }
  if (in({"ruok", "srvr", "isro"})) return true;
  return loopback && in({"stat", "mntr", "conf", "envi", "wchs"});
}

}  // namespace polyquorum::zookeeper
