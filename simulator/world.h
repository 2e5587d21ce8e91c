// SPDX-License-Identifier: Apache-2.0
// The simulated world: virtual time, a network, and servers made of the kernel's real rooms and the
// real plugin libraries, each with a disk that outlives its process. Decides no faults and judges
// nothing.
#pragma once
#include <kj/async.h>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include "kernel/config.h"
#include "kernel/loader.h"
#include "kernel/node.h"
#include "simulator/disk.h"
#include "simulator/environment.h"
#include "simulator/network.h"
#include "simulator/port.h"
#include "simulator/random.h"

namespace polyquorum::simulator {

/// One server through all its lives.
struct Server {
  core::MemberId id = 0;
  std::unique_ptr<Disk> disk;
  bool formatted = false;  ///< it came up once: from now on it is started without --bootstrap
  std::uint64_t lives = 0;
  std::int64_t wallSkewMs = 0;
  DiskTiming diskTiming;
  std::uint64_t powerOffIn = 0;  ///< operations of its disk; 0: not planned
  bool rotten = false;      ///< its disk was damaged on purpose: it may find that, and stop by itself
  bool diskFailed = false;  ///< an operation failed in this life: the server may stop by itself
  bool powerless = false;        ///< the plan came true: powerOff is due

  // Of this life; null while the server is down.
  std::unique_ptr<SimulatedEnvironment> environment;
  kj::Own<kernel::Node> node;
  std::unique_ptr<kernel::Witness> witness;
  kj::Promise<void> watch = kj::NEVER_DONE;  ///< for the node's failure
  kj::Promise<void> boot = kj::NEVER_DONE;   ///< until it has come up
  bool up() const { return environment != nullptr; }
};

/// Makes the API of one life of a server: the workload's door to the desk.
using ApiMaker = std::function<coordination::Api::Client(core::MemberId)>;
/// Makes the witness of one life of a server.
using WitnessMaker = std::function<std::unique_ptr<kernel::Witness>(core::MemberId)>;
/// A node stopped by itself: a failed disk, a broken promise.
using FailureSink = std::function<void(core::MemberId, const kj::Exception&)>;
using WorldLog = std::function<void(core::MemberId, sdk::Level, kj::StringPtr)>;

class World {
  /// Of lives that are over: calls that nobody waits for may still hold their plugins. First, so
  /// that the loop is gone before them.
  std::vector<std::unique_ptr<SimulatedEnvironment>> graves;

 public:
  /// config and wiring outlive the world.
  World(const kernel::Config& config, const kernel::Wiring& wiring, std::uint64_t seed);
  ~World() noexcept(false);

  kj::Timer& timer() { return port.timer(); }
  kj::Duration now() { return port.timer().now() - begin; }
  /// Lets the world go on until this much time has passed, or until stop is true.
  void run(kj::Duration duration, const std::function<bool()>& stop);
  /// Lets the world go on until this moment, or until interrupt() is called.
  void runUntil(kj::TimePoint moment);
  void interrupt();

  /// Boots a server; the first boot founds the cluster.
  void start(core::MemberId id);
  /// kill -9: the process is gone, its disk stays as it is.
  void kill(core::MemberId id);
  /// The power goes: what was not synced may be lost.
  void powerOff(core::MemberId id);
  /// SIGSTOP and SIGCONT.
  void pause(core::MemberId id);
  void resume(core::MemberId id);
  /// The power goes at the countdown'th operation of this server's disk from now on: nothing of the
  /// server is seen after it, and the world is interrupted so that powerOff can follow.
  void powerOffAt(core::MemberId id, std::uint64_t countdown);
  /// The countdown'th operation of this server's disk from now on fails once; later ones do not. What a
  /// failed sync was to make durable is not.
  void failDiskAt(core::MemberId id, std::uint64_t countdown);
  /// Nothing of this server is seen any more; powerOff or kill is due.
  void silence(core::MemberId id);
  /// Ends every process; before what makeApi and makeWitness made them look at is gone.
  void shutDown();
  /// Its disk is about to be damaged: what it finds and says from now on is excused, until it is wiped.
  void spoil(core::MemberId id) {
    servers.at(id).rotten = true;
    if (damaged) damaged(id);
  }
  /// Who says that it leads; 0: nobody.
  core::MemberId leader();
  bool observer(core::MemberId id) const { return config.server(id)->observer; }
  void wipe(core::MemberId id) {
    servers.at(id).disk->wipe();
    servers.at(id).rotten = false;
    if (wiped) wiped(id);
  }

  std::map<core::MemberId, Server> servers;
  Random random;
  Network* network = nullptr;

  ApiMaker makeApi;
  WitnessMaker makeWitness;
  FailureSink failed;
  std::function<void(core::MemberId)> wiped;    ///< its disk lost everything
  std::function<void(core::MemberId)> damaged;  ///< its disk was damaged on purpose
  WorldLog log;
  /// Told before a parcel of a server leaves; may silence it.
  std::function<void(core::MemberId)> beforeParcel;

 private:
  const kernel::Config& config;
  const kernel::Wiring& wiring;
  Port port;
  kj::EventLoop loop{port};
  kj::WaitScope scope{loop};
  kj::TimePoint begin;
  std::unique_ptr<Network> ownNetwork;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> interruption;

  void end(Server& server);
};

}  // namespace polyquorum::simulator
