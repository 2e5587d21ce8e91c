// SPDX-License-Identifier: Apache-2.0
// The table of planted bugs; see mutants.h. tests/layering checks that it and the rooms name the same.
#include "simulator/mutants.h"
#include "sdk/mutant.h"

namespace polyquorum::simulator {

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> table = {
      // Known bugs, numbered as in the design (promises.md, 3.5).
      {"M1", "a follower acknowledges the new leader before the history is on its disk",
       "ZOOKEEPER-3911, -4646", {"quorum", "durability", "agreement"}},
      {"M2", "the epoch is made durable before the history that it claims", "ZOOKEEPER-4643",
       {"leader-completeness", "agreement", "durability"}, true},
      {"M3", "a learner with a longer, undecided tail keeps it when it is synchronised",
       "ZOOKEEPER-1154, -2832", {"agreement", "quorum", "leader-completeness", "node"}},
      {"M4", "a truncation takes one entry too many off the disk", "ZOOKEEPER-1156",
       {"durability", "agreement", "quorum", "leader-completeness", "node"}},
      {"M5", "what came during synchronisation is kept in memory without its body, and served so",
       "ZOOKEEPER-4925, -4785", {"agreement", "state-digest"}},
      {"M6", "a follower applies what its leader proposed and no quorum holds", "ZOOKEEPER-2845, -5094",
       {"quorum", "agreement"}},
      {"M7", "a truncation is not on the disk, and nobody hears of it", "ZOOKEEPER-3701",
       {"storage", "agreement", "node"}, true},
      {"M8", "an image is taken for whole when its first bytes arrive", "ZOOKEEPER-3642",
       {"node", "state-digest"}},
      {"M9", "the history of the new epoch is chosen by length, without its epoch", "the rule of FLE",
       {"leader-completeness", "agreement", "durability", "liveness"}, true},
      {"M11", "a promise is sent before it is on the disk", "Raft's persistence of votes",
       {"promises", "one-leader"}},
      {"M13", "reads are answered by a leader that does not ask its quorum",
       "etcd #7331, TiKV #1634, #9239", {"linearizable-reads", "sync"}, true},
      {"M14", "any answer to a ping confirms reads, also one to an earlier ping", "etcd #20418",
       {"linearizable-reads", "sync"}, true, "zab_test"},
      {"M16", "what a follower had before its tail was replaced counts as acknowledged",
       "ClickHouse Keeper PR 102629", {"quorum", "agreement", "durability"}},
      {"M21", "a sync that failed is tried again, and believed", "ZOOKEEPER-4882; fsync studies",
       {"storage", "durability", "agreement"}},
      {"M22", "the first bad record is taken for the end of the log", "CTRL (FAST'18)",
       {"storage", "durability", "agreement"}},
      {"M23", "no sync of the folder after a file of the log or an image is made",
       "ALICE; ZOOKEEPER-4269", {"storage", "durability", "agreement", "node"}},
      {"M24", "an image is adopted, and the log before it given up, before its bytes are synced",
       "the rule of snapshots", {"storage", "durability", "node"}},
      {"M26", "a leader that slept expires sessions when it wakes", "etcd #15247",
       {"ephemerals"}, true, "desk_test"},
      {"M27", "a command that comes after the end of its session still takes place",
       "ZOOKEEPER-2355, -4837, -5010", {"session-order", "ephemerals", "model"}},
      {"M28", "a server answers a client that has seen more than this server has", "single system image",
       {"never-back"}},
      {"M28.moved", "a session that moved still writes through the server where it was",
       "single system image", {"session-order", "exactly-once"}},
      {"M29", "a renewed watch misses the change right after what the client saw last",
       "etcd #17529, #15271", {"watches"}, true},
      {"M29.twice", "a renewed watch tells again what the client saw last", "etcd #20221", {"watches"}},
      {"M30", "a server that lost its disk votes at once", "our rule of lives",
       {"quorum", "promises", "leader-completeness", "agreement", "durability"}},

      // Persist before send, sync, await: each left out.
      {"zab.persist.ack", "a follower acknowledges before its disk does", "claims wait",
       {"quorum", "durability", "agreement"}},
      {"zab.persist.own_ack", "the leader counts itself before its disk does", "claims wait",
       {"quorum", "durability", "agreement"}},
      {"zab.persist.own_history", "the leader's own history counts before its disk has it",
       "claims wait", {"quorum", "durability", "agreement"}, true},
      {"zab.persist.own_promise", "the leader counts its own promise before its disk has it",
       "claims wait", {"promises", "one-leader"}},
      {"zab.persist.accepted", "a promise is never written", "facts", {"promises", "one-leader"}},
      {"zab.persist.view", "the epoch of the history is never written", "facts",
       {"leader-completeness", "agreement", "durability"}},
      {"zab.persist.cut", "what is cut from the log stays on the disk", "log",
       {"agreement", "quorum", "leader-completeness", "node"}, true},
      {"kernel.claims.wait", "no claim waits for the disk", "law 2 of the driver",
       {"quorum", "promises", "durability", "agreement"}},
      {"storage.sync.log", "the log is written and not synced", "sync",
       {"storage", "node", "durability", "agreement"}},
      {"storage.await.log", "a write is answered before it begins", "await",
       {"storage", "node", "durability", "agreement"}},
      {"storage.record.file", "what a recycled file held before passes for its records", "records",
       {"storage", "node"}},
      {"kernel.sync.identity", "the identity is written and not synced", "sync", {"node", "liveness"}},

      // A quorum less one.
      {"zab.quorum.promises", "an epoch begins with a quorum's promises less one", "quorum",
       {"promises", "leader-completeness", "one-leader"}},
      {"zab.quorum.history", "an epoch is established by a quorum less one", "quorum",
       {"quorum", "agreement"}},
      {"zab.quorum.acks", "an entry is decided by a quorum less one", "quorum", {"quorum", "agreement"}},
      {"zab.quorum.reads", "a read is confirmed by a quorum less one", "quorum",
       {"linearizable-reads", "sync"}, true},
      {"zab.quorum.heard", "a leader stays that hears a quorum less one", "quorum", {"liveness"}},

      // Comparisons of epochs, fences, lives, segments.
      {"zab.epoch.offered", "a follower follows an older epoch than it promised", "comparison",
       {"one-leader", "agreement", "node"}, true, "zab_test"},
      {"zab.epoch.counts", "a promise of the same epoch counts twice", "comparison",
       {"one-leader", "agreement", "quorum"}, true, "zab_test"},
      {"kernel.segment.letter", "letters of another segment are heard", "comparison",
       {"promises", "agreement", "quorum", "node", "liveness"}, true},

      // Bugs that seeds found here once (seeds/kept.txt).
      {"kernel.void.seal", "an entry read from the disk above a seal counts in the next segment",
       "seed 42", {"agreement", "node"}, true},
      {"kernel.image.claim", "an image that no core wants any longer blocks all others", "seed 208",
       {"liveness"}, true},
      {"kernel.barrier.late", "a late answer to an earlier barrier answers newer reads", "seed 1132",
       {"linearizable-reads", "sync"}, true, "desk_test"},
      {"kernel.void.image", "entries of an earlier segment stay above an image", "seed 2034",
       {"liveness", "agreement", "node"}, true},

      // Sessions, watches, transactions.
      {"kernel.watch.spent", "a watch that was told is not spent", "one-shot watches", {"watches"}},
      {"kernel.sequence.repeat", "a command that is sent again takes place again", "gate",
       {"exactly-once", "session-order"}},
      {"state.multi.whole", "half of a transaction that failed stays", "all or nothing",
       {"model", "reads", "watches"}},
      {"state.end.ephemerals", "a session's end leaves its ephemeral nodes", "ephemerals",
       {"reads", "model", "watches"}},
  };
  return table;
}

#ifdef POLYQUORUM_MUTANTS
bool mutantsPlanted() { return true; }
void chooseMutant(std::string_view name) {
  polyquorum::mutants::chosen = name.empty() ? 0 : polyquorum::mutants::hashOf(name);
}
#else
bool mutantsPlanted() { return false; }
void chooseMutant(std::string_view) {}
#endif

}  // namespace polyquorum::simulator
