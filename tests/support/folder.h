// SPDX-License-Identifier: Apache-2.0
// A folder of its own for a test, gone when the test ends.
#pragma once
#include <stdlib.h>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace polyquorum::test {

struct Folder {
  std::string path = "/tmp/polyquorum-test-XXXXXX";
  Folder() {
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

}  // namespace polyquorum::test
