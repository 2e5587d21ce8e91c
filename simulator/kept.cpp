// SPDX-License-Identifier: Apache-2.0
// Files of seeds that failed once; see kept.h.
#include "simulator/kept.h"
#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace polyquorum::simulator {
namespace {

constexpr std::size_t DIGITS = 19;  // any number of so many has 64 bits

bool holds(const std::vector<std::uint64_t>& seeds, std::uint64_t seed) {
  return std::find(seeds.begin(), seeds.end(), seed) != seeds.end();
}

void append(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::app);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot append to " + file);
}

/// People's editors may leave the last line open.
bool endsOpen(const std::string& file) {
  std::ifstream in(file);
  in.seekg(-1, std::ios::end);
  char last = 0;
  return in.get(last) && last != '\n';
}

}  // namespace

std::vector<std::uint64_t> keptSeeds(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::uint64_t> seeds;
  unsigned number = 0;
  for (std::string line; std::getline(in, line);) {
    number++;
    auto begin = line.find_first_not_of(" \t\r");
    if (begin == line.npos || line[begin] == '#') continue;
    auto word = line.substr(begin, line.find_first_of(" \t\r", begin) - begin);
    if (word.size() > DIGITS || word.find_first_not_of("0123456789") != word.npos) {
      throw std::runtime_error(file + ":" + std::to_string(number) + ": '" + word +
                               "' is no seed; a line is a seed and what it found, or begins with #");
    }
    auto seed = std::stoull(word);
    if (!holds(seeds, seed)) seeds.push_back(seed);
  }
  if (!in.is_open() || in.bad()) throw std::runtime_error("cannot read the seeds in " + file);
  return seeds;
}

void openKept(const std::string& file) {
  append(file, "");
  keptSeeds(file);
}

void keepSeed(const std::string& file, std::uint64_t seed, const std::string& found) {
  append(file, "");
  if (holds(keptSeeds(file), seed)) return;
  append(file, (endsOpen(file) ? "\n" : "") + std::to_string(seed) + "  " + found + "\n");
}

}  // namespace polyquorum::simulator
