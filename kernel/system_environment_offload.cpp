// SPDX-License-Identifier: Apache-2.0
// See system_environment_offload.h. A lone job costs one futex wake on the way there and one
// eventfd write on the way back; jobs and results that meet others waiting cost neither.
#include "kernel/system_environment_offload.h"
#include <kj/debug.h>
#include <pthread.h>
#include <semaphore.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace polyquorum::kernel {
namespace {

struct Job {
  kj::Function<void()> work;
  kj::Own<kj::PromiseFulfiller<void>> fulfiller;  ///< touched by the loop's thread only
  kj::Maybe<kj::Exception> thrown;
};

}  // namespace

struct OffloadThread::State {
  State(boost::asio::io_context& io, const char* name) : io(io), name(name) { sem_init(&news, 0, 0); }
  ~State() { sem_destroy(&news); }

  boost::asio::io_context& io;
  const char* name;
  std::mutex mutex;
  sem_t news;  ///< posted once for each sleep; not std's, which yields some times before it sleeps
  std::deque<std::unique_ptr<Job>> waiting;               ///< guarded
  std::vector<std::unique_ptr<Job>> done;                 ///< guarded
  bool sleeping = false, posted = false, closed = false;  ///< guarded
  std::thread thread;
};

namespace {

/// The loop's side: settles everything that is done by now.
template <typename State>
void settle(State& state) {
  std::vector<std::unique_ptr<Job>> done;
  {
    std::lock_guard lock(state.mutex);
    done.swap(state.done);
    state.posted = false;
  }
  for (auto& job : done) {
    KJ_IF_MAYBE (exception, job->thrown) {
      job->fulfiller->reject(kj::mv(*exception));
    } else {
      job->fulfiller->fulfill();
    }
  }
}

/// The thread's side. state lives until the thread is joined.
template <typename State>
void work(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  for (;;) {
    while (state->waiting.empty() && !state->closed) {
      state->sleeping = true;
      lock.unlock();
      while (sem_wait(&state->news) != 0) {  // interrupted
      }
      lock.lock();
    }
    if (state->closed) return;
    auto job = std::move(state->waiting.front());
    state->waiting.pop_front();
    lock.unlock();
    job->thrown = kj::runCatchingExceptions([&]() { job->work(); });
    lock.lock();
    state->done.push_back(std::move(job));
    if (state->posted || state->closed) continue;
    state->posted = true;
    lock.unlock();
    boost::asio::post(state->io, [weak = std::weak_ptr<State>(state)]() {
      if (auto state = weak.lock()) settle(*state);
    });
    lock.lock();
  }
}

}  // namespace

OffloadThread::OffloadThread(boost::asio::io_context& io, const char* name)
    : state(std::make_shared<State>(io, name)) {}

OffloadThread::~OffloadThread() noexcept(false) {
  bool asleep;
  {
    std::lock_guard lock(state->mutex);
    state->closed = true;
    asleep = std::exchange(state->sleeping, false);
  }
  if (asleep) sem_post(&state->news);
  if (state->thread.joinable()) state->thread.join();
  // What was finished is told; what never ran is rejected, so that no promise waits for ever.
  settle(*state);
  for (auto& job : state->waiting) {
    job->fulfiller->reject(KJ_EXCEPTION(DISCONNECTED, "the process is stopping"));
  }
}

kj::Promise<void> OffloadThread::run(kj::Function<void()> work) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  auto job = std::make_unique<Job>(Job{kj::mv(work), kj::mv(paf.fulfiller), nullptr});
  bool asleep;
  {
    std::lock_guard lock(state->mutex);
    state->waiting.push_back(std::move(job));
    asleep = std::exchange(state->sleeping, false);
  }
  if (!state->thread.joinable()) {
    state->thread = std::thread([state = state]() {
      pthread_setname_np(pthread_self(), state->name);
      polyquorum::kernel::work(state);
    });
  } else if (asleep) {
    sem_post(&state->news);
  }
  return kj::mv(paf.promise);
}

}  // namespace polyquorum::kernel
