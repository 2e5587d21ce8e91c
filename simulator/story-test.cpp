// SPDX-License-Identifier: Apache-2.0
// What is told of a run: traces that programs can read, searches that end small, stories that a person
// can read, pictures that hold all of it.
#include <capnp/compat/json.h>
#include <capnp/message.h>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <sstream>
#include "simulator/picture.h"
#include "simulator/shrink.h"
#include "simulator/telling.h"

using namespace polyquorum::simulator;

namespace {

using Value = capnp::JsonValue::Reader;

std::map<std::string, Value> fieldsOf(Value value) {
  REQUIRE(value.isObject());
  std::map<std::string, Value> out;
  for (auto field : value.getObject()) out.emplace(field.getName().cStr(), field.getValue());
  return out;
}

/// As docs/simulation.md lists them: which fields a kind always has, and which it may have.
struct Fields {
  std::set<std::string> always, sometimes;
};
const std::map<std::string, Fields> DOCUMENTED = {
    {"phase", {{"text"}, {}}},
    {"fault", {{"id", "what", "text"}, {"server"}}},
    {"cure", {{"text"}, {"server"}}},
    {"start", {{"server", "text"}, {}}},
    {"stop", {{"server", "text"}, {}}},
    {"log", {{"server", "text"}, {}}},
    {"standing", {{"server", "what", "numbers"}, {"peer"}}},
    {"link", {{"from", "to", "what"}, {}}},
    {"send", {{"from", "to", "id", "lane", "what"}, {"numbers"}}},
    {"receive", {{"from", "to", "id", "lane", "what", "sent"}, {"numbers"}}},
    {"lose", {{"from", "to", "id", "lane", "what", "sent", "text"}, {"numbers"}}},
    {"decide", {{"server", "what", "numbers"}, {"client", "text"}}},
    {"apply", {{"server", "numbers"}, {}}},
    {"image", {{"server", "numbers"}, {}}},
    {"request", {{"server", "client", "what"}, {"id", "text"}}},
    {"reply", {{"server", "client", "id", "sent", "what", "numbers", "text"}, {}}},
    {"notice", {{"server", "what", "numbers"}, {"client", "text"}}},
    {"violation", {{"what", "text"}, {}}},
};
const std::set<std::string> NUMBERS = {"ms", "server", "peer", "from", "to", "client", "id", "sent"};

void checkLine(const std::string& line, std::set<std::string>& kinds) {
  INFO(line);
  capnp::JsonCodec codec;
  capnp::MallocMessageBuilder message;
  auto value = message.initRoot<capnp::JsonValue>();
  codec.decodeRaw(kj::arrayPtr(line.data(), line.size()), value);
  auto fields = fieldsOf(value.asReader());
  REQUIRE(fields.count("ms") == 1);
  REQUIRE(fields.count("kind") == 1);
  std::string kind = fields.at("kind").getString().cStr();
  kinds.insert(kind);
  auto documented = DOCUMENTED.find(kind);
  REQUIRE(documented != DOCUMENTED.end());
  for (auto& name : documented->second.always) {
    INFO(name);
    CHECK(fields.count(name) == 1);
  }
  for (auto& [name, field] : fields) {
    INFO(name);
    if (name == "ms" || name == "kind") continue;
    CHECK(documented->second.always.count(name) + documented->second.sometimes.count(name) == 1);
    if (NUMBERS.count(name)) CHECK(field.isNumber());
    if (name == "numbers") {
      for (auto& [number, amount] : fieldsOf(field)) CHECK(amount.isNumber());
    }
  }
}

CampaignSettings settingsOf(std::uint64_t seed, std::uint64_t seconds) {
  CampaignSettings settings;
  settings.seed = seed;
  settings.faultySeconds = seconds;
  return settings;
}

Event event(double ms, Event::Kind kind, polyquorum::core::MemberId server, const std::string& what,
            const std::string& text = "") {
  Event out;
  out.ms = ms;
  out.kind = kind;
  out.server = server;
  out.what = what;
  out.text = text;
  return out;
}

}  // namespace

TEST_CASE("each line of a trace is JSON and has the documented fields of its kind") {
  std::ostringstream trace;
  auto settings = settingsOf(7, 20);
  settings.trace = &trace;
  runCampaign(settings);
  std::istringstream lines(trace.str());
  std::set<std::string> kinds;
  unsigned count = 0;
  for (std::string line; std::getline(lines, line); count++) checkLine(line, kinds);
  CHECK(count > 1000);
  for (auto kind : {"phase", "fault", "start", "stop", "log", "standing", "link", "send", "receive", "lose",
                    "decide", "apply", "request", "reply"}) {
    INFO(kind);
    CHECK(kinds.count(kind) == 1);
  }
}

TEST_CASE("watching a run does not change it") {
  auto settings = settingsOf(9, 15);
  auto bare = runCampaign(settings);
  settings.record = true;
  auto recorded = runCampaign(settings);
  CHECK(bare.traceHash == recorded.traceHash);
  CHECK(bare.counters == recorded.counters);
  CHECK(bare.events.empty());
  CHECK(!recorded.events.empty());
}

TEST_CASE("leaving a fault out leaves the others as they were") {
  auto all = runCampaign(settingsOf(5, 40));
  REQUIRE(all.faults.size() > 3);
  auto left = all.faults[1].number;
  auto settings = settingsOf(5, 40);
  settings.onlyFaults.emplace();
  for (auto& fault : all.faults) {
    if (fault.number != left) settings.onlyFaults->insert(fault.number);
  }
  std::map<unsigned, Injection> before;
  for (auto& fault : all.faults) before[fault.number] = fault;
  for (auto& fault : runCampaign(settings).faults) {
    CHECK(fault.number != left);
    if (before.count(fault.number) == 0) continue;  // then a server was down
    CHECK(fault.kind == before[fault.number].kind);
    CHECK(fault.victims == before[fault.number].victims);
    CHECK(fault.ms == before[fault.number].ms);
  }
}

TEST_CASE("only the clients that are named take part") {
  auto settings = settingsOf(5, 5);
  settings.onlyClients = {2, 4};
  settings.record = true;
  std::set<int> seen;
  for (auto& event : runCampaign(settings).events) {
    if (event.kind == Event::REQUEST) seen.insert(event.client);
  }
  CHECK(seen == std::set<int>{2, 4});
}

TEST_CASE("the search finds the few that matter, whatever surrounds them") {
  std::set<unsigned> all;
  for (unsigned i = 1; i <= 40; i++) all.insert(i);
  for (auto& culprits : std::vector<std::set<unsigned>>{{}, {7}, {3, 31}, {1, 2, 40}}) {
    unsigned runs = 0;
    auto found = smallest(all, [&](const std::set<unsigned>& some) {
      runs++;
      return std::includes(some.begin(), some.end(), culprits.begin(), culprits.end());
    });
    CHECK(found == culprits);
    CHECK(runs < 150);
  }
}

TEST_CASE("a story is short, in order, and ends with what broke") {
  std::vector<Event> events;
  for (int i = 0; i < 3000; i++) {
    auto ping = event(i, Event::SEND, 1, "ping");
    ping.peer = 2;
    ping.lane = "consensus";
    ping.id = i + 1;
    events.push_back(ping);
  }
  events.push_back(event(3000, Event::FAULT, 2, "kill", "server 2 is killed"));
  auto leads = event(3001, Event::STANDING, 3, "leading");
  leads.numbers = {{"fence", 4}};
  events.push_back(leads);
  events.push_back(event(3002, Event::VIOLATION, 0, "durability", "index 9 of client 1 is gone"));
  events.push_back(event(3003, Event::VIOLATION, 0, "reads", "what follows is nobody's concern"));
  auto story = retell(events);
  REQUIRE(story.size() >= 3);
  CHECK(story.size() <= 50);
  CHECK(story.back().find("VIOLATION durability") != std::string::npos);
  CHECK(story[story.size() - 2].find("server 3 leads epoch 4") != std::string::npos);
  CHECK(story[story.size() - 3].find("server 2 is killed") != std::string::npos);
  double last = 0;
  for (auto& line : story) {
    CHECK(std::stod(line) >= last);
    last = std::stod(line);
  }
}

TEST_CASE("a picture holds the run and nothing that is not in it") {
  auto settings = settingsOf(3, 5);
  settings.record = true;
  auto result = runCampaign(settings);
  std::ostringstream page;
  drawPicture(page, result, "seed 3 </script>", "polyquorum simulate --seed 3");
  auto text = page.str();
  CHECK(text.find("%EVENTS%") == std::string::npos);
  CHECK(text.find("seed 3 </script>") == std::string::npos);
  CHECK(text.find("src=") == std::string::npos);
  CHECK(text.find("polyquorum simulate --seed 3") != std::string::npos);
  std::size_t sends = 0, at = 0;
  for (auto& event : result.events) sends += event.kind == Event::SEND;
  while ((at = text.find("\"kind\":\"send\"", at)) != std::string::npos) at++, sends--;
  CHECK(sends == 0);
}
