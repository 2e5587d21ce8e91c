// SPDX-License-Identifier: Apache-2.0
// KJ's event loop on top of a Boost.Asio io_context: one thread, one loop, both worlds. Used by
// real processes only; the simulator has a port of its own.
#pragma once
#include <kj/async.h>
#include <kj/memory.h>
#include <kj/timer.h>
#include <atomic>

namespace boost::asio {
class io_context;
}

namespace polyquorum::kernel {

/// Asio handlers run while KJ waits. A handler that throws makes the promise's wait() throw what it
/// threw, as a kj::Exception; the loop can go on after that.
///
///     EventPort port;
///     kj::EventLoop loop(port);
///     kj::WaitScope scope(loop);
///     port.io();  // sockets
class EventPort final : public kj::EventPort {
 public:
  EventPort();
  ~EventPort() noexcept(false);
  KJ_DISALLOW_COPY(EventPort);

  /// Thread: the loop's; post() may be called from any.
  boost::asio::io_context& io();
  kj::Timer& timer();
  /// Before it sleeps, the loop goes on looking for events this long if the last waits were that
  /// short: a vCPU that sleeps takes 40 us to wake. It yields its core to whoever wants it. 0: never.
  void setBusyPoll(kj::Duration most);

  bool wait() override;
  bool poll() override;
  void wake() const override;

 private:
  struct State;
  kj::Own<State> state;
  mutable std::atomic<bool> woken{false};

  bool finishTurn();
  void runReady();
};

}  // namespace polyquorum::kernel
