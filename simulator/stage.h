// SPDX-License-Identifier: Apache-2.0
// One run on its stage: servers, clients with their roads to the servers' doors, the history that
// judges both, and the question whether all of it has converged. What goes wrong in a run, and when,
// is its user's.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>
#include "simulator/client.h"
#include "simulator/door.h"
#include "simulator/only.h"
#include "simulator/recorder.h"
#include "simulator/world.h"

namespace polyquorum::simulator {

/// A cluster of the plugins that there are.
struct ClusterShape {
  unsigned voters = 3, observers = 0;
  std::uint64_t snapshotsEvery = 100000;
  std::string storage = "walSize: 1MiB";  ///< options of the file storage
  std::string heartbeat = "100ms";        ///< of zab
};
kernel::Config makeConfig(const ClusterShape& shape, const std::string& name);

struct StageSettings {
  std::uint64_t seed = 1;
  unsigned clients = 8;
  std::size_t dataBytes = 8;      ///< of what clients write to a node
  std::ostream* trace = nullptr;  ///< NDJSON; null: none
  Only onlyClients;
  std::vector<Event>* events = nullptr;  ///< gets everything that happens, in detail
  std::uint64_t pauseMsMost = 2400;      ///< between two bursts of one client
};

class Stage final : public Roads, public kj::TaskSet::ErrorHandler {
 public:
  /// config and wiring outlive the stage.
  Stage(const StageSettings& settings, const kernel::Config& config, const kernel::Wiring& wiring);
  ~Stage() noexcept(false);

  Story story;
  World world;
  History history;

  /// Told of each server that stopped by itself while converge() waits.
  std::function<void(core::MemberId)> stopped;
  /// Told before a server answers a client or tells it something; may silence the server.
  std::function<void(core::MemberId)> beforeDelivery;

  /// Every server starts and every client begins to act.
  void begin();
  /// What the play throws is a violation like any other.
  void perform(const std::function<void()>& play);
  /// A server's process is about to end: its door is shut.
  void gone(core::MemberId id);
  /// Servers that stopped by themselves since the last call; they are to be ended.
  std::vector<core::MemberId> stoppedByThemselves();
  /// Clients only finish what they began.
  void calmDown();
  /// All servers at one index with one digest, a leader, all answers given: within this time, or it
  /// is a violation.
  void converge(const std::string& when, kj::Duration within);
  /// What happened how often, network and disks included.
  std::map<std::string, std::uint64_t> counters() const;

  // Roads
  std::vector<core::MemberId> open() override;
  void submit(core::MemberId to,
              const std::function<void(coordination::Request::Builder)>& fill) override;

 private:
  std::map<core::MemberId, Door*> doors;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<core::MemberId> broken;
  std::unique_ptr<Recorder> recorder;  ///< null unless somebody wants to know
  kj::Own<kj::TaskSet> tasks = kj::heap<kj::TaskSet>(*this);

  std::string missing();
  coordination::Api::Client makeDoor(core::MemberId id);
  void failed(core::MemberId id, const kj::Exception& why);
  void logged(core::MemberId id, sdk::Level level, kj::StringPtr line);
  void pass(core::MemberId to, std::uint64_t life, coordination::Request::Reader request);
  void taskFailed(kj::Exception&& exception) override;
};

}  // namespace polyquorum::simulator
