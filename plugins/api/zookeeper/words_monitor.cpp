// SPDX-License-Identifier: Apache-2.0
// mntr: one key, a tab and a value a line. Keys whose value nobody here measures are left out.
#include <sys/resource.h>
#include <filesystem>
#include "plugins/api/zookeeper/words_format.h"

namespace polyquorum::zookeeper {
namespace {

void number(std::string& out, const char* key, std::uint64_t value) {
  add(out, "%s\t%llu\n", key, ull(value));
}

std::uint64_t openFiles() {
  std::error_code error;
  std::uint64_t count = 0;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  for (auto end = std::filesystem::directory_iterator(); !error && files != end;
       files.increment(error)) {
    count++;
  }
  return count;
}

const char* phaseName(consensus::Standing::Phase phase) {
  constexpr const char* NAMES[] = {"idle", "claiming", "recovering", "following", "leading"};
  auto index = static_cast<unsigned>(phase);
  return index < 5 ? NAMES[index] : "unknown";
}

/// What only a leader of several says.
void followerText(std::string& out, coordination::Status::Reader status) {
  unsigned followers = 0, synced = 0, observers = 0;
  for (auto member : status.getMembers()) {
    if (member.getId() == status.getSelf()) continue;
    bool learner = member.getRole() == polyquorum::Role::LEARNER;
    observers += learner && member.getUp() ? 1 : 0;
    followers += !learner ? 1 : 0;
    synced += !learner && member.getUp() ? 1 : 0;
  }
  number(out, "zk_learners", synced + observers);
  number(out, "zk_followers", followers);
  number(out, "zk_synced_followers", synced);
  number(out, "zk_synced_observers", observers);
}

void refusalText(std::string& out, const Refusals& refusals) {
  number(out, "zk_connection_rejected", refusals.tooMany);
  number(out, "zk_large_requests_rejected", refusals.frameTooLarge);
  number(out, "zk_auth_failed_count", refusals.auth);
  number(out, "pq_malformed_requests", refusals.malformed);
  number(out, "pq_unknown_requests", refusals.unknownType);
  number(out, "pq_handshakes_timed_out", refusals.handshake);
  number(out, "pq_words_refused", refusals.words);
  number(out, "pq_slow_readers_closed", refusals.slowReader);
  number(out, "pq_zxid_ahead", refusals.zxidAhead);
}

}  // namespace

void monitorText(std::string& out, const ServerFacts& facts, coordination::Status::Reader status) {
  auto mode = modeOf(status);
  auto& latency = facts.traffic.latency;
  out += "zk_version\t" + versionLine() + "\n";
  add(out, "zk_server_state\t%s\n", mode.c_str());
  add(out, "zk_peer_state\t%s\n", mode == "leader"     ? "leading - broadcast"
                                  : mode == "follower" ? "following - broadcast"
                                                       : mode.c_str());
  number(out, "zk_min_latency", latency.min());
  add(out, "zk_avg_latency\t%s\n", average(latency).c_str());
  number(out, "zk_max_latency", latency.maxMs);
  number(out, "zk_packets_received", facts.traffic.received);
  number(out, "zk_packets_sent", facts.traffic.sent);
  number(out, "zk_num_alive_connections", facts.connections);
  number(out, "zk_outstanding_requests", facts.outstanding);
  number(out, "zk_znode_count", status.getNodes());
  number(out, "zk_watch_count", status.getWatches());
  number(out, "zk_ephemerals_count", status.getEphemerals());
  number(out, "zk_approximate_data_size", status.getDataBytes());
  number(out, "zk_global_sessions", status.getSessions());
  number(out, "zk_local_sessions", 0);
  number(out, "zk_uptime", facts.uptimeMs);
  number(out, "zk_open_file_descriptor_count", openFiles());
  struct rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  number(out, "zk_max_file_descriptor_count", files.rlim_cur);
  if (mode == "leader") followerText(out, status);
  number(out, "zk_election_time", status.getElectionMs());
  refusalText(out, *facts.refusals);
  ownText(out, status);
}

void ownText(std::string& out, coordination::Status::Reader status) {
  number(out, "pq_applied", status.getApplied());
  number(out, "pq_committed", status.getCommitted());
  add(out, "pq_state_digest\t0x%016llx\n", ull(status.getDigest()));
  number(out, "pq_fence", status.getFence());
  number(out, "pq_leader", status.getLeader());
  add(out, "pq_phase\t%s\n", phaseName(status.getPhase()));
  number(out, "pq_segment", status.getSegment());
  number(out, "pq_sessions", status.getSessions());
  number(out, "pq_pending", status.getPending());
  number(out, "pq_leader_seen_ms", status.getLeaderSeenMs());
  add(out, "pq_durable\t%s\n", status.getDurable() ? "true" : "false");
  add(out, "pq_refusing\t%s\n", status.getRefusing().cStr());
  add(out, "pq_may_vote\t%s\n", status.getMayVote() ? "true" : "false");
}

}  // namespace polyquorum::zookeeper
