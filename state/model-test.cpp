// SPDX-License-Identifier: Apache-2.0
// The machine beside a model that is too simple to be wrong: a sorted map of paths, copied to roll
// back.
#include <catch2/catch.hpp>
#include <cstdio>
#include <map>
#include <random>
#include <set>
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;
using polyquorum::Error;
using Mode = polyquorum::Create::Mode;

namespace {

struct Thing {
  std::string data;
  std::uint64_t czxid = 0, mzxid = 0, pzxid = 0, owner = 0;
  int version = 0, creates = 0;
  auto operator<=>(const Thing&) const = default;
};

/// One operation as the model understands it.
struct Step {
  enum What { CREATE, DELETE, SET, CHECK } what;
  std::string path;
  std::string data;
  int version = -1;
  bool sequential = false, ephemeral = false;

  Fill fill() const {
    Born born;
    born.mode = ephemeral ? Mode::EPHEMERAL : Mode::PERSISTENT;
    born.sequential = sequential;
    switch (what) {
      case CREATE: return create(path, born);
      case DELETE: return erase(path, version);
      case SET: return setData(path, data, version);
      default: return check(path, version);
    }
  }
};

class Model {
public:
  std::map<std::string, Thing> things = {{"", {}}};

  static std::string parentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }
  std::vector<std::string> children(const std::string& path) const {
    std::vector<std::string> names;
    for (auto& [other, thing] : things) {
      if (!other.empty() && parentOf(other) == path) names.push_back(other.substr(path.size() + 1));
    }
    return names;
  }

  Error apply(const Step& step, std::uint64_t index, std::uint64_t session) {
    auto path = step.path;
    auto versionFits = [&]() { return step.version == -1 || step.version == things[path].version; };
    if (step.what == Step::CREATE) {
      auto parent = things.find(parentOf(path));
      if (parent == things.end()) return Error::NO_NODE;
      if (step.sequential) {
        char suffix[16];
        snprintf(suffix, sizeof(suffix), "%010d", parent->second.creates);
        path += suffix;
      }
      if (things.count(path)) return Error::NODE_EXISTS;
      if (parent->second.owner) return Error::NO_CHILDREN_FOR_EPHEMERALS;
      parent->second.creates++;
      parent->second.pzxid = index;
      things[path] = {"", index, index, index, step.ephemeral ? session : 0};
      return Error::OK;
    }
    if (step.what == Step::DELETE && !things.count(parentOf(path))) return Error::NO_NODE;
    if (!things.count(path)) return Error::NO_NODE;
    if (!versionFits()) return Error::BAD_VERSION;
    if (step.what == Step::DELETE) {
      if (!children(path).empty()) return Error::NOT_EMPTY;
      remove(path, index);
    } else if (step.what == Step::SET) {
      auto& thing = things[path];
      thing.data = step.data;
      thing.version++;
      thing.mzxid = index;
    }
    return Error::OK;
  }

  void remove(const std::string& path, std::uint64_t index) {
    things.erase(path);
    things[parentOf(path)].pzxid = index;
  }

  void end(std::uint64_t session, std::uint64_t index) {
    std::vector<std::string> paths;
    for (auto& [path, thing] : things) {
      if (thing.owner == session) paths.push_back(path);
    }
    for (auto& path : paths) remove(path, index);
  }
};

Step randomStep(std::mt19937& random) {
  Step step{static_cast<Step::What>(random() % 4), ""};
  for (auto depth = 1 + random() % 3; depth > 0; depth--) {
    step.path += "/" + std::string(1, static_cast<char>('a' + random() % 4));
  }
  step.data = std::string(random() % 50, static_cast<char>('a' + random() % 26));
  step.version = random() % 4 == 0 ? static_cast<int>(random() % 3) : -1;
  step.sequential = random() % 8 == 0;
  step.ephemeral = random() % 4 == 0;
  return step;
}

void compare(const Model& model, Trial& trial) {
  CHECK(trial.state->nodeCount() == model.things.size() - 1 + 5);
  std::size_t ephemerals = 0;
  for (auto& [path, thing] : model.things) {
    if (path.empty()) continue;
    ephemerals += thing.owner != 0;
    auto asked = trial.ask(path, [](auto query) { query.initChildren(); });
    auto stat = asked.get().getStat();
    REQUIRE(asked.get().getError() == Error::OK);
    auto names = model.children(path);
    REQUIRE(trial.children(path) == names);
    REQUIRE(trial.text(path) == thing.data);
    REQUIRE(stat.getCzxid() == thing.czxid);
    REQUIRE(stat.getMzxid() == thing.mzxid);
    REQUIRE(stat.getPzxid() == thing.pzxid);
    REQUIRE(stat.getVersion() == thing.version);
    REQUIRE(stat.getCversion() == thing.creates * 2 - static_cast<int>(names.size()));
    REQUIRE(stat.getEphemeralOwner() == thing.owner);
  }
  CHECK(trial.state->ephemeralCount() == ephemerals);
}

}  // namespace

TEST_CASE("10,000 random operations end as in the model, on two replicas and after a load") {
  auto seed = std::random_device()();
  printf("model seed %u\n", seed);
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Trial trial;
  auto second = State::create();
  std::size_t replayed = 0;
  Model model;
  std::vector<Client> clients;
  for (int i = 0; i < 3; i++) clients.emplace_back(trial);

  for (int i = 0; i < 10000; i++) {
    auto& client = clients[random() % clients.size()];
    auto index = trial.state->index() + 1;
    auto session = client.attached.session;
    if (random() % 200 == 0) {
      model.end(session, index);
      client(detach());
      client = Client(trial);
    } else if (random() % 5 == 0) {
      std::vector<Step> steps(random() % 5);
      std::vector<Fill> fills;
      for (auto& step : steps) fills.push_back((step = randomStep(random)).fill());
      auto saved = model.things;
      auto error = Error::OK;
      for (auto& step : steps) {
        if ((error = model.apply(step, index, session)) != Error::OK) break;
      }
      if (error != Error::OK) model.things = saved;
      REQUIRE(client(multi(fills)).outcome.error == error);
    } else {
      auto step = randomStep(random);
      REQUIRE(client(step.fill()).outcome.error == model.apply(step, index, session));
    }
    if (i % 2500 == 2499) {
      compare(model, trial);
      for (; replayed < trial.log.size(); replayed++) trial.replay(*second, replayed);
      CHECK(second->digest() == trial.state->digest());
      auto bytes = image(*trial.state);
      CHECK(image(*second) == bytes);
      trial.state = load(bytes);
      compare(model, trial);
    }
  }
}
