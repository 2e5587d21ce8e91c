// SPDX-License-Identifier: Apache-2.0
// Power cuts, failed calls, restarts: after each, the disk shows a prefix of the queue of writes.
#include "plugins/storage/file/storage_model-test.h"

using namespace polyquorum::file;

namespace {

/// A life with everything in it: facts, overwrites, cuts, a snapshot, a trim, a new segment.
struct Step {
  WriteOf write;
  std::uint64_t stageIndex = 0;  ///< Before the write.
};

std::vector<Step> scenario() {
  return {
      {{.next = {{0, 0}}}},
      {{.entries = entriesOf(1, 3, 1), .facts = {{"consensus.promised", 1}}}},
      {{.entries = entriesOf(4, 9, 1, 300)}},
      {{.truncateFrom = 8, .entries = entriesOf(8, 12, 2)}},
      {{.base = {2, 8}, .trim = 9}, 8},
      {{.facts = {{"consensus.promised", 5}, {"election.vote", 3}}}},
      {{.entries = entriesOf(13, 14, 5, 3000)}},
      {{.truncateFrom = 14, .next = {{1, 13}}}},
      {{.segment = 1, .entries = entriesOf(14, 20, 1), .facts = {{"consensus.promised", 1}}}},
      {{.segment = 1, .base = {1, 18}, .trim = 19}, 18},
      {{.segment = 1, .entries = entriesOf(21, 22, 1)}},
  };
}

struct Outcome {
  std::vector<Model> states;     ///< After each number of writes.
  std::size_t issued = 0, acknowledged = 0;
  bool failed = false;
};

/// Runs the scenario until it ends or the disk fails. Twice two writes are in flight at once.
Outcome live(FaultDisk& disk, const std::string& failing = "") {
  Outcome out;
  out.states.push_back({});
  Life life(disk);
  try {
    life.storage.open();
    for (auto& step : scenario()) {
      auto model = out.states.back();
      model.perform(step.write);
      if (step.stageIndex) {
        life.storage.stage(step.write.base, std::string(700, 's'), {{0, 0}});
      }
      out.states.push_back(model);
      out.issued++;
      life.storage.write(step.write);
      out.acknowledged = out.issued;
    }
    life.storage.write({});
    for (int i = 0; i < 8; i++) kj::Promise<void>(kj::READY_NOW).wait(life.scope);
    life.scope.poll();
  } catch (const kj::Exception&) {
    out.failed = true;
    // A failed log is final. A snapshot that cannot be staged is not the log's failure.
    WriteOf more{.segment = 9, .entries = entriesOf(1, 1, 1)};
    auto model = out.states[out.issued];
    model.perform(more);
    try {
      life.storage.write(more);
      out.states.push_back(model);
      out.acknowledged = ++out.issued;
      CHECK(failing.find(" wal-") == std::string::npos);
    } catch (const kj::Exception&) {
      out.states.push_back(model);
      if (failing.find(" wal-") == std::string::npos) out.issued++;  // it was in flight
    }
  }
  return out;
}

/// Opens again and finds which prefix is there.
void checkPrefix(FaultDisk& disk, const Outcome& outcome) {
  Model model;
  {
    Life life(disk);
    auto shown = show(life.storage, life.storage.open());
    CHECK(shown.damaged.empty());
    model = shown.model;
    bool found = false;
    for (auto n = outcome.acknowledged; n <= outcome.issued; n++) {
      found = found || equal(outcome.states[n], model);
    }
    REQUIRE(found);
    if (model.snapshot) REQUIRE(life.storage.image() == std::string(700, 's'));
    for (auto& name : disk.names) REQUIRE(name.first.find("staging") == std::string::npos);

    // The next life goes on and is found again.
    auto last = model.chain.empty() ? 0 : model.chain.rbegin()->first;
    WriteOf more{.segment = last, .truncateFrom = 23, .entries = entriesOf(23, 25, 9)};
    life.storage.write(more);
    model.perform(more);
  }
  disk.powerCut(1);
  Life again(disk);
  auto later = show(again.storage, again.storage.open());
  CHECK(later.damaged.empty());
  REQUIRE(equal(model, later.model));
}

}  // namespace

TEST_CASE("file storage: a power cut at every disk operation leaves a prefix (P1.2, law 1)") {
  FaultDisk whole;
  auto all = live(whole);
  REQUIRE_FALSE(all.failed);
  auto operations = whole.operations();
  REQUIRE(operations > 20);

  for (std::uint64_t at = 1; at <= operations; at++) {
    for (std::uint64_t seed = 1; seed <= 12; seed++) {
      CAPTURE(at, seed, whole.trace[at - 1]);
      FaultDisk disk;
      disk.failAt(at, FaultDisk::Failure::CRASH);
      auto outcome = live(disk, whole.trace[at - 1]);
      disk.powerCut(seed * 1000 + at);
      checkPrefix(disk, outcome);
    }
  }
}

TEST_CASE("file storage: what a killed process did not sync is synced before it is shown (grid 32)") {
  for (std::uint64_t seed = 1; seed <= 20; seed++) {
    CAPTURE(seed);
    FaultDisk disk;
    {
      Life life(disk);
      life.storage.open();
      life.storage.write({.entries = entriesOf(1, 2, 1), .next = {{0, 0}}});
      disk.failAt(2, FaultDisk::Failure::CRASH);  // 1: the write, 2: its sync
      CHECK_THROWS(life.storage.write({.entries = entriesOf(3, 4, 1, 2'000)}));
    }
    disk.processDeath();
    {
      Life life(disk);
      life.storage.open();
      REQUIRE(life.storage.read(0, 1, 9).entries.size() == 4);
    }
    disk.powerCut(seed);
    Life life(disk);
    CHECK(life.storage.open().logs[0].damaged.empty());
    CHECK(life.storage.read(0, 1, 9).entries.size() == 4);
  }
}

TEST_CASE("file storage: a failed write or sync is final, whichever call it was (P1.5)") {
  FaultDisk whole;
  live(whole);
  for (auto failure : {FaultDisk::Failure::IO_ERROR, FaultDisk::Failure::NO_SPACE}) {
    for (std::uint64_t at = 1; at <= whole.operations(); at++) {
      CAPTURE(at, whole.trace[at - 1]);
      FaultDisk disk;
      disk.failAt(at, failure);
      auto outcome = live(disk, whole.trace[at - 1]);
      disk.powerCut(at);
      checkPrefix(disk, outcome);
    }
  }
}

TEST_CASE("file storage: a failed sync names file, reason, cure; every later call throws it") {
  FaultDisk disk;
  Life life(disk);
  life.storage.open();
  life.storage.write({.entries = entriesOf(1, 1, 1)});
  disk.failAt(2, FaultDisk::Failure::IO_ERROR);  // 1: the write, 2: its sync

  auto failed = life.storage.start({{.entries = entriesOf(2, 2, 1)}});
  auto waiting = life.storage.start({{.entries = entriesOf(3, 3, 1)}});
  std::string text;
  try {
    failed.wait(life.scope);
  } catch (const kj::Exception& e) {
    text = e.getDescription().cStr();
  }

  CHECK(text.find("wal-0000000000000001") != std::string::npos);
  CHECK(text.find("Input/output error") != std::string::npos);
  CHECK(text.find("restart") != std::string::npos);
  CHECK_THROWS(waiting.wait(life.scope));
  auto before = disk.operations();
  CHECK_THROWS(life.storage.write({.entries = entriesOf(4, 4, 1)}));
  CHECK(disk.operations() == before);  // nothing is tried again
}

TEST_CASE("file storage: cut at every byte, the last group gives whole writes or none (P1.2)") {
  FaultDisk disk;
  std::vector<Model> states(1);
  std::vector<WriteOf> writes{{.next = {{0, 0}}}, {.entries = entriesOf(1, 2, 1)}};
  std::vector<WriteOf> group{{.entries = entriesOf(3, 4, 1, 90)},
                             {.truncateFrom = 4, .facts = {{"consensus.promised", 7}}},
                             {.entries = entriesOf(4, 6, 2, 33)}};
  std::uint64_t start = 0, end = 0;
  {
    Life life(disk);
    life.storage.open();
    for (auto& write : writes) life.storage.write(write);
    life.storage.start(group).wait(life.scope);
  }
  for (auto* list : {&writes, &group}) {
    for (auto& write : *list) {
      states.push_back(states.back());
      states.back().perform(write);
    }
  }
  auto& file = *disk.names["wal-0000000000000001"];
  auto good = file.now;
  for (end = good.size(); good[end - 1] == 0; end--) {
  }
  start = (end - 700) / 512 * 512;

  std::set<std::size_t> seen;
  for (auto cut = start; cut <= end; cut++) {
    CAPTURE(cut, start, end);
    file.now = good;
    std::fill(file.now.begin() + cut, file.now.end(), 0);
    Life life(disk);
    auto shown = show(life.storage, life.storage.open());
    CHECK(shown.damaged.empty());
    auto n = states.size();
    while (n > 0 && !equal(states[n - 1], shown.model)) n--;
    REQUIRE(n >= 3);
    seen.insert(n - 1);
  }
  CHECK(seen.count(5) == 1);
  CHECK(seen.size() >= 3);
}

TEST_CASE("file storage: a durable adoption names its own image, not the next one (seed 860017242)") {
  FaultDisk disk;
  {
    Life life(disk);
    auto& environment = life.storage.environment;
    life.storage.open();
    life.storage.write({.entries = entriesOf(1, 9, 1), .next = {{0, 0}}});
    life.storage.stage({1, 3}, "three");
    environment.holdNext();
    auto first = life.storage.start({{.base = {1, 3}}});
    life.scope.poll();  // its flush begins, and waits
    life.storage.stage({1, 6}, "six");
    auto second = life.storage.start({{.base = {1, 6}}});
    life.scope.poll();  // and this one waits for it
    environment.release();
    environment.holdNext();  // the flush of the second
    first.wait(life.scope);
    for (int i = 0; i < 8; i++) kj::evalLast([]() {}).wait(life.scope);
    CHECK(disk.names.count("snapshot-0000000000000003") == 1);
    CHECK(disk.names.count("snapshot-0000000000000006") == 0);
    disk.failAt(1, FaultDisk::Failure::IO_ERROR);
    environment.release();
    CHECK_THROWS(second.wait(life.scope));
  }
  Life life(disk);
  CHECK(life.storage.open().snapshot == At{1, 3});
  CHECK(life.storage.image() == "three");
}

TEST_CASE("file storage: a torn stage never takes the place of the image in use (seed 1200047488)") {
  FaultDisk disk;
  const std::string named = "snapshot-0000000000000003";
  {
    Life life(disk);
    life.storage.open();
    life.storage.write({.entries = entriesOf(1, 9, 1), .next = {{0, 0}}});
    life.storage.stage({1, 3}, "three");
    life.storage.write({.base = {1, 3}});
    for (int i = 0; i < 8; i++) kj::evalLast([]() {}).wait(life.scope);
    REQUIRE(disk.names.count(named) == 1);
  }
  // One more of the same position was on its way; of its bytes the power took some.
  auto torn = std::make_shared<polyquorum::conformance::FaultFile>(*disk.names[named]);
  auto text = std::search(torn->now.begin(), torn->now.end(), "three", "three" + 5);
  REQUIRE(text != torn->now.end());
  *text = 0;
  torn->durable = torn->now;
  disk.names[named + ".2.staging"] = torn;
  SECTION("the image has its name") {}
  SECTION("the power went before it got its name") {
    disk.names[named + ".7.staging"] = disk.names[named];
    disk.names.erase(named);
  }
  for (int lives = 0; lives < 2; lives++) {
    Life life(disk);
    CHECK(life.storage.open().snapshot == At{1, 3});
    CHECK(life.storage.image() == "three");
  }
  CHECK(disk.names.count(named + ".2.staging") == 0);
}

TEST_CASE("file storage: a file whose twin contexts were torn is begun again (seeds 940000052, 940011892)") {
  const std::map<std::string, std::string> small{{"walSize", "64KiB"}};
  FaultDisk disk;
  {
    Life life(disk, small);
    life.storage.open();
    life.storage.write({.entries = entriesOf(1, 6, 1, 10000), .next = {{0, 0}}});
    life.storage.write({.entries = entriesOf(7, 7, 1, 10000)});
    REQUIRE(disk.names.count("wal-0000000000000002") == 1);
  }
  auto& log = disk.names["wal-0000000000000002"]->now;
  REQUIRE(log[0] == 'P');
  REQUIRE(log[512] == 'P');
  std::size_t torn = 1024;  // from there on
  SECTION("the first is gone") { std::fill_n(log.begin(), 512, 0); }
  SECTION("the first is broken") { log[100] ^= 1; }
  SECTION("both are gone, what came with the second is not") {
    std::fill_n(log.begin(), 512 + 88, 0);
    torn = log.size();
  }
  log[512 + 100] ^= 1;
  std::fill(log.begin() + torn, log.end(), 0);
  for (int lives = 0; lives < 2; lives++) {
    Life life(disk, small);
    auto opened = life.storage.open();
    CHECK(opened.logs[0].damaged.empty());
    CHECK(opened.logs[0].runs == std::vector<RunOf>{{1, 6u + lives, 1}});
    life.storage.write({.entries = entriesOf(7 + lives, 7 + lives, 1, 10000)});
  }
}

TEST_CASE("file storage: a torn record that reached beyond its file's old end is cleared (seed 880001032)") {
  constexpr std::size_t FILE_BYTES = 64 << 10;
  const std::map<std::string, std::string> small{{"walSize", "64KiB"}};
  FaultDisk disk;
  WriteOf promises;
  for (int i = 0; i < 30; i++) promises.facts.push_back({"consensus.promise" + std::to_string(i), 1});
  // From here on it fits into the file, and does not with the context that stands before it.
  auto big = [](std::size_t from) {
    return WriteOf{.entries = entriesOf(9, 9, 1, FILE_BYTES - from - 512),
                   .facts = {{"consensus.promise0", 2}}};
  };
  auto sectors = [](std::size_t bytes) { return (bytes + 511) / 512 * 512; };
  std::size_t before = 0, torn = 0, record = 0;
  {
    Life life(disk, small);
    life.storage.open();
    auto& bytes = disk.names["wal-0000000000000001"]->now;
    auto end = [&]() {
      auto end = bytes.size();
      while (bytes[end - 1] == 0) end--;
      return sectors(end);
    };
    life.storage.write({.entries = entriesOf(1, 8, 1, 4000), .next = {{0, 0}}});
    before = end();
    life.storage.write(promises);
    torn = end();
    life.storage.write(big(torn));
    const std::string magic = "PqR1";
    record = std::search(bytes.begin() + torn + 8, bytes.end(), magic.begin(), magic.end()) -
             bytes.begin();
  }
  auto& file = *disk.names["wal-0000000000000001"];
  REQUIRE(record < FILE_BYTES);
  REQUIRE(file.now.size() > FILE_BYTES);
  file.now.resize(FILE_BYTES);  // a power cut took the new size and the group's first sector
  std::fill_n(file.now.begin() + torn, 512, 0);
  file.durable = file.now;
  {
    Life life(disk, small);
    life.storage.open();
    // The context of the torn group is written once more, up to where its record began.
    life.storage.environment.advance(200 * kj::MILLISECONDS);
    life.scope.poll();
    life.storage.write(promises);
    life.storage.write(big(sectors(record) + torn - before));
    REQUIRE(file.now.size() > FILE_BYTES);
  }
  Life life(disk, small);
  auto opened = life.storage.open();
  CHECK(opened.logs[0].damaged.empty());
  CHECK(opened.logs[0].facts["consensus.promise0"] == 2);
  CHECK(life.storage.read(0, 1, 9).entries.size() == 9);
}

TEST_CASE("file storage: a restart shows everything; a second one too") {
  FaultDisk disk;
  auto outcome = live(disk);
  for (int restart = 0; restart < 3; restart++) {
    Life life(disk);
    auto shown = show(life.storage, life.storage.open());
    CHECK(shown.damaged.empty());
    CHECK(equal(outcome.states.back(), shown.model));
    CHECK(shown.model.facts[1]["consensus.promised"] == 1);
    CHECK(shown.model.facts.count(0) == 0);  // ended and trimmed: its promises died with it
  }
}
