// SPDX-License-Identifier: Apache-2.0
// How a room's background tasks tell that one of them failed: the first failure rejects a promise.
#pragma once
#include <kj/async.h>

namespace polyquorum::kernel {

class Failure final : public kj::TaskSet::ErrorHandler {
public:
  Failure() : Failure(kj::newPromiseAndFulfiller<void>()) {}

  /// Rejects with the first failure; never resolves.
  kj::Promise<void> happened() { return promise.addBranch(); }
  void taskFailed(kj::Exception&& exception) override { fulfiller->reject(kj::mv(exception)); }

private:
  explicit Failure(kj::PromiseFulfillerPair<void>&& pair)
      : promise(pair.promise.fork()), fulfiller(kj::mv(pair.fulfiller)) {}
  kj::ForkedPromise<void> promise;
  kj::Own<kj::PromiseFulfiller<void>> fulfiller;
};

}  // namespace polyquorum::kernel
