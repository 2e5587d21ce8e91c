// SPDX-License-Identifier: Apache-2.0
// The keys that the kernel itself understands, in words. `config explain` and the documentation are
// made from this table; the reading itself is in config_rules.cpp and config_servers.cpp.
#include "kernel/config.h"

namespace polyquorum::kernel {

const std::vector<KeyText>& kernelKeys() {
  static const std::vector<KeyText> KEYS{
      {"cluster.name", "", "1 to 64 letters, digits, points, - and _",
       "Names the cluster; servers of another name are not talked to."},
      {"cluster.insecure", "false", "true | false",
       "Allows listening on addresses other than loopback although there is no TLS."},
      {"cluster.revision", "0", "0 .. 9000000000000000000",
       "Grows with each change of this file; an older file never changes a running cluster."},
      {"cluster.servers[].id", "", "1 .. 254",
       "The server's number for ever; the top byte of the session ids it gives. ZooKeeper: myid."},
      {"cluster.servers[].peer", "", "host:port",
       "Where the other servers reach this one. ZooKeeper: server.N."},
      {"cluster.servers[].role", "voter", "voter | observer",
       "An observer serves clients and is counted in no quorum. ZooKeeper: peerType."},
      {"cluster.servers[].data", "", "path",
       "Folder of this server's data, relative to this file. ZooKeeper: dataDir."},
      {"cluster.servers[].log", "the data folder", "path",
       "Folder of the log, on a device of its own for speed. ZooKeeper: dataLogDir."},
      {"cluster.servers[].<api>", "not served", "host:port",
       "Where the API of that name listens on this server. ZooKeeper: clientPort."},
      {"plugins.election.use", "", "name", "The plugin that advises who should lead."},
      {"plugins.consensus.use", "", "name", "The plugin that decides the order of the log."},
      {"plugins.storage.use", "", "name", "The plugin that keeps log and snapshots."},
      {"plugins.transport.use", "", "name", "The plugin that moves bytes between servers."},
      {"plugins.api[].use", "", "name", "A plugin that clients talk to; several may run at once."},
      {"plugins.directories", "", "list of paths",
       "Where plugins are looked for before the program's own folder."},
      {"sessions.tickTime", "2s", "10ms .. 10m",
       "Unit of the session clock: expiry is rounded up to a multiple. ZooKeeper: tickTime."},
      {"snapshots.every", "100000", "2 .. 1000000000",
       "Entries of the log between two snapshots. ZooKeeper: snapCount."},
      {"snapshots.retain", "3", "3 .. 1000",
       "Snapshots that are kept. ZooKeeper: autopurge.snapRetainCount."},
      {"snapshots.purgeInterval", "0s", "0s .. 365d",
       "How often older ones are removed; 0s: after each snapshot. ZooKeeper: "
       "autopurge.purgeInterval."},
      {"reaping.interval", "1m", "10ms .. 1d",
       "How often empty containers and expired TTL nodes are looked for. ZooKeeper: "
       "znode.container.checkIntervalMs."},
      {"reaping.perMinute", "10000", "1 .. 10000000",
       "Most of them removed in a minute. ZooKeeper: znode.container.maxPerMinute."},
      {"limits.pendingRequests", "100000", "1 .. 100000000",
       "Requests that wait in one server; more are answered \"overloaded\" (ZooKeeper: -127). To slow "
       "clients down before, set the API's own limits below it."},
      {"limits.memory", "1GiB", "64MiB .. 16384GiB",
       "Memory of one server. The state may take three quarters of it; above, writes that make it grow "
       "are refused, deletes and reads go on. Answers that wait for clients may take an "
       "eighth of it for each API."},
      {"loop.busyPollUs", "200", "0 .. 10000",
       "How many microseconds a server looks for events before it sleeps, while they come in quick "
       "succession: a lone client's write takes a third less. 0 saves CPU at low load."},
  };
  return KEYS;
}

}  // namespace polyquorum::kernel
