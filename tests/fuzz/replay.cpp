// SPDX-License-Identifier: Apache-2.0
// Replays the corpus without a fuzzer: every file as it is, then cut and altered a little, from a
// seed that is printed. fuzz_replay SOURCE [ROUNDS] [TARGET]; exits with a signal or 1 at the first
// failure.
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include "tests/fuzz/targets.h"

namespace polyquorum::fuzz {
namespace {

namespace fs = std::filesystem;
using Sample = std::vector<std::uint8_t>;

constexpr std::size_t SAMPLE_BYTES_MAX = 1 << 16;

/// Files of the target's corpus; the configuration has real ones beside it.
std::vector<fs::path> samplesOf(const Target& target, const fs::path& source) {
  std::vector<fs::path> folders{source / "tests/fuzz/corpus" / target.name};
  if (target.isText) {
    folders.push_back(source / "configs");
    folders.push_back(source / "tests/config/broken");
  }
  std::vector<fs::path> files;
  for (auto& folder : folders) {
    for (auto& entry : fs::directory_iterator(folder)) {
      if (entry.is_regular_file() && entry.path().extension() != ".expected") {
        files.push_back(entry.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

Sample readSample(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  Sample sample((std::istreambuf_iterator<char>(in)), {});
  sample.resize(std::min(sample.size(), SAMPLE_BYTES_MAX));
  return sample;
}

/// A few small changes, as bad disks, networks and people make them.
Sample altered(Sample sample, std::mt19937_64& chance) {
  auto below = [&](std::size_t size) { return size == 0 ? 0 : chance() % size; };
  for (auto times = 1 + below(3); times > 0; times--) {
    auto at = below(sample.size());
    switch (below(6)) {
      case 0:
        sample.resize(at);
        break;
      case 1:
        if (!sample.empty()) sample[at] ^= 1 << below(8);
        break;
      case 2:
        if (!sample.empty()) sample[at] = below(2) ? 0xff : 0x7f;
        break;
      case 3:
        sample.insert(sample.begin() + at, 1 + below(9), static_cast<std::uint8_t>(chance()));
        break;
      case 4:
        sample.erase(sample.begin() + at,
                     sample.begin() + std::min(sample.size(), at + 1 + below(9)));
        break;
      case 5:
        std::copy(sample.begin(), sample.begin() + std::min<std::size_t>(8, sample.size() - at),
                  sample.begin() + at);
        break;
    }
  }
  return sample;
}

void run(const Target& target, const Sample& sample, const std::string& what) {
  // A copy of its exact size, so that a sanitizer sees each byte read beyond it.
  auto exact = std::make_unique<std::uint8_t[]>(sample.size());
  std::copy(sample.begin(), sample.end(), exact.get());
  try {
    target.run({exact.get(), sample.size()});
  } catch (const std::exception& error) {
    std::ofstream("fuzz_replay.failed", std::ios::binary)
        .write(reinterpret_cast<const char*>(exact.get()), static_cast<long>(sample.size()));
    std::cerr << target.name << " " << what << " threw: " << error.what()
              << "\nthe bytes are in fuzz_replay.failed" << std::endl;
    std::exit(1);
  }
}

}  // namespace
}  // namespace polyquorum::fuzz

int main(int count, char** words) {
  using namespace polyquorum::fuzz;
  if (count < 2) {
    std::cerr << "usage: fuzz_replay SOURCE [ROUNDS] [TARGET]\n";
    return 2;
  }
  std::size_t rounds = count > 2 ? std::strtoul(words[2], nullptr, 10) : 200;
  std::uint64_t seed = std::random_device()();
  if (auto* given = std::getenv("FUZZ_SEED")) seed = std::strtoull(given, nullptr, 10);
  std::cout << "FUZZ_SEED=" << seed << std::endl;
  for (auto& target : TARGETS) {
    if (count > 3 && std::string(words[3]) != target.name) continue;
    auto files = samplesOf(target, words[1]);
    std::cout << target.name << ": " << files.size() << " samples" << std::endl;
    if (files.empty()) return 1;
    for (auto& file : files) {
      auto sample = readSample(file);
      auto name = file.filename().string();
      run(target, sample, name);
      std::mt19937_64 chance(seed);
      for (std::size_t round = 0; round < rounds; round++) {
        run(target, altered(sample, chance), name + " altered, round " + std::to_string(round));
      }
    }
  }
  return 0;
}
