// SPDX-License-Identifier: Apache-2.0
// Calls within the loop; see direct.h. One object is request, context, response and its pipeline, and the
// loop's event and promise of the call.
#include "sdk/direct.h"
#include <capnp/any.h>
#include <capnp/message.h>
#include <kj/async.h>
#include <kj/debug.h>
#include <kj/refcount.h>
#include <cstdint>
#include <cstring>
#include <vector>

namespace polyquorum::sdk {
namespace {

using capnp::AnyPointer;
namespace promise = kj::_;

constexpr unsigned WORDS_UNKNOWN = 128;  // of a message whose size nobody foretold
constexpr unsigned WORDS_MORE = 1024;    // of its next segments, at least

/// Like MallocMessageBuilder, but from `new`.
class Message final : public capnp::MessageBuilder {
public:
  explicit Message(kj::Maybe<capnp::MessageSize> size) {
    KJ_IF_MAYBE (known, size) {
      words = known->wordCount + 1;  // and the root
    } else {
      words = WORDS_UNKNOWN;
    }
  }
  kj::ArrayPtr<capnp::word> allocateSegment(unsigned least) override {
    auto size = kj::max(least, static_cast<unsigned>(words));
    words = WORDS_MORE;
    auto segment = kj::heapArray<capnp::word>(size);
    std::memset(segment.begin(), 0, segment.asBytes().size());
    kj::ArrayPtr<capnp::word> view = segment;
    if (first == nullptr) {
      first = kj::mv(segment);
    } else {
      others.push_back(kj::mv(segment));
    }
    return view;
  }

private:
  std::uint64_t words;
  kj::Array<capnp::word> first;
  std::vector<kj::Array<capnp::word>> others;
};

kj::Exception unsupported(const char* what) {
  return KJ_EXCEPTION(UNIMPLEMENTED, "a direct capability", what);
}

class DirectClient final : public capnp::ClientHook, public kj::Refcounted {
public:
  explicit DirectClient(kj::Own<capnp::Capability::Server> object) : object(kj::mv(object)) {}

  capnp::Request<AnyPointer, AnyPointer> newCall(std::uint64_t interface, std::uint16_t method,
                                                 kj::Maybe<capnp::MessageSize> size) override;
  VoidPromiseAndPipeline call(std::uint64_t interface, std::uint16_t method,
                              kj::Own<capnp::CallContextHook>&& context) override {
    auto& hook = *context;
    auto done = kj::evalLater([this, interface, method, &hook]() {
      return dispatch(interface, method, hook);
    });
    return {done.attach(kj::mv(context), kj::addRef(*this)),
            capnp::newBrokenPipeline(unsupported("has no pipelines for calls that were queued"))};
  }
  kj::Maybe<ClientHook&> getResolved() override { return nullptr; }
  kj::Maybe<kj::Promise<kj::Own<ClientHook>>> whenMoreResolved() override { return nullptr; }
  kj::Own<ClientHook> addRef() override { return kj::addRef(*this); }
  const void* getBrand() override { return nullptr; }
  kj::Maybe<int> getFd() override { return nullptr; }

  kj::Promise<void> dispatch(std::uint64_t interface, std::uint16_t method,
                             capnp::CallContextHook& context) {
    auto result = object->dispatchCall(interface, method,
                                       capnp::CallContext<AnyPointer, AnyPointer>(context));
    KJ_REQUIRE(!result.isStreaming, "a direct capability has no streaming methods");
    return kj::mv(result.promise);
  }

private:
  kj::Own<capnp::Capability::Server> object;
};

// Two bases of a call have an addRef() of their own: told apart here.
class Context : public capnp::CallContextHook {
public:
  kj::Own<CallContextHook> addRef() final { return addContext(); }
  virtual kj::Own<CallContextHook> addContext() = 0;
};

class Pipeline : public capnp::PipelineHook {
public:
  kj::Own<PipelineHook> addRef() final { return addPipeline(); }
  virtual kj::Own<PipelineHook> addPipeline() = 0;
};

class Call final : public capnp::RequestHook,
                   public Context,
                   public Pipeline,
                   public capnp::ResponseHook,
                   public promise::Event,
                   public promise::PromiseNode,
                   public kj::Refcounted {
public:
  Call(kj::Own<DirectClient> client, std::uint64_t interface, std::uint16_t method,
       kj::Maybe<capnp::MessageSize> size)
      : client(kj::mv(client)), interface(interface), method(method), params(kj::mv(size)) {}

  AnyPointer::Builder fill() { return params.getRoot<AnyPointer>(); }

  // RequestHook
  capnp::RemotePromise<AnyPointer> send() override {
    armBreadthFirst();
    // The loop owns what runs: itself as a promise that nobody waits for.
    promise::detach(PromiseNode::to<kj::Promise<void>>(kj::addRef(*this)));
    return capnp::RemotePromise<AnyPointer>(
        kj::newAdaptedPromise<capnp::Response<AnyPointer>, Answer>(kj::addRef(*this)),
        AnyPointer::Pipeline(addPipeline()));
  }
  kj::Promise<void> sendStreaming() override { return unsupported("has no streaming methods"); }
  const void* getBrand() override { return nullptr; }

  // CallContextHook
  AnyPointer::Reader getParams() override { return params.getRoot<AnyPointer>().asReader(); }
  void releaseParams() override {}  // with the call
  AnyPointer::Builder getResults(kj::Maybe<capnp::MessageSize> size) override {
    KJ_IF_MAYBE (made, results) return made->getRoot<AnyPointer>();
    return results.emplace(kj::mv(size)).getRoot<AnyPointer>();
  }
  kj::Promise<void> tailCall(kj::Own<RequestHook>&&) override { return unsupported("has no tail calls"); }
  void allowCancellation() override {}
  void setPipeline(kj::Own<capnp::PipelineHook>&&) override {}
  kj::Promise<AnyPointer::Pipeline> onTailCall() override { return kj::NEVER_DONE; }
  capnp::ClientHook::VoidPromiseAndPipeline directTailCall(kj::Own<RequestHook>&&) override {
    kj::throwFatalException(unsupported("has no tail calls"));
  }
  kj::Own<CallContextHook> addContext() override { return kj::addRef(*this); }

  // PipelineHook, of a response that is not there yet
  kj::Own<PipelineHook> addPipeline() override { return kj::addRef(*this); }
  kj::Own<capnp::ClientHook> getPipelinedCap(kj::ArrayPtr<const capnp::PipelineOp> path) override {
    if (finished) return response().getPipelinedCap(path);
    KJ_IF_MAYBE (why, failed) return capnp::newBrokenCap(kj::cp(*why));
    auto pair = kj::newPromiseAndFulfiller<kj::Own<capnp::ClientHook>>();
    pipelined.push_back({kj::heapArray(path), kj::mv(pair.fulfiller)});
    return capnp::newLocalPromiseClient(kj::mv(pair.promise));
  }

  // Event: the call's turn has come.
  kj::Maybe<kj::Own<Event>> fire() override {
    auto thrown = kj::runCatchingExceptions([this]() {
      running = PromiseNode::from(client->dispatch(interface, method, *this));
    });
    KJ_IF_MAYBE (why, thrown) running = PromiseNode::from(kj::Promise<void>(kj::mv(*why)));
    running->setSelfPointer(&running);
    running->onReady(waiter);
    return nullptr;
  }
  void traceEvent(promise::TraceBuilder&) override {}

  // PromiseNode: of the whole call, for the loop
  void onReady(Event* event) noexcept override {
    waiter = event;
    if (running.get() != nullptr) running->onReady(event);
  }
  void get(promise::ExceptionOrValue& output) noexcept override {
    promise::ExceptionOr<promise::Void> outcome;
    running->get(outcome);
    KJ_IF_MAYBE (why, kj::runCatchingExceptions([this]() { running = nullptr; })) {
      outcome.addException(kj::mv(*why));
    }
    KJ_IF_MAYBE (why, outcome.exception) {
      reject(kj::mv(*why));
    } else KJ_IF_MAYBE (why, kj::runCatchingExceptions([this]() { finish(); })) {
      reject(kj::mv(*why));
    }
    output.as<promise::Void>().value = promise::Void();
  }
  void tracePromise(promise::TraceBuilder& trace, bool stopAtNextEvent) override {
    if (!stopAtNextEvent && running.get() != nullptr) running->tracePromise(trace, false);
  }

private:
  /// What the caller waits for, if it still does.
  class Answer {
  public:
    Answer(kj::PromiseFulfiller<capnp::Response<AnyPointer>>& fulfiller, kj::Own<Call> call)
        : call(kj::mv(call)) {
      this->call->asker = &fulfiller;
    }
    ~Answer() { call->asker = nullptr; }
    KJ_DISALLOW_COPY(Answer);

  private:
    kj::Own<Call> call;
  };
  struct Pipelined {
    kj::Array<capnp::PipelineOp> path;
    kj::Own<kj::PromiseFulfiller<kj::Own<capnp::ClientHook>>> fulfiller;
  };
  kj::Own<DirectClient> client;
  const std::uint64_t interface;
  const std::uint16_t method;
  Message params;
  kj::Maybe<Message> results;
  kj::Own<PromiseNode> running;
  Event* waiter = nullptr;
  kj::PromiseFulfiller<capnp::Response<AnyPointer>>* asker = nullptr;
  std::vector<Pipelined> pipelined;
  bool finished = false;
  kj::Maybe<kj::Exception> failed;

  /// Null, whose fields all have their defaults, if nobody asked for results.
  AnyPointer::Reader response() {
    KJ_IF_MAYBE (made, results) return made->getRoot<AnyPointer>().asReader();
    return {};
  }
  void finish() {
    finished = true;
    for (auto& asked : pipelined) {
      asked.fulfiller->fulfill(response().getPipelinedCap(asked.path));
    }
    pipelined.clear();
    if (asker != nullptr) asker->fulfill({response(), kj::addRef(*this)});
  }
  void reject(kj::Exception&& why) {
    failed = kj::cp(why);
    for (auto& asked : pipelined) asked.fulfiller->reject(kj::cp(why));
    pipelined.clear();
    if (asker != nullptr) asker->reject(kj::mv(why));
  }
};

capnp::Request<AnyPointer, AnyPointer> DirectClient::newCall(std::uint64_t interface,
                                                             std::uint16_t method,
                                                             kj::Maybe<capnp::MessageSize> size) {
  auto call = kj::refcounted<Call>(kj::addRef(*this), interface, method, kj::mv(size));
  auto root = call->fill();
  return capnp::Request<AnyPointer, AnyPointer>(root, kj::mv(call));
}

}  // namespace

kj::Own<capnp::ClientHook> directHook(kj::Own<capnp::Capability::Server> object) {
  return kj::refcounted<DirectClient>(kj::mv(object));
}

}  // namespace polyquorum::sdk
