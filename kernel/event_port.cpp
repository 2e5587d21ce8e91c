// SPDX-License-Identifier: Apache-2.0
// See event_port.h.
#include "kernel/event_port.h"
#include <kj/debug.h>
#include <sched.h>
#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstdint>

namespace polyquorum::kernel {
namespace {

/// Handlers run in one turn before KJ's events get their turn again: a hot socket cannot starve
/// the rest, and a batch still gathers what one epoll round brought.
constexpr int HANDLERS_PER_TURN = 256;
constexpr std::uint64_t WAIT_US_MAX = 60'000'000;
/// So many short waits in a row are remembered; each long one is one less.
constexpr unsigned SHORT_WAITS_MAX = 8;

}  // namespace

struct EventPort::State {
  // One thread runs it (the hint saves wake-ups); others may post, so its locks stay.
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  const kj::MonotonicClock& clock = kj::systemPreciseMonotonicClock();
  kj::TimerImpl timer{clock.now()};
  kj::Duration busyPoll = 0 * kj::SECONDS;
  unsigned shortWaits = 0;

  /// Looks for events until something ran or the time is over; how many handlers ran.
  std::size_t look(kj::TimePoint until) {
    do {
      if (auto ran = io.poll_one()) return ran;
      sched_yield();  // whoever wants this core gets it
    } while (clock.now() < until);
    return 0;
  }
  void waited(kj::Duration duration) {
    if (duration <= busyPoll) {
      shortWaits = std::min(shortWaits + 1, SHORT_WAITS_MAX);
    } else if (shortWaits > 0) {
      shortWaits--;
    }
  }
};

EventPort::EventPort() : state(kj::heap<State>()) {}
EventPort::~EventPort() noexcept(false) {}

boost::asio::io_context& EventPort::io() { return state->io; }
kj::Timer& EventPort::timer() { return state->timer; }
void EventPort::setBusyPoll(kj::Duration most) { state->busyPoll = most; }

void EventPort::runReady() {
  for (int i = 0; i < HANDLERS_PER_TURN && state->io.poll_one() != 0; i++) {
  }
}

bool EventPort::finishTurn() {
  state->timer.advanceTo(state->clock.now());
  return woken.exchange(false, std::memory_order_acq_rel);
}

bool EventPort::wait() {
  auto& io = state->io;
  if (io.stopped()) io.restart();
  auto start = state->clock.now();
  auto next = state->timer.timeoutToNextEvent(start, kj::MICROSECONDS, WAIT_US_MAX);
  std::uint64_t us = WAIT_US_MAX;
  KJ_IF_MAYBE(known, next) us = *known;
  auto thrown = kj::runCatchingExceptions([&]() {
    std::size_t ran = 0;
    if (us > 0 && state->shortWaits > 0) {
      ran = state->look(start + std::min<kj::Duration>(state->busyPoll, us * kj::MICROSECONDS));
    }
    if (us > 0 && ran == 0) ran = io.run_one_for(std::chrono::microseconds(us));
    if (us == 0 || ran != 0) runReady();
  });
  if (us > 0) state->waited(state->clock.now() - start);
  bool result = finishTurn();
  KJ_IF_MAYBE(exception, thrown) kj::throwFatalException(kj::mv(*exception));
  return result;
}

bool EventPort::poll() {
  if (state->io.stopped()) state->io.restart();
  auto thrown = kj::runCatchingExceptions([this]() { runReady(); });
  bool result = finishTurn();
  KJ_IF_MAYBE(exception, thrown) kj::throwFatalException(kj::mv(*exception));
  return result;
}

void EventPort::wake() const {
  if (woken.exchange(true, std::memory_order_acq_rel)) return;
  boost::asio::post(const_cast<boost::asio::io_context&>(state->io), []() {});
}

}  // namespace polyquorum::kernel
