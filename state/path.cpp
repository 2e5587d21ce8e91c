// SPDX-License-Identifier: Apache-2.0
// Path rules; see path.h.
#include "state/path.h"
#include <algorithm>
#include <cstdio>

namespace polyquorum::state {
namespace {

/// Decodes one multi-byte UTF-8 character at i and moves i to its last byte. 0: not UTF-8, or more
/// than one UTF-16 unit.
std::uint32_t wideCharacter(std::string_view path, std::size_t& i) {
  auto byte = [&](std::size_t at) { return static_cast<unsigned char>(path[at]); };
  auto follows = [&](std::size_t at) { return at < path.size() && (byte(at) & 0xc0) == 0x80; };
  if (byte(i) >= 0xc2 && byte(i) <= 0xdf && follows(i + 1)) {
    std::uint32_t c = (byte(i) & 0x1fu) << 6 | (byte(i + 1) & 0x3fu);
    i += 1;
    return c;
  }
  if (byte(i) >= 0xe0 && byte(i) <= 0xef && follows(i + 1) && follows(i + 2)) {
    std::uint32_t c = (byte(i) & 0x0fu) << 12 | (byte(i + 1) & 0x3fu) << 6 | (byte(i + 2) & 0x3fu);
    i += 2;
    return c >= 0x800 ? c : 0;
  }
  return 0;
}

bool forbidden(std::uint32_t c) {
  return c <= 0x1f || (c >= 0x7f && c <= 0x9f) || (c >= 0xd800 && c <= 0xf8ff) || c >= 0xfff0;
}

}  // namespace

bool validName(std::string_view name) {
  if (name.empty() || name == "." || name == "..") return false;
  for (std::size_t i = 0; i < name.size(); i++) {
    auto byte = static_cast<unsigned char>(name[i]);
    if (byte == '/' || forbidden(byte < 0x80 ? byte : wideCharacter(name, i))) return false;
  }
  return true;
}

bool validPath(std::string_view path) {
  if (path.empty() || path[0] != '/') return false;
  if (path.size() == 1) return true;
  while (!path.empty()) {
    auto end = std::min(path.find('/', 1), path.size());
    if (!validName(path.substr(1, end - 1))) return false;
    path.remove_prefix(end);
  }
  return true;
}

Key locate(std::string_view path) {
  Key key;
  key.path = path;
  if (path.empty() || path == "/") return key;
  key.possible = path[0] == '/';
  std::size_t start = 1;
  while (key.possible) {
    auto end = path.find('/', start);
    key.name = path.substr(start, end == path.npos ? path.npos : end - start);
    key.possible = !key.name.empty();
    key.parentHash = key.hash;
    key.hash = childHash(key.parentHash, key.name);
    if (end == path.npos) break;
    start = end + 1;
  }
  return key;
}

void appendSequence(std::string& path, std::int32_t counter) {
  char text[16];
  int size = snprintf(text, sizeof(text), "%010d", counter);
  path.append(text, size);
}

}  // namespace polyquorum::state
