// SPDX-License-Identifier: Apache-2.0
// The workload's door to one life of a server: stands where an API plugin would, in front of the
// same desk. Moves requests and deliveries; has no clients of its own.
#pragma once
#include <kj/async.h>
#include <kj/debug.h>
#include <kj/debug.h>
#include <functional>
#include <memory>
#include "interfaces/coordination.capnp.h"
#include "sdk/direct.h"

namespace polyquorum::simulator {

/// Told of each delivery, in order.
using DeliverySink = std::function<void(coordination::Delivery::Reader)>;

class Door final : public coordination::Api::Server {
 public:
  explicit Door(DeliverySink sink) : sink(std::make_shared<DeliverySink>(std::move(sink))) {}
  ~Door() noexcept(false) { *sink = nullptr; }

  bool open() const { return desk != nullptr; }

  /// One request; fill sets everything. Its answer comes to the sink.
  kj::Promise<void> submit(const std::function<void(coordination::Request::Builder)>& fill) {
    auto request = KJ_REQUIRE_NONNULL(desk, "this server has not opened its doors")
                       .submitRequest(capnp::MessageSize{REQUEST_WORDS, 0});
    fill(request.initRequests(1)[0]);
    return request.send().ignoreResult();
  }

  kj::Promise<void> start(StartContext context) override {
    desk = context.getParams().getDesk();
    context.getResults().setOutbox(sdk::direct<coordination::Outbox>(kj::heap<Box>(sink)));
    return kj::READY_NOW;
  }
  kj::Promise<void> stop(StopContext) override {
    desk = nullptr;
    return kj::READY_NOW;
  }

 private:
  static constexpr std::uint64_t REQUEST_WORDS = 80;  ///< about as long as a request is

  class Box final : public coordination::Outbox::Server {
   public:
    explicit Box(std::shared_ptr<DeliverySink> sink) : sink(std::move(sink)) {}
    kj::Promise<void> deliver(DeliverContext context) override {
      for (auto delivery : context.getParams().getDeliveries()) {
        if (*sink) (*sink)(delivery);
      }
      return kj::READY_NOW;
    }

   private:
    std::shared_ptr<DeliverySink> sink;
  };
  std::shared_ptr<DeliverySink> sink;
  kj::Maybe<coordination::Desk::Client> desk;
};

}  // namespace polyquorum::simulator
