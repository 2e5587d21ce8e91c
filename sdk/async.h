// SPDX-License-Identifier: Apache-2.0
// Coroutines on KJ's event loop for KJ 0.9, which has none: a function that returns Async<T> may
// co_await kj::Promise and Async. Nothing here when KJ 1.0 comes: it brings its own.
//
// Why not kj::Promise as the return type: g++ 12 crashes on coroutines whose return type has a
// destructor that may throw. Why KJ's private headers: a promise made of then() and fulfillers
// costs twice as much per await. The build pins the release.
//
// Rules for a coroutine: parameters by value; no capturing lambdas (pass the state as parameters);
// no co_await inside catch; no braced list inside a co_await expression; never drop, from inside,
// the promise that runs it.
#pragma once
#include <kj/async.h>
#include <coroutine>
#include <exception>
#include <utility>

namespace polyquorum::sdk {

template <typename T>
class Async;

namespace coroutine {

namespace promise = kj::_;

/// The frame as KJ sees it: a promise others wait for, and an event that resumes it.
class Frame : public promise::PromiseNode, public promise::Event {
public:
  std::suspend_never initial_suspend() noexcept { return {}; }  // begins at once, as functions do
  std::suspend_always final_suspend() noexcept { return {}; }   // lives until it is dropped

  void unhandled_exception() {
    auto rethrow = [] { std::rethrow_exception(std::current_exception()); };
    KJ_IF_MAYBE(exception, kj::runCatchingExceptions(rethrow)) {
      outcome.addException(kj::mv(*exception));
    }
    finish();
  }

  /// Sleeps until node has its result.
  void sleepOn(promise::PromiseNode& node) {
    awaited = &node;
    node.onReady(this);
  }

  void onReady(promise::Event* event) noexcept override { waiter.init(event); }
  void tracePromise(promise::TraceBuilder& trace, bool stopAtNextEvent) override {
    if (!stopAtNextEvent && awaited != nullptr) awaited->tracePromise(trace, false);
  }
  void traceEvent(promise::TraceBuilder& trace) override {
    if (awaited != nullptr) awaited->tracePromise(trace, true);
    waiter.traceEvent(trace);
  }

protected:
  Frame(std::coroutine_handle<> self, promise::ExceptionOrValue& outcome)
      : self(self), outcome(outcome) {}

  /// Once: a local may still throw from its destructor after co_return.
  void finish() {
    if (!std::exchange(finished, true)) waiter.arm();
  }

private:
  std::coroutine_handle<> self;
  promise::ExceptionOrValue& outcome;
  OnReadyEvent waiter;
  promise::PromiseNode* awaited = nullptr;
  bool finished = false;

  kj::Maybe<kj::Own<promise::Event>> fire() override {
    awaited = nullptr;
    self.resume();
    return nullptr;
  }
};

/// Holds what the coroutine returns.
template <typename T>
class Returning : public Frame {
public:
  template <typename U>
  void return_value(U&& value) {
    result.value = T(kj::fwd<U>(value));
    finish();
  }

protected:
  explicit Returning(std::coroutine_handle<> self) : Frame(self, result) {}
  promise::ExceptionOr<T> result;
};

template <>
class Returning<void> : public Frame {
public:
  void return_void() {
    result.value = promise::Void();
    finish();
  }

protected:
  explicit Returning(std::coroutine_handle<> self) : Frame(self, result) {}
  promise::ExceptionOr<promise::Void> result;
};

/// One co_await: owns the awaited promise while the frame sleeps on it.
template <typename T>
class Awaiting {
public:
  explicit Awaiting(kj::Promise<T> awaited) : node(promise::PromiseNode::from(kj::mv(awaited))) {}
  KJ_DISALLOW_COPY(Awaiting);

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> sleeper) {
    node->setSelfPointer(&node);
    sleeper.promise().sleepOn(*node);
  }
  T await_resume() {
    promise::ExceptionOr<promise::FixVoid<T>> result;
    node->get(result);
    KJ_IF_MAYBE(exception, kj::runCatchingExceptions([this] { node = nullptr; })) {
      result.addException(kj::mv(*exception));
    }
    return promise::convertToReturn(kj::mv(result));
  }

private:
  kj::Own<promise::PromiseNode> node;
};

}  // namespace coroutine

/// What a coroutine is declared to return. Converts to kj::Promise<T>; dropping it, or the promise
/// made of it, cancels: the locals of the sleeping frame are destroyed. Exceptions cross both ways.
template <typename T>
class [[nodiscard]] Async {
public:
  class promise_type;

  Async(Async&&) noexcept = default;
  Async& operator=(Async&&) = default;
  ~Async() noexcept {}

  operator kj::Promise<T>() && { return NodeType::template to<kj::Promise<T>>(kj::mv(node)); }
  kj::Promise<T> promise() && { return kj::mv(*this); }
  T wait(kj::WaitScope& scope) && { return kj::mv(*this).promise().wait(scope); }

private:
  using NodeType = coroutine::promise::PromiseNode;
  explicit Async(kj::Own<NodeType> node) noexcept : node(kj::mv(node)) {}
  kj::Own<NodeType> node;
};

template <typename T>
class Async<T>::promise_type final : public coroutine::Returning<T> {
public:
  promise_type()
      : coroutine::Returning<T>(std::coroutine_handle<promise_type>::from_promise(*this)) {}

  Async get_return_object() { return Async(kj::Own<NodeType>(this, FREE)); }

  template <typename U>
  coroutine::Awaiting<U> await_transform(kj::Promise<U>&& awaited) {
    return coroutine::Awaiting<U>(kj::mv(awaited));
  }
  template <typename U>
  coroutine::Awaiting<U> await_transform(Async<U>&& awaited) {
    return coroutine::Awaiting<U>(kj::mv(awaited).promise());
  }

  void get(coroutine::promise::ExceptionOrValue& output) noexcept override {
    output.as<coroutine::promise::FixVoid<T>>() = kj::mv(this->result);
  }

private:
  struct Destroyer final : public kj::Disposer {
    void disposeImpl(void* frame) const override {
      auto& self = *static_cast<promise_type*>(frame);
      std::coroutine_handle<promise_type>::from_promise(self).destroy();
    }
  };
  static constexpr Destroyer FREE{};
};

}  // namespace polyquorum::sdk
