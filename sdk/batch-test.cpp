// SPDX-License-Identifier: Apache-2.0
// The batch builder: the folded batch ends in the log that the wishes, one by one, end in.
#include "sdk/batch.h"
#include <catch2/catch.hpp>
#include <map>
#include <random>

namespace polyquorum::core {
namespace {

using Log = std::map<Index, Fence>;

/// What a driver does with a batch.
void perform(Log& log, const Batch& batch) {
  if (batch.base) log.erase(log.begin(), log.upper_bound(batch.base->index));
  if (batch.truncateFrom) log.erase(log.lower_bound(*batch.truncateFrom), log.end());
  for (auto& entry : batch.entries) log[entry.index] = entry.stamp;
}

TEST_CASE("batch: put, cut, put again folds into cut then put (contract, hole 24)") {
  BatchBuilder wishes;
  wishes.put({5, 1, {}});
  wishes.cut(5);
  wishes.put({5, 2, {}});

  auto batch = wishes.take();

  REQUIRE(batch);
  CHECK(batch->truncateFrom == 5);
  REQUIRE(batch->entries.size() == 1);
  CHECK(batch->entries[0].stamp == 2);
  CHECK(wishes.empty());
}

TEST_CASE("batch: a put that the adopted snapshot covers is left out, one above survives") {
  BatchBuilder wishes;
  wishes.put({5, 1, {}});
  wishes.put({9, 1, {}});
  wishes.adopt({1, 7});

  auto batch = wishes.take();

  REQUIRE(batch->entries.size() == 1);
  CHECK(batch->entries[0].index == 9);
  CHECK(batch->base == Position{1, 7});
  CHECK_FALSE(batch->truncateFrom);
}

TEST_CASE("batch: a cut below a snapshot adopted later never reaches under its base") {
  BatchBuilder wishes;
  wishes.cut(5);
  wishes.adopt({1, 7});

  CHECK(wishes.take()->truncateFrom == 8);
}

TEST_CASE("batch: a core that cuts into its adopted snapshot is stopped") {
  BatchBuilder wishes;
  wishes.adopt({1, 7});

  CHECK_THROWS_AS(wishes.cut(7), std::logic_error);
  CHECK_THROWS_AS(wishes.adopt({1, 6}), std::logic_error);
}

TEST_CASE("batch: the last value of a fact wins and no wish is no batch") {
  BatchBuilder wishes;
  CHECK_FALSE(wishes.take());

  wishes.fact("promised", 1);
  wishes.fact("accepted", 1);
  wishes.fact("promised", 2);

  CHECK(wishes.take()->facts == std::vector<Fact>{{"promised", 2}, {"accepted", 1}});
}

TEST_CASE("batch: random wishes end in the same log folded as one by one") {
  auto seed = GENERATE(range(0, 200));
  INFO("seed " << seed);
  std::mt19937 random(seed);
  auto draw = [&](unsigned below) { return random() % below; };
  Log folded, stepwise;
  for (Index i = 1; i <= 10; i++) folded[i] = stepwise[i] = 1;
  BatchBuilder wishes;
  Index base = 0;
  for (int i = 0; i < 12; i++) {
    BatchBuilder single;
    Index at = base + 1 + draw(12);
    switch (draw(4)) {
      case 0: wishes.cut(at), single.cut(at); break;
      case 1:
        base += draw(3);
        wishes.adopt({2, base}), single.adopt({2, base});
        break;
      default: {
        Entry entry{at, 10 + Fence(i), {}};
        wishes.put(entry), single.put(entry);
      }
    }
    perform(stepwise, *single.take());
  }

  auto batch = wishes.take();
  perform(folded, *batch);

  CHECK(folded == stepwise);
  auto ascending = [](auto& a, auto& b) { return a.index < b.index; };
  CHECK(std::is_sorted(batch->entries.begin(), batch->entries.end(), ascending));
}

}  // namespace
}  // namespace polyquorum::core
