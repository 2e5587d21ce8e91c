// SPDX-License-Identifier: Apache-2.0
// Figures, not checks: `state_test [.measure]` in a Release build. A million nodes of 100 bytes.
#include <catch2/catch.hpp>
#include <malloc.h>
#include <unistd.h>
#include <cstdio>
#include <ctime>
#include "state/trial.h"

using namespace polyquorum::state;
using namespace polyquorum::state::trial;

namespace {

std::size_t residentBytes() {
  std::size_t total = 0, resident = 0;
  auto* file = fopen("/proc/self/statm", "r");
  if (file == nullptr || fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
  if (file != nullptr) fclose(file);
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// Of this process's own, so that a busy machine does not spoil the figures.
double processorSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double seconds(const std::function<void()>& work) {
  auto start = processorSeconds();
  work();
  return processorSeconds() - start;
}

/// Bodies made beforehand, so that only apply() is timed.
std::vector<kj::Array<capnp::word>> bodies(int count, const std::function<Fill(int)>& what,
                                           const Attached* session) {
  std::vector<kj::Array<capnp::word>> made;
  for (int i = 0; i < count; i++) {
    capnp::MallocMessageBuilder message;
    auto operation = message.initRoot<polyquorum::Operation>();
    what(i)(operation);
    setIdentities(operation.initIdentities(1), {{"ip", "127.0.0.1"}});
    auto flat = capnp::messageToFlatArray(message);
    capnp::MallocMessageBuilder outer;
    auto body = outer.initRoot<polyquorum::Body>();
    if (session != nullptr) {
      body.setSession(session->session);
      body.setIncarnation(session->incarnation);
      body.setSequence(i + 1);
      body.setUnanswered(i + 1);
    }
    body.setTimeMs(1000 + i);
    body.setOperation(flat.asBytes());
    made.push_back(capnp::messageToFlatArray(outer));
  }
  return made;
}

double applyAll(State& state, const std::vector<kj::Array<capnp::word>>& made) {
  return seconds([&]() {
    for (auto& words : made) {
      capnp::FlatArrayMessageReader reader(words);
      state.apply(state.index() + 1, reader.getRoot<polyquorum::Body>());
    }
  });
}

void measure(int parents) {
  constexpr int COUNT = 1000000, SLICE = 50000;
  static const std::string data(100, 'x');
  Born born;
  born.data = data.c_str();
  auto name = [&](int i) {
    char text[64];
    snprintf(text, sizeof(text), "/p%02d/node-%010d", i % parents, i);
    return std::string(text);
  };
  auto state = State::create();
  malloc_trim(0);
  auto before = residentBytes();
  applyAll(*state, bodies(parents, [](int i) {
    char text[16];
    snprintf(text, sizeof(text), "/p%02d", i);
    return create(text);
  }, nullptr));
  double creating = 0;
  for (int first = 0; first < COUNT; first += SLICE) {
    creating += applyAll(*state, bodies(SLICE, [&](int i) { return create(name(first + i), born); },
                                        nullptr));
  }
  malloc_trim(0);
  printf("%d nodes, %d parents: %.1f B of RSS per node, create %.0f ns\n", COUNT, parents,
         static_cast<double>(residentBytes() - before) / COUNT, creating / COUNT * 1e9);

  auto attaching = bodies(1, [](int) { return attach(); }, nullptr);
  capnp::FlatArrayMessageReader reader(attaching[0]);
  auto session =
      *state->apply(state->index() + 1, reader.getRoot<polyquorum::Body>()).outcome.attached;
  auto setting = [&](auto place) {
    return bodies(200000, [&](int i) { return setData(name(place(i)), data); }, &session);
  };
  printf("setData of one node %.0f ns",
         applyAll(*state, setting([](int) { return 7; })) / 200000 * 1e9);
  auto resumed = bodies(1, [&](int) {
    Attaching asked;
    asked.session = session.session;
    asked.password = session.password;
    return attach(asked);
  }, nullptr);
  capnp::FlatArrayMessageReader again(resumed[0]);
  session = *state->apply(state->index() + 1, again.getRoot<polyquorum::Body>()).outcome.attached;
  printf(", of random nodes %.0f ns\n",
         applyAll(*state, setting([](int i) {
           return static_cast<int>(i * 7919ull % COUNT);
         })) / 200000 * 1e9);

  std::string bytes;
  bytes.reserve(300 << 20);
  double capturing = seconds([&]() {
    auto capture = state->capture();
    std::string slice;
    while (capture->next(256 << 10, slice)) {
      bytes += slice;
      slice.clear();
    }
  });
  std::unique_ptr<State> loaded;
  double finishing = 0;
  double loading = seconds([&]() {
    auto loader = State::load();
    for (std::size_t at = 0; at < bytes.size(); at += 1 << 18) {
      loader->feed({reinterpret_cast<const std::uint8_t*>(bytes.data()) + at,
                    std::min<std::size_t>(1 << 18, bytes.size() - at)});
    }
    finishing = seconds([&]() { loaded = loader->finish(); });
  });
  CHECK(loaded->digest() == state->digest());
  printf("capture %.0f MB at %.0f MB/s, load %.3f s (finish %.3f s)\n", bytes.size() / 1e6,
         bytes.size() / 1e6 / capturing, loading, finishing);
  double listing = seconds([&]() {
    capnp::MallocMessageBuilder question, answer;
    auto query = question.initRoot<polyquorum::Query>();
    query.setPath("/p00");
    query.initChildren();
    state->answer(query.asReader(), answer.initRoot<polyquorum::Answer>());
  });
  double deleting =
      applyAll(*state, bodies(200000, [&](int i) { return erase(name(i)); }, nullptr));
  printf("children of one parent %.3f s, delete %.0f ns\n", listing, deleting / 200000 * 1e9);
}

}  // namespace

TEST_CASE("a million nodes under one parent", "[.measure]") { measure(1); }
TEST_CASE("a million nodes under a hundred parents", "[.measure]") { measure(100); }
