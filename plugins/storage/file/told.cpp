// SPDX-License-Identifier: Apache-2.0
// See told.h.
#include "plugins/storage/file/told.h"
#include <algorithm>
#include <set>

namespace polyquorum::file {
namespace {

const kj::StringPtr NAME = "damage-told";

std::string readAll(const kj::Directory& directory) {
  KJ_IF_MAYBE(file, directory.tryOpenFile(kj::Path(NAME))) return (*file)->readAllText().cStr();
  return "";
}

void writeAll(const kj::Directory& directory, const std::string& text) {
  if (text.empty()) {
    directory.remove(kj::Path(NAME));
    return;
  }
  directory
      .openFile(kj::Path(NAME),
                kj::WriteMode::CREATE | kj::WriteMode::MODIFY | kj::WriteMode::PRIVATE)
      ->writeAll(text);
}

std::set<std::string> linesOf(const std::string& text) {
  std::set<std::string> lines;
  for (std::size_t from = 0; from < text.size();) {
    auto to = std::min(text.find('\n', from), text.size());
    lines.insert(text.substr(from, to - from));
    from = to + 1;
  }
  return lines;
}

}  // namespace

std::vector<std::string> untold(const kj::Directory& directory,
                                const std::vector<std::string>& findings) {
  std::string before, after;
  for (auto& finding : findings) after += finding + "\n";
  kj::runCatchingExceptions([&]() {
    before = readAll(directory);
    if (before != after) writeAll(directory, after);
  });
  auto known = linesOf(before);
  std::vector<std::string> news;
  std::copy_if(findings.begin(), findings.end(), std::back_inserter(news),
               [&](auto& finding) { return known.count(finding) == 0; });
  return news;
}

}  // namespace polyquorum::file
